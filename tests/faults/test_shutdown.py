"""SIGTERM: jobs finish or are given back, no attempt is counted, and a worker stops in time whatever else is wrong."""

import asyncio
import sys
import time
from pathlib import Path

import pytest

from bankimport.status import JobState
from tests.faults.field import LAB, Field, Server
from tests.faults.proxy import Proxy
from tests.soak import SOAK
from tests.waiting import PATIENCE, wait_until

TERMS = 10 if SOAK else 2
ARQ = str(Path(sys.executable).parent / "arq")


async def test_a_job_that_ends_within_the_grace_is_finished(field: Field) -> None:
    """SIGTERM during a sync: the worker starts nothing new, ends the running job well, and exits with 0."""
    worker = await field.worker(LAB_GRACE_S="10")
    job_id = await field.sync("sleep-1500-a")
    await field.mark("write", job_id)
    stopping = asyncio.create_task(asyncio.to_thread(worker.stop))
    await worker.line("worker.stopping")
    later = await field.sync("later")
    assert await stopping == 0
    assert (await field.status(job_id)).state is JobState.COMPLETED
    assert (await field.status(later)).state is JobState.WAITING
    await field.worker()
    await field.ended(later)
    assert len(await field.marks("start", job_id)) == 1
    await field.check_ended_once([job_id, later])


async def test_sigterms_on_a_long_job_cost_no_attempt(field: Field) -> None:
    """A long job is given back at each of many deploys; it waits at the front, counts no attempt, and completes."""
    job_id = await field.sync("sleep-2500-a")
    fence = 0
    for _ in range(TERMS):
        worker = await field.worker(LAB_GRACE_S="1")
        fence = (await field.mark("start", job_id, after=fence)).fence
        assert await asyncio.to_thread(worker.stop) == 0
        status = await field.status(job_id)
        assert (status.state, status.attempts_made) == (JobState.WAITING, 0)
    await field.worker()
    ended = await field.ended(job_id)
    assert (ended.state, ended.attempts_made) == (JobState.COMPLETED, 0)
    assert await field.events("bank.job.stalled") == []
    assert len(await field.marks("start")) == TERMS + 1
    await field.check_ended_once([job_id])


async def test_a_cancel_that_is_swallowed_is_not_lost(field: Field) -> None:
    """A job whose own code swallows the cancel (as `wait_for` of Python 3.11 may) is given back at its next step."""
    worker = await field.worker(LAB_GRACE_S="1")
    job_id = await field.sync("deaf-8000-a")
    await field.mark("write", job_id)
    began = time.monotonic()
    await asyncio.to_thread(worker.stop)
    assert time.monotonic() - began < 4
    assert (await field.status(job_id)).state is JobState.WAITING
    await field.queue.cancel(job_id)


@pytest.mark.soak
async def test_a_job_given_back_waits_before_all_others(field: Field) -> None:
    """What a deploy interrupts is gone on with before what came later."""
    worker = await field.worker(LAB_GRACE_S="1", BANK_SYNC_CONCURRENCY="1")
    first = await field.sync("sleep-1800-first")
    await field.mark("start", first)
    later = await field.syncs(f"sleep-10-{number}" for number in range(5))
    await asyncio.to_thread(worker.stop)
    await field.worker(BANK_SYNC_CONCURRENCY="1")
    await field.drained()
    assert [mark.job_id for mark in await field.marks("start")] == [first, first, *later]
    await field.check_ended_once([first, *later])


async def test_a_claim_under_way_at_sigterm_is_given_back(field: Field) -> None:
    """A job handed to a worker that has just stopped, so that nobody began it, waits again at once and no stall counts."""
    async with Proxy(field.settings.redis_port) as proxy:
        worker = await field.worker(REDIS_URL=proxy.url(field.url), BANK_SYNC_LEASE_MS="15000")
        proxy.hold_answers_from("sleep-100-a")
        job_id = await field.sync("sleep-100-a")
        await wait_until(lambda: _is(field, job_id, JobState.ACTIVE))
        stopping = asyncio.create_task(asyncio.to_thread(worker.stop))
        await worker.line("worker.stopping")
        proxy.release_answers()
        assert await stopping == 0
    assert (await field.status(job_id)).state is JobState.WAITING
    await field.worker()
    await field.ended(job_id, timeout=10)  # long before the lease is over
    assert await field.events("bank.job.stalled") == []
    await field.check_ended_once([job_id])


async def test_sigterm_while_redis_is_away(restartable: Field, server: Server) -> None:
    """A worker with a running job stops within its grace and some seconds, though Redis is away; the job ends later."""
    field = restartable
    worker = await field.worker(LAB_GRACE_S="1")
    job_id = await field.sync("mute-20000-a")
    await field.mark("start", job_id)
    server.kill()
    began = time.monotonic()
    await asyncio.to_thread(worker.stop)
    assert time.monotonic() - began < 1 + 12
    server.start()
    assert (await field.status(job_id)).state is JobState.ACTIVE
    await field.worker()
    await field.mark("start", job_id)
    await field.queue.cancel(job_id)
    await field.ended(job_id)
    assert await field.endings() == {job_id: 1}


async def _is(field: Field, job_id: str, state: JobState) -> bool:
    return (await field.status(job_id)).state is state


async def _check(field: Field) -> int:
    command = field.processes.python("check", ARQ, "--check", LAB, environment=field.environment())
    return await asyncio.to_thread(command.process.wait)


async def _checked(field: Field) -> bool:
    return await _check(field) == 0


async def test_arqs_own_check(field: Field) -> None:
    """`arq --check` says 0 while a worker lives, also after one of two has stopped, and 1 when none is left."""
    assert await _check(field) == 1
    first, second = await field.workers(2)
    await wait_until(lambda: _checked(field), what="the first health line")
    await asyncio.to_thread(first.stop)
    assert await _check(field) == 0
    await asyncio.to_thread(second.stop)
    assert await _check(field) == 1


async def test_arqs_burst_ends_when_nothing_is_left(field: Field) -> None:
    """`arq --burst` works off what waits and runs, though nothing of ours stands in arq's queue, and ends with 0."""
    job_ids = await field.syncs(f"sleep-100-{number}" for number in range(15))
    command = field.processes.python("burst", ARQ, "--burst", LAB, environment=field.environment())
    assert await asyncio.to_thread(command.process.wait, PATIENCE) == 0
    await field.check_ended_once(job_ids)
