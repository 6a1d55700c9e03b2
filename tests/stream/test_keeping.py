"""How long events are kept, and who hears that some are no longer."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from bankimport.queue.queue import Queue
from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from bankimport.stream import EventStream, groups_behind
from bankimport.watch.sweeper import Sweeper
from tests.stream.writing import StreamWriter

DAY = timedelta(hours=24)


@pytest.fixture
async def queue(settings: Settings) -> AsyncIterator[Queue]:
    """The queue of the test."""
    client = connect(settings, Redis)
    yield Queue(client, settings)
    await client.aclose()


async def sweep(queue: Queue) -> None:
    """Do the housekeeping, whoever's turn it is."""
    await queue.client.delete(f"{queue.keys.prefix}sweeper")
    await Sweeper(queue, groups_behind).run()


async def age(redis_client: "Redis[str]", keys: Keys, hours: float, number: int) -> None:
    """Write events as they were written hours ago."""
    ms = int((time.time() - hours * 3600) * 1000)
    fields: Any = {"name": "job.queued", "orgId": "acme", "jobId": "old", "data": "{}"}
    async with redis_client.pipeline() as pipe:
        for seq in range(1, number + 1):
            pipe.xadd(keys.events, fields, id=f"{ms}-{seq}")
        await pipe.execute()


async def alerts(events: EventStream) -> list[tuple[str, bool]]:
    """Return what the operator was told: code and whether it is in force."""
    entries = (await events.read("0", count=10_000)).entries
    told = [entry.event() for entry in entries if entry.name == "bank.queue.alert"]
    return [(event.data["code"], event.data["active"]) for event in told if event is not None]


async def test_events_are_kept_for_a_day(
    events: EventStream, queue: Queue, redis_client: "Redis[str]", writer: StreamWriter
) -> None:
    """What is older than 24 hours goes (by whole nodes of a hundred), nothing younger does."""
    await age(redis_client, queue.keys, 25, 250)
    await age(redis_client, queue.keys, 23.9, 50)
    new = await writer.queued("new")
    await sweep(queue)
    entries = (await events.read("0", count=10_000)).entries
    border = datetime.now(UTC) - DAY
    old = [entry for entry in entries if entry.position.ms < border.timestamp() * 1000]
    assert len(old) < 100
    assert len(entries) - len(old) == 51
    assert str(entries[-1].position) == new


async def test_a_group_that_was_away_for_too_long(
    events: EventStream, queue: Queue, redis_client: "Redis[str]", keys: Keys, writer: StreamWriter
) -> None:
    """The operator is alerted that a consumer group has lost events, once; and that it is over, once it has read on."""
    for group in ('away "quoted"', "reading"):
        await redis_client.xgroup_create(keys.events, group, id="0", mkstream=True)
    await age(redis_client, keys, 25, 250)
    await redis_client.xreadgroup("reading", "one", {keys.events: ">"}, noack=True)
    await writer.queued("new")
    await sweep(queue)
    await sweep(queue)
    assert await alerts(events) == [('consumer-behind:away "quoted"', True)]
    source = events.consume('away "quoted"', "one", ["bank.sync.completed"])
    assert (await anext(source)).name == "bank.stream.gap"
    await source.aclose()  # type: ignore[attr-defined]
    await sweep(queue)
    assert await alerts(events) == [('consumer-behind:away "quoted"', True), ('consumer-behind:away "quoted"', False)]


async def test_nothing_to_sweep(events: EventStream, queue: Queue) -> None:
    """A queue without a single event or group is swept too, and nobody is alerted."""
    await sweep(queue)
    assert await alerts(events) == []
