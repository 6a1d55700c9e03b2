"""The way between a worker and Redis is cut, delayed, half-open or leads to a replica: nothing is lost or doubled."""

import asyncio
import random
import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from bankimport.status import JobState
from tests.faults.field import Field, Server
from tests.faults.proxy import Proxy
from tests.soak import SOAK
from tests.waiting import wait_until

#: a lease that no cut of these tests outlasts
LONG = "15000"
#: seconds: long before that lease is over
SOON = 10
SHAKEN = 1000 if SOAK else 150
READ_ONLY_FOR = 12.0 if SOAK else 1.5


@pytest.fixture
async def proxy(field: Field) -> AsyncIterator[Proxy]:
    """A proxy to the field's server."""
    async with Proxy(field.settings.redis_port) as made:
        yield made


async def _active(field: Field, job_id: str) -> bool:
    return (await field.status(job_id)).state is JobState.ACTIVE


async def test_a_claim_whose_answer_is_lost_is_handed_out_again_and_runs_once(field: Field, proxy: Proxy) -> None:
    """The connection is cut on the very answer that hands out a job: the worker is given the same run again."""
    await field.worker(REDIS_URL=proxy.url(field.url), BANK_SYNC_LEASE_MS=LONG)
    proxy.lose_answer_with("sleep-200-a")
    job_id = await field.sync("sleep-200-a")
    await field.ended(job_id, timeout=SOON)
    assert proxy.lost == 1
    assert len(await field.marks("start", job_id)) == 1
    assert await field.events("bank.job.stalled") == []
    await field.check_ended_once([job_id])


@pytest.mark.soak
async def test_a_claim_whose_answer_is_lost_for_longer_than_all_retries(field: Field, proxy: Proxy) -> None:
    """Though the worker gave up asking, its next look is handed the same run again; no stall counts."""
    worker = await field.worker(REDIS_URL=proxy.url(field.url), BANK_SYNC_LEASE_MS=LONG)
    proxy.lose_answer_with("sleep-200-a")
    job_id = await field.sync("sleep-200-a")
    await wait_until(lambda: proxy.lost == 1)
    async with proxy.away():
        await worker.line("queue.unavailable")
    await field.ended(job_id, timeout=SOON)
    assert len(await field.marks("start", job_id)) == 1
    assert await field.events("bank.job.stalled") == []
    await field.check_ended_once([job_id])


async def test_an_end_whose_answer_is_lost_is_written_once(field: Field, proxy: Proxy) -> None:
    """The connection is cut on the answer to a job's last word: the word is said again and counts once."""
    await field.worker(REDIS_URL=proxy.url(field.url), BANK_SYNC_LEASE_MS=LONG)
    job_id = await field.sync("sleep-400-a")
    await field.mark("write", job_id)
    proxy.lose_answer_with("done")
    await field.ended(job_id, timeout=SOON)
    await wait_until(lambda: proxy.lost == 1)
    follower = await field.sync("after")
    await field.ended(follower, timeout=SOON)
    assert len(await field.marks("start", job_id)) == 1
    await field.check_ended_once([job_id, follower])


async def test_a_claim_that_arrives_after_its_lease_is_not_begun(field: Field, proxy: Proxy) -> None:
    """A worker whose claim is answered later than the lease lasts leaves the job to the one that has it by then."""
    await field.worker(REDIS_URL=proxy.url(field.url))
    proxy.hold_answers_from("sleep-1500-a")
    job_id = await field.sync("sleep-1500-a")
    await wait_until(lambda: _active(field, job_id))
    await field.worker()
    taken = await field.mark("start", job_id)
    proxy.release_answers()  # to a worker that finds its lease over, or has given up the call by now
    await field.ended(job_id)
    assert {mark.fence for mark in await field.marks(job_id=job_id)} == {taken.fence}
    await field.check_ended_once([job_id])


async def test_a_half_open_link_is_noticed(field: Field, proxy: Proxy) -> None:
    """A link that forwards nothing and is never closed is given up within the socket's time limit; the worker goes on."""
    await field.worker(REDIS_URL=proxy.url(field.url), BANK_SYNC_LEASE_MS=LONG)
    running = await field.sync("sleep-6000-a")
    await field.mark("write", running)
    proxy.freeze()
    frozen = time.monotonic()
    job_id = await field.sync("quick")
    await field.mark("start", job_id, timeout=12)
    assert time.monotonic() - frozen < 5
    await field.ended(running)
    assert len(await field.marks("start", running)) == 1
    await field.check_ended_once([running, job_id])


async def test_links_that_are_cut_all_the_time_cost_and_double_nothing(field: Field, proxy: Proxy) -> None:
    """Two workers behind a link that is cut and delayed at random end every job exactly once."""
    through = {"REDIS_URL": proxy.url(field.url), "BANK_SYNC_LEASE_MS": LONG}
    workers = await field.workers(2, **through)
    chance = random.Random(7)
    job_ids = await field.syncs(f"sleep-{chance.randrange(60)}-{number}" for number in range(SHAKEN))
    draining = asyncio.create_task(field.drained())
    while not draining.done():
        proxy.delay = chance.choice([0, 0, 0.02])
        await asyncio.sleep(chance.uniform(0.05, 0.4))
        proxy.cut()
    await draining
    assert not any(worker.ended for worker in workers)
    await field.check_ended_once(job_ids)


async def test_a_failover_does_not_end_the_worker(restartable: Field, server: Server) -> None:
    """A primary that turns into a replica refuses writes; jobs that end meanwhile are written when it takes them again."""
    field = restartable
    worker = await field.worker(BANK_SYNC_LEASE_MS=LONG)
    other = Redis(port=server.second())
    await other.replicaof("127.0.0.1", server.port)
    await wait_until(lambda: _linked(other))
    running = await field.syncs(f"mute-1000-{number}" for number in range(5))
    await asyncio.gather(*(field.mark("start", job_id) for job_id in running))
    await field.redis.wait(1, 1000)  # what the replica has not got is lost in any failover
    await other.replicaof("NO", "ONE")
    await field.redis.replicaof("127.0.0.1", other.connection_pool.connection_kwargs["port"])
    await wait_until(lambda: _linked(field.redis))
    await asyncio.sleep(READ_ONLY_FOR)
    await field.redis.replicaof("NO", "ONE")
    await other.aclose()
    await field.drained()
    waits = []
    for number in range(5):
        asked = time.time()
        running.append(await field.sync(f"quick-{number}"))
        waits.append((await field.mark("start", running[-1])).at - asked)
    assert not worker.ended
    assert sorted(waits)[2] < 0.3, "the worker is no longer woken, it only looks once a second"
    await field.drained()
    await field.check_ended_once(running)
    assert await field.events("bank.job.stalled") == []


async def _linked(redis: Redis) -> bool:
    return (await redis.info("replication")).get("master_link_status") == "up"
