"""Redis or the store refuses instead of being away: the worker stays up, and goes on when they do."""

import asyncio

from arq.connections import ArqRedis

from bankimport.status import JobState
from tests.faults.field import Field
from tests.waiting import wait_until


async def test_a_server_out_of_memory_does_not_end_the_worker(restartable: Field) -> None:
    """A server that refuses writes for want of memory ends no worker; jobs that end meanwhile are written afterwards."""
    field = restartable
    worker = await field.worker(BANK_SYNC_LEASE_MS="6000", LAB_HEALTH_S="1")
    running = await field.syncs(f"mute-{length}-a" for length in (600, 610, 3500))
    await asyncio.gather(*(field.mark("start", job_id) for job_id in running))
    await field.redis.config_set("maxmemory", "1")
    await asyncio.sleep(2.2)  # no condition: for this long it refuses, a beat among what it refuses
    await field.redis.config_set("maxmemory", "0")
    running.append(await field.sync("quick"))
    await field.drained()
    assert not worker.ended
    await field.check_ended_once(running)
    assert await field.events("bank.job.stalled") == []


async def test_a_store_that_is_away_does_not_end_the_worker(field: Field) -> None:
    """A stranger's job whose organisation can't be looked up waits for the store; our own jobs run meanwhile."""
    worker = await field.worker(LAB_STORE_AWAY="1")
    stranger = ArqRedis(field.redis.connection_pool)
    job = await stranger.enqueue_job("sync-connection", connection_id="strange", _queue_name=field.settings.queue_name)
    assert job is not None
    await worker.line("worker.turn_missed")
    own = await field.sync("quick")
    assert (await field.ended(own)).state is JobState.COMPLETED
    assert not worker.ended
    await field.worker()
    await wait_until(lambda: field.queue.get(job.job_id), what="the stranger's job")
    assert (await field.ended(job.job_id)).state is JobState.COMPLETED
