"""What arq would give up without a word runs all the same, or ends with one; and who is alive is known."""

import asyncio

from bankimport.commands import SyncConnection
from bankimport.queue.queue import Enqueue
from bankimport.status import JobState
from tests.faults.field import Field
from tests.waiting import wait_until


async def test_jobs_that_arq_would_not_run(field: Field) -> None:
    """Its tries are used up, somebody else's claim lies on it: each job runs, once."""
    tried, claimed = await field.syncs(["plain-2", "plain-3"])
    await field.redis.set(f"arq:retry:{tried}", 5_000_000, ex=60)
    await field.redis.set(f"arq:in-progress:{claimed}", "1", ex=600)
    worker = await field.worker()
    await asyncio.gather(*(field.ended(job_id) for job_id in (tried, claimed)))
    await field.check_ended_once([tried, claimed])
    assert not worker.ended


async def test_a_job_that_no_worker_knows(field: Field) -> None:
    """A job of a type that a newer version of us knows waits for a worker of that version, and holds up nobody."""
    row = Enqueue(SyncConnection(org_id="org-1", connection_id="c")).row() | {"type": "sync-of-tomorrow"}
    [(_, job_id)] = await field.queue.transitions.enqueue_jobs([row], "")
    worker = await field.worker()
    await field.ended(await field.sync("plain"))
    assert (await field.status(job_id)).state is JobState.WAITING
    assert await field.redis.hget(field.queue.keys.of("unknown_since"), "sync-of-tomorrow")
    assert not worker.ended
    await field.queue.cancel(job_id)


async def _alive(field: Field) -> set[int]:
    return {worker.pid for worker in (await field.watch.health()).workers}


async def test_who_is_alive(field: Field) -> None:
    """Each worker beats for itself; one that stops is gone at once, one that was killed after two leases or 5 s; and
    then a waiting job is an alert."""
    stopped, killed = await field.workers(2)
    assert await _alive(field) == {stopped.pid, killed.pid}
    job_id = await field.sync("sleep-1000-a")
    await field.mark("start", job_id)
    await wait_until(lambda: _running(field), what="a heartbeat that tells of the running job")
    await field.ended(job_id)
    await asyncio.to_thread(stopped.stop)
    assert await _alive(field) == {killed.pid}
    killed.kill()
    waiting = await field.sync("plain")
    await wait_until(lambda: _nobody(field), 7, what="the killed worker to be gone")
    await field.redis.zincrby(field.queue.keys.state("waiting"), -60_000, waiting)
    assert [alert.code for alert in (await field.watch.health()).alerts] == ["no-workers"]


async def _running(field: Field) -> bool:
    return sorted(worker.running for worker in (await field.watch.health()).workers) == [0, 1]


async def _nobody(field: Field) -> bool:
    return not await _alive(field)
