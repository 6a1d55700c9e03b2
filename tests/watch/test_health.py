"""Health and statistics as a real server has them: what is counted, since when a job could run, and who is alive."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from bankimport.queue.queue import Queue
from bankimport.queue.run import Claim
from bankimport.queue.transitions import Beat
from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from bankimport.status import JobState
from bankimport.stream import groups_behind
from bankimport.watch.sweeper import Sweeper
from bankimport.watch.watch import Watch
from tests.processes import free_port
from tests.queue.driver import FUNCTIONS, Driver
from tests.waiting import wait_until

HOUR = 3_600_000


async def age(driver: Driver, job_id: str, milliseconds: int = HOUR) -> None:
    """Let a waiting job have waited for so long."""
    client, name = driver.queue.client, driver.queue.keys.state("waiting")
    assert await client.zscore(name, job_id) is not None
    await client.zincrby(name, -milliseconds, job_id)


async def forget_starts(driver: Driver) -> None:
    """Let the last start be long ago."""
    await driver.queue.client.hset(driver.queue.keys.of("meta"), "last-start", 1)


async def beat(driver: Driver, worker: str = "w", *claims: Claim, lifetime: int = 60_000, trouble: str = "") -> Beat:
    """Let a worker tell that it lives."""
    about = {"host": "host", "pid": 7, "version": "1.2", "lag": 0, "trouble": trouble}
    runs = [(claim.job_id, str(claim.fence)) for claim in claims]
    return await driver.do.beat_worker(worker, timedelta(milliseconds=lifetime), about, list(FUNCTIONS), runs)


async def alerts(driver: Driver) -> list[str]:
    """Return the codes of the alerts."""
    health = await driver.watch.health()
    assert health.is_healthy == (not health.alerts)
    return [alert.code for alert in health.alerts]


async def test_each_state_is_counted(driver: Driver) -> None:
    """Every job is in one number; while the queue is paused the waiting ones are the paused ones."""
    for number in range(4):
        await driver.ask(f"c{number}")
    done, failed, later, _ = await driver.claim()
    await driver.complete(done)
    await driver.fail(failed)
    await driver.fail(later, delay=HOUR)
    await driver.ask_all("x", "y")
    [batch] = await driver.claim()
    await driver.fan_out(batch, "x", "y")
    stats = await driver.watch.stats()
    counted = (stats.waiting, stats.active, stats.completed, stats.failed, stats.delayed, stats.waiting_children)
    assert (counted, stats.paused) == ((2, 1, 1, 1, 1, 1), 0)
    await driver.queue.pause()
    stats = await driver.watch.stats()
    assert (stats.waiting, stats.paused) == (0, 2)


async def test_a_job_that_could_run_and_does_not(driver: Driver) -> None:
    """A job has been runnable for an hour and nothing has started: stalled, and over as soon as something starts."""
    await beat(driver)
    await age(driver, await driver.ask("c"))
    await driver.ask("d")
    assert await alerts(driver) == ["stalled"]
    await driver.claim(1)
    assert await alerts(driver) == []


async def test_a_fresh_manual_job_hides_no_old_one(driver: Driver) -> None:
    """Behind a job brought to the front a minute ago, and behind all manual ones, an older one still counts."""
    await beat(driver)
    promoted = await driver.ask("p", scheduled=True)
    for job_id in (promoted, await driver.ask("old", scheduled=True)):
        await age(driver, job_id)
    assert await alerts(driver) == ["stalled"]
    await driver.ask("p")
    assert [claim.job_id for claim in await driver.claim(1)] == [promoted]
    await forget_starts(driver)
    await driver.ask("new")
    assert await alerts(driver) == ["stalled"]


async def test_an_old_manual_job_counts_behind_one_brought_to_the_front(driver: Driver) -> None:
    """The front of the line is young, what stands behind it is old: stalled."""
    await beat(driver)
    await age(driver, await driver.ask("old"))
    await driver.ask("p", scheduled=True)
    await driver.ask("p")
    assert await alerts(driver) == ["stalled"]


async def test_a_job_that_must_wait_is_not_stalled(driver: Driver) -> None:
    """Behind its connection's running sync, or behind its organisation's three, a job waits rightly, however long."""
    await beat(driver)
    await driver.ask("c")
    for number in range(3):
        await driver.ask(f"s{number}", scheduled=True)
    assert len(await driver.claim()) == 4
    await age(driver, await driver.ask("c", force_full_sync=True))
    await age(driver, await driver.ask("s9", scheduled=True))
    await forget_starts(driver)
    assert await alerts(driver) == []
    await age(driver, await driver.ask("other", org="other", scheduled=True))
    assert await alerts(driver) == ["stalled"], "another organisation's job could run"


async def test_jobs_of_dead_workers_and_overdue_ones_count(driver: Driver) -> None:
    """All workers are dead: a run whose lease is over and a delayed job that is due would run, if anybody looked."""
    await driver.ask("c")
    [claim] = await driver.claim()
    assert await alerts(driver) == []
    await driver.lapse(claim.job_id)
    assert "no-workers" in await alerts(driver)
    [again] = await driver.claim()
    await driver.fail(again, delay=HOUR)
    assert await alerts(driver) == []
    await driver.make_due()
    assert "no-workers" in await alerts(driver)


async def test_workers_beat(driver: Driver) -> None:
    """A heartbeat tells id, host, pid, version and running jobs; a worker that stops beating, or says so, is gone."""
    await driver.ask("c")
    [claim] = await driver.claim(worker="a")
    assert await beat(driver, "a", claim) == Beat([], [], ready=False, more=False)
    await beat(driver, "b", lifetime=1)
    [worker] = [each for each in (await driver.watch.health()).workers if each.id == "a"]
    assert (worker.host, worker.pid, worker.running, worker.version) == ("host", 7, 1, "1.2")
    assert datetime.now(UTC) - worker.seen_at < timedelta(seconds=5)
    await wait_until(lambda: _gone(driver, "b"))
    assert [each.id for each in (await driver.watch.health()).workers] == ["a"]
    await driver.do.remove_worker("a")
    assert (await driver.watch.health()).workers == ()


async def _gone(driver: Driver, worker: str) -> bool:
    return not await driver.queue.client.exists(driver.queue.keys.of("worker", worker))


async def test_a_beat_keeps_leases_and_hears_of_lost_and_cancelled_runs(driver: Driver) -> None:
    """Renewed, lost, cancelled: each run of a worker is told which."""
    for name in ("kept", "lost", "cancelled"):
        await driver.ask(name)
    kept, lost, cancelled = await driver.claim(worker="a")
    await driver.lapse(lost.job_id)
    assert [claim.job_id for claim in await driver.claim(worker="b")] == [lost.job_id]
    await driver.lapse(kept.job_id)
    await driver.queue.cancel(cancelled.job_id)
    assert await beat(driver, "a", kept, lost, cancelled) == Beat(
        [lost.job_id], [cancelled.job_id], ready=False, more=False
    )
    assert await driver.claim(worker="b") == [], "the beat came before anybody saw that the lease was over"


async def test_a_paused_queue_says_until_when_and_why(driver: Driver) -> None:
    """Paused is a warning with its reason; a pause whose time is over is none, whoever looks first."""
    await driver.queue.pause(reason="the bank's maintenance")
    health = await driver.watch.health()
    assert (health.is_healthy, health.is_paused) == (True, True)
    assert "the queue is paused: the bank's maintenance" in health.warnings
    await driver.queue.pause(until=datetime.now(UTC) - timedelta(seconds=1))
    assert not (await driver.watch.health()).is_paused
    job_id = await driver.ask("c")
    assert [claim.job_id for claim in await driver.claim()] == [job_id]
    assert await driver.events("bank.queue.resumed") == [("bank.queue.resumed", "")]


@pytest.mark.in_time
async def test_redis_away(settings: Settings) -> None:
    """Nobody answers: an alert, not an error."""
    away = settings.model_copy(update={"redis_port": free_port()})
    queue = Queue(connect(away, Redis), away)
    health = await Watch(queue).health()
    await queue.client.aclose()
    assert (health.is_healthy, [alert.code for alert in health.alerts]) == (False, ["redis-unavailable"])


@pytest.fixture
async def fresh(settings: Settings, driver: Driver) -> Driver:
    """The driver, once more: a queue object asks for the server's own settings once a minute."""
    return Driver(Queue(driver.queue.client, settings))


async def test_an_evicting_policy(driver: Driver, fresh: Driver) -> None:
    """A server that may throw queued jobs away is an alert."""
    assert await alerts(driver) == []
    await driver.queue.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert await alerts(fresh) == ["eviction"]
    finally:
        await driver.queue.client.config_set("maxmemory-policy", "noeviction")


async def test_a_server_that_persists_nothing(driver: Driver, fresh: Driver) -> None:
    """Neither snapshots nor a log of commands: a warning, which a log or snapshots take away."""
    text = "Redis persists nothing: queued jobs are lost when it restarts"
    before = (await driver.queue.client.config_get("save"))["save"]
    await driver.queue.client.config_set("save", "")
    assert text in (await driver.watch.health()).warnings
    await driver.queue.client.config_set("save", "3600 1")
    assert text not in (await fresh.watch.health()).warnings
    await driver.queue.client.config_set("save", before)


async def test_only_fresh_failures_that_an_operator_can_mend_are_ill_health(driver: Driver) -> None:
    """An ended consent is a customer's to renew and a period asked for wrongly the asker's: both are counted apart and
    shown; what failed a day ago alarms nobody any more."""
    driver.queue.settings = driver.queue.settings.model_copy(update={"alert_failed": 0})
    await beat(driver)
    for code in ("consent-expired", "period-rejected", "transient"):
        await driver.ask(code)
    for claim, code in zip(await driver.claim(), ("consent-expired", "period-rejected", "transient"), strict=True):
        await driver.fail(claim, code=code)
    health = await driver.watch.health()
    assert [(alert.code, alert.value) for alert in health.alerts] == [("failed", 1)]
    assert "2 jobs failed in the last 24 hours for what no operator can mend" in health.warnings
    assert health.stats.failed == 3
    keys = driver.queue.keys
    for code in ("consent-expired", "period-rejected", "transient"):
        [(job_id, _)] = await driver.queue.client.zrange(keys.of("failed_code", code), 0, -1, withscores=True)
        for index in (keys.state("failed"), keys.of("failed_code", code)):
            await driver.queue.client.zincrby(index, -25 * HOUR, job_id)
    health = await driver.watch.health()
    assert (health.is_healthy, health.stats.failed) == (True, 3)


async def test_an_alert_begins_and_ends_once(driver: Driver) -> None:
    """However many workers sweep, one turn is one worker's; an alert is told as it begins and as it is over."""
    sweepers = [Sweeper(driver.queue, groups_behind) for _ in range(4)]
    driver.queue.settings = driver.queue.settings.model_copy(update={"alert_failed": 0})
    job_id = await driver.ask("c")
    [claim] = await driver.claim()
    await driver.fail(claim)
    assert [await sweeper.run() for sweeper in sweepers] == [True, False, False, False]
    since = [alert.since for alert in (await driver.watch.health()).alerts]
    await driver.queue.client.delete(f"{Keys('bank-import').prefix}sweeper")
    assert await sweepers[1].run() is False, "a full look is due once a minute"
    assert [alert.since for alert in (await driver.watch.health()).alerts] == since
    await driver.queue.retry(job_id)
    await driver.queue.client.delete(f"{Keys('bank-import').prefix}sweeper")
    await sweepers[2].run()
    rows = await driver.queue.client.xrange(driver.queue.keys.events)
    told = [json.loads(row[b"data"]) for _, row in rows if row[b"name"] == b"queue.alert"]
    assert [(alert["code"], alert["active"]) for alert in told] == [("failed", True), ("failed", False)]


async def test_the_servers_clock_goes_back_by_an_hour(driver: Driver) -> None:
    """A dead worker's lease and heartbeat seem to last an hour more: neither is believed."""
    await driver.ask("c")
    [claim] = await driver.claim(worker="dead")
    await beat(driver, "dead", claim)
    client, keys = driver.queue.client, driver.queue.keys
    ahead = float(claim.queued_ms + HOUR)
    await client.zadd(keys.state("active"), {claim.job_id: ahead})
    about = {"host": "h", "pid": 1, "version": "1", "lag": 0, "trouble": "", "running": 1, "seen": ahead}
    await client.set(keys.of("worker", "dead"), json.dumps(about), px=HOUR)
    await beat(driver, "alive")
    assert [worker.id for worker in (await driver.watch.health()).workers] == ["alive"]
    lease = driver.queue.settings.lease.total_seconds() * 1000
    score = await driver.score(JobState.ACTIVE, claim.job_id)
    assert score is not None
    assert score < claim.queued_ms + lease + 10_000


async def test_a_store_that_is_away_is_an_alert(driver: Driver) -> None:
    """A worker says in its heartbeat what it can't reach."""
    await beat(driver, trouble="store-unavailable")
    assert await alerts(driver) == ["store-unavailable"]
    await beat(driver)
    assert await alerts(driver) == []
