"""Followers of a real queue and a real worker: cut again and again, and over an outage of Redis."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from bankimport.commands import SyncConnection
from bankimport.events import TERMINAL
from bankimport.queue.queue import Enqueue, Queue
from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from bankimport.stream import EventStream
from tests.processes import Processes, Valkey, start_valkey
from tests.soak import SOAK
from tests.stream.writing import StreamWriter
from tests.waiting import wait_until
from tests.web.listening import Heard, listen
from tests.web.serving import FakeService, serving

SYNCS = 200 if SOAK else 50


@pytest.fixture
async def queue(settings: Settings, processes: Processes, redis_url: str) -> AsyncIterator[Queue]:
    """The queue, and a worker whose syncs take a moment."""
    limits = {"BANK_SYNC_RATE_LIMIT_MAX": "1000", "BANK_SYNC_CONCURRENCY": "5"}
    worker = processes.worker({"REDIS_URL": redis_url, **limits}, "tests.queue.lab.WorkerSettings")
    client = connect(settings, Redis)
    await worker.line("Starting worker")
    yield Queue(client, settings)
    await client.aclose()


@pytest.mark.parametrize("kind", ["ws", pytest.param("sse", marks=pytest.mark.soak)])
async def test_cut_again_and_again_during_real_syncs(queue: Queue, service: FakeService, kind: str) -> None:
    """A follower that is cut 20 times at random during 50 syncs and resumes has all of its organisation's events, once,
    in the order of the streams; each job ends once; nothing of the other organisation that works meanwhile is there."""
    chance = random.Random(5)
    events = EventStream(queue.client, queue.keys)

    async def ask() -> None:
        for number in range(SYNCS):
            for org_id in ("acme", "globex"):
                connection = f"{'fail-1' if number % 10 == 0 else 'sleep-20'}-{org_id}-{number}"
                await queue.enqueue(Enqueue(SyncConnection(org_id=org_id, connection_id=connection)))
            await asyncio.sleep(0.01)

    def ended(heard: Heard) -> int:
        return sum(event["name"] in TERMINAL for event in heard.events)

    heard, cuts = Heard(last_id="0"), 0
    async with serving(service, events=events) as host:
        asking = asyncio.create_task(ask())
        while ended(heard) < SYNCS or cuts < 20:
            listening = await listen(host, kind, f"?after={heard.last_id}", heard=heard)
            await asyncio.sleep(chance.random() * 0.15)
            await listening.cut()
            cuts += 1
            assert cuts < 400
        await asking
    await events.aclose()
    written = [(await EventStream(queue.client, queue.keys).read("0", count=100_000)).entries][0]
    assert heard.ids == [str(entry.position) for entry in written if entry.org_id == "acme"]
    ends = Counter(event["jobId"] for event in heard.events if event["name"] in TERMINAL)
    assert len(ends) == SYNCS
    assert set(ends.values()) == {1}


@pytest.fixture
def own_valkey(processes: Processes) -> Iterator[Valkey]:
    """A server that this test may stop."""
    yield start_valkey(processes)


async def test_an_outage_of_redis(own_valkey: Valkey, processes: Processes, service: FakeService) -> None:
    """Followers outlive a restart of Redis that has lost everything, hear that it has, and what happens after it."""
    settings = Settings.load(redis_url=own_valkey.url())
    client, plain = connect(settings, Redis), connect(settings, Redis, decode_responses=True)
    writer = StreamWriter(plain, Keys("bank-import"))
    events = EventStream(client, writer.keys)
    async with serving(service, events=events) as host:
        listening = [await listen(host, kind) for kind in ("ws", "sse")]
        first = await writer.queued("before")
        await wait_until(lambda: all(each.heard.ids == [first] for each in listening))
        own_valkey.running.kill()
        start_valkey(processes, port=own_valkey.port)
        await wait_until(lambda: all(len(each.heard.events) > 1 for each in listening))
        second = await writer.queued("after")
        await wait_until(lambda: all(each.heard.ids[-1] == second for each in listening))
        for each in listening:
            assert [event["name"] for event in each.heard.events][1:] == ["bank.stream.gap", "bank.job.queued"]
            await each.cut()
    await events.aclose()
    await client.aclose()
    await plain.aclose()


@pytest.mark.in_time
async def test_no_redis_at_all(service: FakeService, processes: Processes) -> None:
    """Where Redis can't be reached a follower is told to come again, and no stream begins."""
    server = start_valkey(processes)
    server.running.kill()
    client = connect(Settings.load(redis_url=server.url()), Redis)
    events = EventStream(client, Keys("bank-import"))
    async with serving(service, events=events) as host:
        assert await host.problem("GET", "/events") == (503, "unavailable")
    await client.aclose()
