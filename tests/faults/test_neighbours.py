"""A job that kills its process is failed alone, and a worker that is told twice to stop stops at once."""

import asyncio
import signal
import time

from bankimport.status import JobState
from tests.faults.field import Field
from tests.waiting import wait_until


async def test_a_job_that_kills_its_worker_fails_alone(field: Field) -> None:
    """Its neighbours run beside it twice, then each that was there runs alone: only the guilty one fails."""
    neighbours = await field.syncs(f"sleep-1200-{number}" for number in range(4))
    guilty = await field.sync("kill-me")
    deaths = 0
    worker = await field.worker()
    while (await field.status(guilty)).state is not JobState.FAILED:
        if worker.ended:
            deaths += 1
            worker = await field.worker()
        await asyncio.sleep(0.05)
        assert deaths <= 3
    status = await field.status(guilty)
    assert status.failed_reason == "job stalled more than allowable limit"
    for job_id in neighbours:
        assert (await field.ended(job_id)).state is JobState.COMPLETED
    assert await field.endings() == dict.fromkeys([guilty, *neighbours], 1)


async def test_a_second_signal_stops_a_worker_at_once(field: Field) -> None:
    """Two SIGTERMs, or two Ctrl-Cs: it gives its job back and is gone in two seconds, whatever its grace."""
    for number in (signal.SIGTERM, signal.SIGINT):
        worker = await field.worker(LAB_GRACE_S="30")
        job_id = await field.sync(f"sleep-20000-{number}")
        await field.mark("start", job_id)
        worker.signal(number)
        await worker.line("worker.stopping")
        began = time.monotonic()
        worker.signal(number)
        await wait_until(lambda worker=worker: worker.ended, 4, what="the end of the worker")
        assert time.monotonic() - began < 2
        status = await field.status(job_id)
        assert (status.state, status.attempts_made) == (JobState.WAITING, 0)
        await field.queue.cancel(job_id)
    assert await field.events("bank.job.stalled") == []


async def test_a_job_that_swallows_every_cancel_holds_up_no_end(field: Field) -> None:
    """A worker that is told twice to stop ends, and its job is another's. Red before."""
    worker = await field.worker(LAB_GRACE_S="30")
    job_id = await field.sync("stubborn-a")
    await field.mark("start", job_id)
    worker.signal(signal.SIGTERM)
    await worker.line("worker.stopping")
    worker.signal(signal.SIGTERM)
    await wait_until(lambda: worker.ended, what="the end of the worker")
    assert "worker.runs_left" in worker.output()
    assert (await field.status(job_id)).state is JobState.WAITING
    await field.queue.cancel(job_id)


async def test_a_blocked_loop_is_measured(field: Field) -> None:
    """A job that blocks its worker's loop for two leases leaves the lag in the log and in the heartbeat."""
    worker = await field.worker()
    job_id = await field.sync("block-3200-a")
    await worker.line("worker.loop_blocked")
    await field.ended(job_id)

    async def told() -> bool:
        return any(each.lag_ms > 1000 for each in (await field.watch.health()).workers)

    assert "seconds=" in worker.output()
    await wait_until(told, what="a heartbeat with the lag")
