"""A worker is killed, frozen or blocked in the middle of a job: another run takes over, and the job ends once."""

import asyncio
import signal

import pytest

from bankimport.redis.connection import BLOCK
from bankimport.status import JobState
from tests.faults.field import Field
from tests.queue.lab import Mark
from tests.soak import SOAK
from tests.waiting import wait_until

KILLS = 20 if SOAK else 2
FREEZES = 10 if SOAK else 1


async def test_a_killed_workers_job_runs_again_within_its_lease_and_five_seconds(field: Field) -> None:
    """kill -9 in the middle of a job: a second run starts within lease + 5 s, and the job ends once."""
    workers = await field.workers(2)
    job_ids = []
    for number in range(KILLS):
        job_id = await field.sync(f"sleep-1000-{number}")
        job_ids.append(job_id)
        first = await field.mark("write", job_id)
        victim = await field.holder(job_id, workers)
        victim.kill()
        killed = asyncio.get_running_loop().time()
        await field.mark("start", job_id, after=first.fence, timeout=field.lease + 5)
        assert asyncio.get_running_loop().time() - killed < field.lease + 5
        workers.remove(victim)
        [replacement, _] = await asyncio.gather(field.worker(), field.ended(job_id))
        workers.append(replacement)
    await field.check_ended_once(job_ids)
    assert await field.events("bank.job.stalled") == [("bank.job.stalled", job_id) for job_id in job_ids]
    assert {(await field.status(job_id)).attempts_made for job_id in job_ids} == {0}


@pytest.mark.soak
async def test_a_third_stall_fails_the_job(field: Field) -> None:
    """A job that takes its worker with it three times is failed, with the reason, and takes no fourth."""
    job_id = await field.sync("sleep-20000-poison")
    fence = 0
    for _ in range(3):
        worker = await field.worker()
        fence = (await field.mark("start", job_id, after=fence)).fence
        worker.kill()
    await field.worker()
    ended = await field.ended(job_id)
    assert (ended.state, ended.failed_reason) == (JobState.FAILED, "job stalled more than allowable limit")
    assert await field.endings() == {job_id: 1}
    assert len(await field.marks("start")) == 3


def _written_after(found: list[Mark], second: Mark) -> list[Mark]:
    return [mark for mark in found if mark.fence < second.fence and mark.at > second.at]


async def test_a_frozen_worker_writes_nothing_after_its_lease(field: Field) -> None:
    """SIGSTOP beyond the lease, then SIGCONT: the woken worker says so and writes no more; the job ends once."""
    workers = await field.workers(2)
    job_ids = []
    for number in range(FREEZES):
        job_id = await field.sync(f"sleep-4000-{number}")
        job_ids.append(job_id)
        first = await field.mark("write", job_id)
        frozen = await field.holder(job_id, workers)
        said = len(frozen.output())
        frozen.signal(signal.SIGSTOP)
        second = await field.mark("start", job_id, after=first.fence)
        frozen.signal(signal.SIGCONT)
        await frozen.line("lease-lost", after=said)
        await field.ended(job_id)
        assert _written_after(await field.marks(job_id=job_id), second) == []
        assert not frozen.ended
    await field.check_ended_once(job_ids)


async def test_a_wake_up_that_a_frozen_worker_swallows_is_made_good(field: Field) -> None:
    """The only wake-up goes to a worker that froze while it waited for one: another's beat finds the job all the same."""
    await field.worker()
    frozen = asyncio.create_task(field.redis.client().blpop([field.queue.keys.wake], timeout=60))
    await wait_until(lambda: _has_waited_longest(field), what="the turn of the frozen worker")
    job_id = await field.sync("a")
    assert await frozen is not None
    await field.mark("start", job_id, timeout=field.lease / 3 + 1)
    await field.ended(job_id)


async def _has_waited_longest(field: Field) -> bool:
    """Whether one waits for longer than a worker's read does, so that the next wake-up is its."""
    clients = await field.redis.client_list()
    return any(client["cmd"] == "blpop" and int(client["idle"]) > BLOCK for client in clients)


@pytest.mark.soak
async def test_a_worker_frozen_while_it_waits_for_a_bank_gives_way(field: Field) -> None:
    """A woken worker whose job checks nothing by itself is stopped by its next beat."""
    workers = await field.workers(2)
    job_id = await field.sync("quiet-2500-a")
    first = await field.mark("start", job_id)
    frozen = await field.holder(job_id, workers)
    frozen.signal(signal.SIGSTOP)
    second = await field.mark("start", job_id, after=first.fence)
    frozen.signal(signal.SIGCONT)
    await frozen.line("lease-lost", timeout=2)
    await field.ended(job_id)
    assert _written_after(await field.marks(job_id=job_id), second) == []
    await field.check_ended_once([job_id])


async def test_a_blocked_event_loop_finds_out(field: Field) -> None:
    """A job that blocks its worker's loop beyond the lease finds out that it lost it, and ends once."""
    workers = await field.workers(2)
    job_id = await field.sync("block-3000-a")
    first = await field.mark("start", job_id)
    blocked = await field.holder(job_id, workers)
    second = await field.mark("start", job_id, after=first.fence)
    await blocked.line("lease-lost")
    await field.ended(job_id)
    assert _written_after(await field.marks(job_id=job_id), second) == []
    await field.check_ended_once([job_id])


async def test_a_worker_takes_over_its_own_lost_run(field: Field) -> None:
    """A woken worker that claims its own lapsed job anew ends the old run first, and the job ends once."""
    await field.worker(BANK_SYNC_CONCURRENCY="1")
    busy = await field.sync("sleep-60000-a")  # that worker notices the stall, but has no place for the job
    await field.mark("start", busy)
    frozen = await field.worker()
    lapsed = await field.sync("quiet-2500-b", org_id="org-2")
    first = await field.mark("start", lapsed)
    frozen.signal(signal.SIGSTOP)
    await wait_until(lambda: field.events("bank.job.stalled"), what="a stall")
    frozen.signal(signal.SIGCONT)
    second = await field.mark("start", lapsed, after=first.fence)
    assert await field.holder(lapsed, [frozen]) is frozen
    ended = await field.ended(lapsed)
    assert (ended.state, ended.attempts_made) == (JobState.COMPLETED, 0)
    assert [mark.fence for mark in await field.marks("end", lapsed)] == [second.fence]
    await field.queue.cancel(busy)
    await field.ended(busy)
    assert await field.endings() == {busy: 1, lapsed: 1}
