"""Everything at once: killed, stopped and frozen workers, cut links, a restarted server, pauses, cancels, batches."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest
from arq.connections import ArqRedis
from redis.exceptions import RedisError

from bankimport.commands import SyncAllOrg
from bankimport.errors import IllegalTransition, NotFound, Unavailable
from bankimport.queue.queue import Enqueue
from bankimport.status import JobState
from tests.faults.field import TERMINAL, Field, Server
from tests.faults.proxy import Proxy
from tests.processes import Running
from tests.queue.lab import Mark
from tests.waiting import wait_until

pytestmark = pytest.mark.in_time

SECONDS = float(os.environ.get("BANKIMPORT_CHAOS_S", "60"))
SEED = int(os.environ.get("BANKIMPORT_CHAOS_SEED", "1"))
WORDS = ("sleep-80", "sleep-700", "quiet-300", "mute-150", "fail-2", "permanent", "block-300", "plain")


class Chaos:
    """Breaks things at random, and mends them again."""

    def __init__(self, field: Field, server: Server, proxy: Proxy, chance: random.Random) -> None:
        self._field, self._server, self._proxy, self._chance = field, server, proxy, chance
        self.workers: list[Running] = []
        self.accepted: list[str] = []
        self.strangers: list[str] = []
        self.told: list[str] = []

    async def worker(self) -> None:
        """Start one more worker, behind the proxy."""
        url = self._proxy.url(self._field.url)
        with contextlib.suppress(AssertionError):  # a worker may well not start while the server is away
            self.workers.append(await self._field.worker(REDIS_URL=url, LAB_GRACE_S="1"))

    async def ask(self) -> None:
        """Ask for a sync or a batch, cancel something, or try something again."""
        chance = self._chance
        org_id = f"org-{chance.randrange(4)}"
        connection = f"{chance.choice(WORDS)}-{chance.randrange(30)}"
        what = chance.random()
        with contextlib.suppress(Unavailable, RuntimeError, RedisError):
            if what < 0.05:
                stranger = ArqRedis(self._field.redis.connection_pool)
                queue_name = self._field.settings.queue_name
                unasked = f"{connection}-{len(self.strangers)}"  # so that no other job answers it
                job = await stranger.enqueue_job("sync-connection", connection_id=unasked, _queue_name=queue_name)
                self.strangers += [job.job_id] if job else []
            elif what < 0.12:
                ids = tuple({f"{chance.choice(WORDS)}-{chance.randrange(30)}" for _ in range(chance.randrange(8))})
                batch = SyncAllOrg(org_id=org_id, connection_ids=ids, scheduled=chance.random() < 0.5)
                self.accepted.append(await self._field.queue.enqueue(Enqueue(batch)))
            elif what < 0.2 and self.accepted:
                with contextlib.suppress(NotFound, IllegalTransition):
                    await self._field.queue.cancel(chance.choice(self.accepted[-20:]))
            else:
                full = chance.random() < 0.2
                scheduled = chance.random() < 0.5
                job_id = await self._field.sync(connection, org_id=org_id, scheduled=scheduled, force_full_sync=full)
                self.accepted.append(job_id)

    async def break_something(self) -> None:
        """Do one bad thing."""
        bad = self._chance.choice(
            [
                self._kill,
                self._stop,
                self._freeze,
                self._cut,
                self._half_open,
                self._restart,
                self._pause,
                self._fill,
                self._freeze_server,
            ]
        )
        self.told.append(f"{time.time():.2f} {bad.__name__}")
        await bad()

    def _victim(self) -> Running | None:
        alive = [worker for worker in self.workers if not worker.ended]
        return self._chance.choice(alive) if alive else None

    async def _kill(self) -> None:
        if victim := self._victim():
            victim.kill()
        await self.worker()

    async def _stop(self) -> None:
        if victim := self._victim():
            await asyncio.gather(asyncio.to_thread(victim.stop), self.worker())

    async def _freeze(self) -> None:
        if victim := self._victim():
            victim.signal(signal.SIGSTOP)
            await asyncio.sleep(self._chance.uniform(0.5, 3))
            victim.signal(signal.SIGCONT)

    async def _cut(self) -> None:
        for _ in range(10):
            self._proxy.cut()
            await asyncio.sleep(self._chance.uniform(0, 0.1))

    async def _half_open(self) -> None:
        self._proxy.freeze()

    async def _restart(self) -> None:
        await asyncio.to_thread(self._server.kill)
        await asyncio.sleep(self._chance.uniform(0, 2))
        await asyncio.to_thread(self._server.start)

    async def _fill(self) -> None:
        with contextlib.suppress(RedisError):
            await self._field.redis.config_set("maxmemory", "1")
        await asyncio.sleep(self._chance.uniform(0, 1))
        await self._field.redis.config_set("maxmemory", "0")

    async def _freeze_server(self) -> None:
        self._server.freeze()
        await asyncio.sleep(self._chance.uniform(0, 5))
        self._server.thaw()

    async def _pause(self) -> None:
        with contextlib.suppress(Unavailable, RuntimeError):
            await self._field.queue.pause()
        await asyncio.sleep(self._chance.uniform(0, 1))
        await self._field.queue.resume()


@pytest.fixture
async def chaos(restartable: Field, server: Server) -> AsyncIterator[Chaos]:
    """Three workers behind a proxy, and the means to break them."""
    async with Proxy(server.port) as proxy:
        made = Chaos(restartable, server, proxy, random.Random(SEED))
        await asyncio.gather(*(made.worker() for _ in range(3)))
        yield made
        print(f"seed {SEED}, {len(made.accepted)} asked", *made.told, sep="\n")


def overruled(found: list[Mark]) -> list[Mark]:
    """Return the marks that a run left after a later run of the same connection had begun."""
    by_connection = defaultdict(list)
    for mark in found:
        by_connection[mark.connection_id].append(mark)
    wrong = []
    for of_one in by_connection.values():
        newest = 0
        for mark in sorted(of_one, key=lambda mark: (mark.at, mark.fence)):
            if mark.word == "start":
                newest = max(newest, mark.fence)
            elif mark.fence < newest:
                wrong.append(mark)
    return wrong


async def _adopted(field: Field) -> bool:
    return not await field.redis.zcard(field.settings.queue_name)


@pytest.mark.soak
@pytest.mark.timeout(SECONDS * 2 + 180)
async def test_chaos(restartable: Field, chaos: Chaos) -> None:
    """Whatever breaks, every accepted job ends in exactly one terminal event, and no run writes after its successor."""
    field = restartable
    over = time.monotonic() + SECONDS

    async def asking() -> None:
        while time.monotonic() < over:
            await chaos.ask()
            await asyncio.sleep(0.02)

    async def breaking() -> None:
        while time.monotonic() < over:
            await asyncio.sleep(1)
            await chaos.break_something()

    await asyncio.gather(asking(), breaking())
    await chaos.worker()
    await field.drained()
    await wait_until(lambda: _adopted(field), what="the strangers' jobs to be adopted")
    await field.drained()
    ends = defaultdict(list)
    for name, job_id in await field.events():
        if name in TERMINAL:
            ends[job_id].append(name)
    assert {job_id: names for job_id, names in ends.items() if len(names) != 1} == {}
    assert {*chaos.accepted, *chaos.strangers} <= ends.keys()
    for job_id in ends:
        status = await field.status(job_id)
        assert (status.state is JobState.COMPLETED) == (ends[job_id] == ["bank.job.completed"])
    assert overruled(await field.marks()) == []
    stats = await field.watch.stats()
    assert (stats.waiting, stats.active, stats.delayed, stats.waiting_children) == (0, 0, 0, 0)
    crashed = [worker.output()[-3000:] for worker in chaos.workers if worker.ended and worker.process.returncode > 0]
    assert crashed == []
