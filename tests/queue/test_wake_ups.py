"""A worker that has just had work waits with its next claim behind the wait: the job comes with the token."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from importlib import resources
from typing import Any

import pytest

from bankimport.errors import Unavailable
from bankimport.queue.claims import Claims, Hooks
from bankimport.queue.idling import WARM, IdlePolicy
from bankimport.queue.run import _UNHEARD, Run
from bankimport.queue.transitions import Ended
from bankimport.queue.under_way import ClaimCall, ClaimsUnderWay
from bankimport.queue.wake_ups import WakeUps
from bankimport.status import JobState
from bankimport.worker.stopping import end
from tests.queue.driver import FUNCTIONS, Driver
from tests.waiting import wait_until

SLOTS = 4


class _Deaf:
    """A script whose call on the connection of waits fails."""

    def __init__(self, script: Any, aside: Any) -> None:
        self.aside, self._script = aside, script

    async def __call__(self, *args: Any) -> Any:
        return await self._script(*args)


class Worker:
    """Claims and wake-ups, whose runs do nothing."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.begun: list[str] = []
        self.over: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.hooks = Hooks("w", SLOTS, functions=set(FUNCTIONS), run=self._run)
        self.claims = Claims(driver.queue, self.hooks, driver.queue.client)
        self.wake_ups = WakeUps(self.claims, driver.queue, driver.queue.client)
        self.tasks: list[asyncio.Task[None]] = []

    async def _run(self, run: Run) -> None:
        self.begun.append(run.job_id)
        await self.over[run.job_id].wait()

    async def start(self) -> None:
        """Listen and look, as a worker does, and have had a job."""
        self.tasks = [asyncio.create_task(self.wake_ups.listen()), asyncio.create_task(self._look())]
        first = await self.driver.ask("first")
        await wait_until(lambda: first in self.claims.runs, what="the first job")
        await self.end(first)
        await wait_until(self.waits, what="a wait with a claim")

    async def _look(self) -> None:
        while True:
            await self.claims.look()

    async def waits(self) -> bool:
        """Whether a claim stands behind a wait."""
        waiting = any(number.endswith("w") for number in self.claims._under_way._asked)
        return waiting and bool((await self.driver.queue.client.info("clients"))["blocked_clients"])

    async def end(self, job_id: str) -> None:
        """Let a run end well."""
        run = self.claims.runs[job_id]
        run.settled = True
        answer = await self.driver.do.complete_job(job_id, str(run.fence), b"{}", "", "", "ok", [], [], [])
        assert answer is Ended.DONE
        self.over[job_id].set()

    async def stop(self) -> None:
        """Stop listening, looking and running."""
        await end(*self.tasks, *self.claims.running, *self.claims.asking)
        self.driver.queue.scripts.before_trip = None


@pytest.fixture
async def worker(driver: Driver) -> AsyncIterator[Worker]:
    """A worker that waits with its next claim ready."""
    made = Worker(driver)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


async def lease(driver: Driver, job_id: str) -> float:
    """Return how long a run's lease lasts from now on, in seconds."""
    seconds, micros = await driver.queue.client.time()
    return (await driver.score(JobState.ACTIVE, job_id) or 0) / 1000 - seconds - micros / 1e6


async def test_a_job_comes_with_the_token(driver: Driver, worker: Worker) -> None:
    """It begins at once, and the server hears that the worker has it."""
    job_id = await driver.ask("c")
    await wait_until(lambda: job_id in worker.begun, what="its run")
    await wait_until(lambda: lease_is_whole(driver, job_id), what="a whole lease")
    assert worker.claims.runs[job_id].unheard


async def lease_is_whole(driver: Driver, job_id: str) -> bool:
    """Whether a run's lease is as long as those of others."""
    return await lease(driver, job_id) > 10


async def test_jobs_that_come_at_once_find_all_places(driver: Driver, worker: Worker) -> None:
    """Half of the places wait with the claim, the others are claimed beside it."""
    ids = [await driver.ask(f"c{number}") for number in range(2 * SLOTS)]
    await wait_until(lambda: len(worker.claims.runs) == SLOTS, what="a full worker")
    active = await driver.ids(JobState.ACTIVE)
    assert active == set(worker.claims.runs) <= set(ids)
    assert len(active) == SLOTS


async def test_what_comes_while_the_worker_stops_does_not_begin(driver: Driver, worker: Worker) -> None:
    """It is given back here and now: the worker may wait for other jobs for long."""
    worker.claims.stop()
    job_id = await driver.ask("c")
    await wait_until(lambda: has_come_back(driver, job_id), what="a job that was started and waits again")
    assert job_id not in worker.begun
    assert worker.claims.runs == {}
    assert await driver.events("bank.job.stalled") == []


async def test_a_claim_behind_a_wait_whose_reply_was_lost(driver: Driver, worker: Worker) -> None:
    """The same is asked for again, and brings the same job, with a whole lease."""
    wire = driver.queue.scripts._aside._wire
    assert wire is not None
    wire.data_received = lambda _: wire._transport.abort()  # type: ignore[method-assign]  # it is deaf
    job_id = await driver.ask("c")
    await wait_until(lambda: job_id in worker.claims.runs, what="the claim")
    assert await lease(driver, job_id) > 10
    assert await driver.ids(JobState.ACTIVE) == {job_id}
    run = worker.claims.runs[job_id]
    assert (run.claim.stalls, run.unheard) == (0, False)
    await worker.end(job_id)


async def has_come_back(driver: Driver, job_id: str) -> bool:
    """Whether a job has been started and waits again."""
    started = ("bank.job.started", job_id) in await driver.events()
    return started and await driver.state(job_id) is JobState.WAITING


async def test_a_claim_behind_a_wait_that_was_never_carried_out(driver: Driver) -> None:
    """Asked for again it is one like any other: its lease is whole, and nobody need say that it was heard."""
    job_id = await driver.ask("c")
    claimed = await driver.do.claim_jobs.again("w", "7w", 1, 0, list(FUNCTIONS))
    assert [row[0].decode() for row in claimed.rows] == [job_id]
    assert await lease(driver, job_id) > 10


@pytest.mark.parametrize("failure", [Unavailable("Redis"), RuntimeError("Redis refused a script")])
async def test_a_word_that_is_not_heard_is_said_again(
    driver: Driver, worker: Worker, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """On the ordinary connection, before the short lease is over; the worker goes on listening."""

    async def refused(*_: object) -> list[str]:
        raise failure

    monkeypatch.setattr(driver.do, "hear_claims", _Deaf(driver.do.hear_claims, refused))
    job_id = await driver.ask("c")
    await wait_until(lambda: job_id in worker.begun, what="its run")
    await wait_until(lambda: lease_is_whole(driver, job_id), what="a whole lease")
    await wait_until(lambda: worker.claims.runs[job_id]._owned_until > time.monotonic() + 10, what="a renewed run")
    assert not worker.tasks[0].done()


async def test_a_wait_that_is_refused_is_no_reason_to_hurry(driver: Driver, worker: Worker) -> None:
    """The claim behind it may be carried out all the same: a server that takes no writes was asked 2,900 times a second."""
    client, wake = driver.queue.client, driver.queue.keys.wake
    await client.lpush(wake, "1")
    await wait_until(worker.waits, what="a wait with a claim")
    await client.set(wake, "no list")
    await wait_until(lambda: refused_waits(driver), what="a wait that is refused")
    began, before = time.monotonic(), await refused_waits(driver)
    await wait_until(lambda: more_refused(driver, before + 3), what="more of them")
    assert time.monotonic() - began > 0.5, "a claim behind it and one alone, then a pause"
    await client.delete(wake)


async def more_refused(driver: Driver, number: int) -> bool:
    """Whether the server has refused so many waits."""
    return await refused_waits(driver) >= number


async def refused_waits(driver: Driver) -> int:
    """Return how many waits the server has refused."""
    stats = await driver.queue.client.info("commandstats")
    return int(stats["cmdstat_blpop"]["failed_calls"])


async def test_what_a_frozen_worker_was_given_is_nobodys_fault(driver: Driver) -> None:
    """Until it has said that it has the job its lease is short; its end is no stall, and the job is the next one's."""
    job_id = await driver.ask("c")
    for _ in range(4):
        [claim] = await driver.claim(waiting=True)
        assert (claim.job_id, claim.stalls) == (job_id, 0)
        assert 0 < await lease(driver, job_id) <= 5
        await driver.lapse(job_id)
    assert await driver.events("bank.job.stalled") == []
    [claim] = await driver.claim(waiting=True)
    assert await driver.hear(claim) == []
    assert await lease(driver, job_id) > 10
    await driver.lapse(job_id)
    [again] = await driver.claim()
    assert again.stalls == 1
    assert await driver.hear(claim) == [job_id], "it is another's by now"


async def test_a_beat_says_it_too(driver: Driver) -> None:
    """The word itself may have been lost."""
    job_id = await driver.ask("c")
    [claim] = await driver.claim(waiting=True)
    await driver.beat([claim])
    await driver.lapse(job_id)
    [again] = await driver.claim()
    assert again.stalls == 1


async def test_what_comes_too_late_is_given_back(driver: Driver, worker: Worker) -> None:
    """A loop that stood still for longer than the short lease runs nothing of what it was given, and keeps nothing: to
    say that it has it would hold it for a whole lease, in which nobody runs it. Red before."""
    await worker.stop()
    job_id = await driver.ask("c")
    rows = (await driver.do.claim_jobs("w", "1w", 1, 0, list(FUNCTIONS))).rows
    assert await worker.claims._hold_all(rows, time.monotonic() - 6, unheard=True) == []
    assert worker.claims.runs == {}
    assert await driver.state(job_id) is JobState.WAITING
    assert await driver.events("bank.job.stalled") == []


@pytest.mark.parametrize("suspect_is_there", [True, False])
async def test_company_for_a_suspect_is_given_back(driver: Driver, worker: Worker, suspect_is_there: bool) -> None:
    """A claim behind a wait was sent beside others: it may bring a suspect to a worker that has become busy meanwhile,
    or company to one that has got a suspect."""
    await worker.stop()
    suspect = await driver.ask("suspect")
    for _ in range(2):
        await driver.claim(worker="dead")
        await driver.lapse(suspect)
    other = await driver.ask("other", org="other")
    first, second = (suspect, other) if suspect_is_there else (other, suspect)
    rows = {}
    for number in ("1w", "2w"):
        claimed = await driver.do.claim_jobs("w", number, 1, 0, list(FUNCTIONS))
        rows |= {row[0].decode(): [row] for row in claimed.rows}
    [held] = await worker.claims._hold_all(rows[first], time.monotonic(), unheard=True)
    assert held.job_id == first
    assert await worker.claims._hold_all(rows[second], time.monotonic(), unheard=True) == []
    assert set(worker.claims.runs) == {first}
    assert (await driver.state(first), await driver.state(second)) == (JobState.ACTIVE, JobState.WAITING)
    assert [job_id for _, job_id in await driver.events("bank.job.stalled")] == [suspect] * 2, "not its fault"


def test_both_sides_know_how_long_an_unheard_lease_is() -> None:
    """The worker must never believe in a longer one than the server gives."""
    leases = resources.files("bankimport").joinpath("queue/lua/lib/leases.lua").read_text()
    assert f"local UNHEARD = {round(_UNHEARD * 1000)}\n" in leases


def test_only_a_worker_that_has_just_had_work_keeps_a_claim_ready() -> None:
    """An idle one asks little of Redis."""
    policy = IdlePolicy()
    assert not policy.is_warm(0.0)
    policy.found(100.0)
    assert policy.is_warm(100.0 + WARM - 0.1)
    assert not policy.is_warm(100.0 + WARM)


def test_places_are_asked_for_once() -> None:
    """Each claim has its own; one that waits counts for no other as busy, so that a suspect finds a free worker."""
    under_way = ClaimsUnderWay()
    waiting = under_way.begin_waiting(2, 0)
    assert waiting == ClaimCall("1w", 2, 0)
    assert under_way.alone is None
    first = under_way.begin(1, 0)
    assert first == ClaimCall("2", 1, 0)
    assert under_way.alone == "2"
    assert under_way.begin(1, 0) == ClaimCall("3", 1, 1)
    assert under_way.places == 4
    under_way.lose("2")
    under_way.end("2")
    assert under_way.places == 4
    under_way.end("3")
    assert under_way.again(0) == first
    for number in ("2", "1w"):
        under_way.end(number)
    assert (under_way.places, under_way.alone) == (0, None)
