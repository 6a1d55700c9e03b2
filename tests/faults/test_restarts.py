"""The server is restarted under load, and everything is restarted while the queue is paused."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from bankimport.errors import Unavailable
from bankimport.status import JobState
from tests.faults.field import Field, Server
from tests.soak import SOAK
from tests.waiting import wait_until

pytestmark = pytest.mark.in_time

RESTARTS = 10 if SOAK else 1
#: as in production: a lease that outlasts a restart
LONG = "15000"


class Load:
    """Asks for syncs all the time, and remembers which were accepted."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._chance = random.Random(3)
        self._over = asyncio.Event()
        self.accepted: list[str] = []
        self.refused = 0

    async def _ask(self, who: int) -> None:
        number = 0
        while not self._over.is_set():
            number += 1
            word = self._chance.choice(["sleep-80", "mute-60", "fail-1", "plain"])
            try:
                self.accepted.append(await self._field.sync(f"{word}-{who}-{number}", org_id=f"org-{who}"))
            except Unavailable:
                self.refused += 1
            await asyncio.sleep(0.05)

    async def __aenter__(self) -> "Load":
        self._askers = [asyncio.create_task(self._ask(who)) for who in range(3)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await asyncio.gather(*self._askers)


async def _restart(server: Server, how: str, away: float) -> None:
    await asyncio.to_thread(server.kill if how == "SIGKILL" else server.stop)
    await asyncio.sleep(away)
    await asyncio.to_thread(server.start)


async def _check_all_ended(field: Field, load: Load) -> None:
    """Each accepted job has ended once; a refused one may have been accepted, its answer lost, and then ends once too."""
    await field.drained()
    endings = await field.endings()
    assert set(load.accepted) <= endings.keys()
    assert set(endings.values()) == {1}
    assert len(endings) <= len(load.accepted) + load.refused
    assert await field.events("bank.job.failed") == []


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_restarts_of_redis_under_load(restartable: Field, server: Server, how: str) -> None:
    """Redis goes away for a second or two, again and again: workers stay up and every accepted job ends once."""
    workers = await restartable.workers(2, BANK_SYNC_LEASE_MS=LONG)
    chance = random.Random(5)
    async with Load(restartable) as load:
        for _ in range(RESTARTS):
            reached = len(load.accepted) + 20
            await wait_until(lambda: len(load.accepted) >= reached)  # noqa: B023  # awaited within the turn
            await _restart(server, how, chance.uniform(1, 2))
    await _check_all_ended(restartable, load)
    assert not any(worker.ended for worker in workers)


@pytest.mark.soak
async def test_an_outage_longer_than_all_retries(restartable: Field, server: Server) -> None:
    """Redis is away for 12 s: who asks is told, workers stay up, and every accepted job ends once."""
    workers = await restartable.workers(2, BANK_SYNC_LEASE_MS=LONG)
    async with Load(restartable) as load:
        await wait_until(lambda: len(load.accepted) >= 20)
        await _restart(server, "SIGKILL", 12)
        reached = len(load.accepted) + 20
        await wait_until(lambda: len(load.accepted) >= reached)
    await _check_all_ended(restartable, load)
    assert load.refused > 0
    assert not any(worker.ended for worker in workers)


@pytest.mark.soak
async def test_a_server_that_freezes(restartable: Field, server: Server) -> None:
    """Redis answers nothing for 10 s, then does all that was asked, some of it twice: every accepted job ends once."""
    workers = await restartable.workers(2, BANK_SYNC_LEASE_MS=LONG)
    async with Load(restartable) as load:
        await wait_until(lambda: len(load.accepted) >= 20)
        server.freeze()
        await asyncio.sleep(10)  # no condition: longer than an answer is waited for
        server.thaw()
        reached = len(load.accepted) + 20
        await wait_until(lambda: len(load.accepted) >= reached)
    await _check_all_ended(restartable, load)
    assert not any(worker.ended for worker in workers)


async def test_a_paused_queue_starts_nothing_over_a_restart_of_everything(restartable: Field, server: Server) -> None:
    """Running jobs finish, delayed ones become waiting, and nothing starts, whatever is restarted, until resumed."""
    field = restartable
    worker = await field.worker(BANK_SYNC_RETRY_DELAY_SCALE="0.3")
    running = await field.sync("sleep-1500-a")
    failing = await field.sync("fail-1-a")
    await field.mark("start", failing)
    await field.mark("start", running)
    await field.queue.pause(reason="maintenance")
    waiting = await field.sync("waits")
    await field.ended(running)
    await wait_until(lambda: _state(field, failing, JobState.WAITING), what="the delayed job to become waiting")
    await asyncio.to_thread(worker.stop)
    await _restart(server, "SIGTERM", 0.2)
    await field.workers(2)
    await asyncio.sleep(1.5)  # asking woke the workers; this is time enough to start it
    assert len(await field.marks("start")) == 2
    stats, health = await field.watch.stats(), await field.watch.health()
    assert (stats.paused, stats.waiting, stats.completed, health.is_paused) == (2, 0, 1, True)
    await field.queue.resume()
    await field.drained()
    await field.check_ended_once([running, failing, waiting])


async def test_a_pause_with_an_end_ends_by_itself(restartable: Field, server: Server) -> None:
    """A queue paused until an instant starts again then, though everything was restarted meanwhile."""
    field = restartable
    until = datetime.now(UTC) + timedelta(seconds=2.5)
    await field.queue.pause(until=until)
    job_id = await field.sync("waits")
    await _restart(server, "SIGTERM", 0.2)
    await field.worker()
    started = await field.mark("start", job_id)
    assert 0 <= started.at - until.timestamp() < 1.5
    assert [name for name, _ in await field.events()][:2] == ["bank.queue.paused", "bank.job.queued"]
    assert len(await field.events("bank.queue.resumed")) == 1
    await field.ended(job_id)


async def _state(field: Field, job_id: str, state: JobState) -> bool:
    return (await field.status(job_id)).state is state
