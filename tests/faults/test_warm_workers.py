"""A worker that has just had work is given its next job while it waits, before it has asked: nothing is lost by that."""

import signal

from bankimport.status import JobState
from tests.faults.field import Field
from tests.processes import Running
from tests.waiting import wait_until


async def warm_worker(field: Field, **variables: str) -> Running:
    """Return a worker that has had jobs, and waits with its next claim behind the wait."""
    worker = await field.worker(**variables)
    probe = ""
    while not probe or not await field.marks("waited", probe):
        probe = await field.sync("probe")
        await field.ended(probe)
    await wait_until(lambda: _waits(field), what="a wait")
    return worker


async def _waits(field: Field) -> bool:
    mine = [client for client in await field.redis.client_list() if client["db"] == str(field.settings.redis_db)]
    return any(client["cmd"] == "blpop" and client["flags"] == "b" for client in mine)


async def test_a_job_that_kills_a_warm_worker_is_found_guilty(field: Field) -> None:
    """Its worker says that it has the job before the job's own code begins, so that each death counts."""
    worker = await warm_worker(field)
    guilty = await field.sync("kill-me")
    for deaths in range(1, 4):
        await wait_until(lambda worker=worker: worker.ended, what=f"death {deaths} of a worker")
        worker = await field.worker()
    status = await field.ended(guilty)
    assert (status.state, status.failed_reason) == (JobState.FAILED, "job stalled more than allowable limit")
    assert len(await field.marks("waited", guilty)) == 1
    assert len(await field.events("bank.job.stalled")) == 3


async def test_a_frozen_warm_worker_keeps_no_job(field: Field) -> None:
    """It is given the job while it waits, says nothing, and the job is another's within a short lease; no stall."""
    frozen = await warm_worker(field)
    frozen.signal(signal.SIGSTOP)
    job_id = await field.sync("a")
    await wait_until(lambda: _is(field, job_id, JobState.ACTIVE), what="the claim of the frozen worker")
    await field.worker()
    await field.ended(job_id)
    frozen.signal(signal.SIGCONT)
    later = await field.sync("b")
    await field.ended(later)
    endings = await field.endings()
    assert (endings[job_id], endings[later]) == (1, 1)
    assert await field.events("bank.job.stalled") == []
    assert len([mark for mark in await field.marks(job_id=job_id) if mark.word == "start"]) == 1


async def _is(field: Field, job_id: str, state: JobState) -> bool:
    return (await field.status(job_id)).state is state


async def test_a_warm_worker_that_stops_gives_its_job_back(field: Field) -> None:
    """A job that came with the token has the worker's grace like any other; no attempt is counted."""
    worker = await warm_worker(field, LAB_GRACE_S="1")
    job_id = await field.sync("sleep-20000-a")
    await field.mark("waited", job_id)
    worker.signal(signal.SIGTERM)
    await wait_until(lambda: worker.ended, what="the end of the worker")
    status = await field.status(job_id)
    assert (status.state, status.attempts_made) == (JobState.WAITING, 0)
    assert await field.events("bank.job.stalled") == []


async def test_jobs_of_a_warm_worker_are_tried_again_and_cancelled(field: Field) -> None:
    """As those of any other."""
    await warm_worker(field)
    tried = await field.sync("fail-2-a")
    status = await field.ended(tried)
    assert (status.state, status.attempts_made) == (JobState.COMPLETED, 2)
    cancelled = await field.sync("sleep-20000-b")
    await field.mark("waited", cancelled)
    await field.queue.cancel(cancelled)
    assert (await field.ended(cancelled)).state is JobState.CANCELLED
