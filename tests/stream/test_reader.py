"""Two streams read as one."""

import random

from redis.asyncio import Redis

from bankimport.redis.keys import Keys
from bankimport.stream import EventStream, Position
from tests.stream.writing import StreamWriter


async def test_both_streams_come_in_one_order(events: EventStream, writer: StreamWriter) -> None:
    """However few entries are read at a time, and however they are spread, none is skipped and all are in order."""
    chance = random.Random(7)
    written = [await (writer.progress() if chance.random() < 0.8 else writer.queued()) for _ in range(120)]
    for count in (1, 3, 50, 500):
        after, got = "0", []
        while (batch := await events.read(after, count=count)).entries:
            got += [str(entry.position) for entry in batch.entries]
            after = str(batch.upto)
        assert got == written, count


async def test_nothing_is_there_yet(events: EventStream) -> None:
    """Reading before anything was written brings nothing, and no gap."""
    batch = await events.read("0")
    assert (batch.entries, batch.gap, batch.end) == ((), None, Position(0, 0))


async def test_a_gap_is_told_and_resumed_behind(
    events: EventStream, writer: StreamWriter, redis_client: "Redis[str]", keys: Keys
) -> None:
    """Who asks for what was trimmed hears which is the first that is held, and resumes there without a second notice."""
    ids = [await writer.queued(f"j{number}") for number in range(10)]
    await redis_client.xtrim(keys.events, maxlen=4, approximate=False)
    batch = await events.read(ids[2])
    assert batch.gap is not None
    assert batch.gap.data["after"] == ids[2]
    assert batch.gap.data["firstId"] == ids[6]
    assert [str(entry.position) for entry in batch.entries] == ids[6:]
    again = await events.read(batch.gap.id)
    assert again.gap is None
    assert [str(entry.position) for entry in again.entries] == ids[6:]


async def test_all_was_trimmed(
    events: EventStream, writer: StreamWriter, redis_client: "Redis[str]", keys: Keys
) -> None:
    """Where nothing is held any more, who has missed events is told so; who has seen the last is not."""
    ids = [await writer.queued(), await writer.queued()]
    await redis_client.xtrim(keys.events, maxlen=0, approximate=False)
    assert (batch := await events.read(ids[0])).gap is not None
    assert batch.gap.data["firstId"] is None
    assert (await events.read(batch.gap.id)).gap is None
    assert (await events.read(ids[1])).gap is None


async def test_a_missing_step_of_progress_is_no_gap(
    events: EventStream, writer: StreamWriter, redis_client: "Redis[str]", keys: Keys
) -> None:
    """Progress may be trimmed without a word: the record has the latest."""
    first = await writer.queued()
    await writer.queued("j2")
    for percent in range(10):
        await writer.progress(percent=percent)
    await redis_client.xtrim(keys.progress, maxlen=2, approximate=False)
    assert (await events.read(first)).gap is None
