"""Consumer groups: at least once, to one of a group, taken over from the dead."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bankimport.errors import InvalidRequest
from bankimport.events import Event
from bankimport.redis.keys import Keys
from bankimport.stream import EventStream
from tests.processes import Processes
from tests.stream.writing import StreamWriter
from tests.waiting import PATIENCE, wait_until

IDLE = timedelta(milliseconds=400)


@contextlib.asynccontextmanager
async def running(
    source: AsyncIterator[Event], into: list[str], hold: asyncio.Event | None = None
) -> AsyncIterator[None]:
    """Consume in the background: note the job of each event, then wait for `hold` before the next step."""

    async def run() -> None:
        async for event in source:
            into.append(event.job_id or event.name)
            if hold is not None:
                await hold.wait()

    task = asyncio.create_task(run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await source.aclose()  # type: ignore[attr-defined]


async def groups(redis_client: "Redis[str]", keys: Keys) -> bool:
    """Whether there is a group already."""
    return bool(await redis_client.exists(keys.events)) and bool(await redis_client.xinfo_groups(keys.events))


async def test_each_event_goes_to_one_of_a_group(
    events: EventStream, writer: StreamWriter, redis_client: "Redis[str]", keys: Keys
) -> None:
    """Two consumers of a group share the events; another group gets all of them; other names are left out."""
    one: list[str] = []
    two: list[str] = []
    other: list[str] = []
    async with (
        running(events.consume("svc", "a", ["bank.job.*"], start="0"), one),
        running(events.consume("svc", "b", ["bank.job.*"], start="0"), two),
        running(events.consume("other", "a", ["bank.job.queued"], start="0"), other),
    ):
        await writer.write(("bank.queue.paused", "", "", {}))
        for number in range(60):
            await writer.queued(f"j{number}")
        wanted = {f"j{number}" for number in range(60)}
        await wait_until(lambda: {*one, *two} == wanted and set(other) == wanted)
        assert len(one) + len(two) == len(other) == 60

        async def all_acknowledged() -> bool:
            return all(group["pending"] <= 2 for group in await redis_client.xinfo_groups(keys.events))

        await wait_until(all_acknowledged)


async def test_a_new_group_begins_now(
    events: EventStream, writer: StreamWriter, redis_client: "Redis[str]", keys: Keys
) -> None:
    """A group begins with what happens after it was made."""
    await writer.queued("before")
    got: list[str] = []
    async with running(events.consume("svc", "a"), got):
        await wait_until(lambda: groups(redis_client, keys))
        await writer.queued("after")
        await wait_until(lambda: got == ["after"])


async def test_progress_for_those_who_want_it(events: EventStream, writer: StreamWriter) -> None:
    """Progress comes in order with the rest, to a consumer that names it."""
    got: list[str] = []
    for job in ("1", "2", "3"):
        await writer.queued(job), await writer.progress(job + "p")
    async with running(events.consume("svc", "a", ["bank.job.queued", "bank.job.progress"], start="0"), got):
        await wait_until(lambda: got == ["1", "1p", "2", "2p", "3", "3p"])


async def test_who_fails_gets_it_again(events: EventStream, writer: StreamWriter) -> None:
    """An event whose handling ended in an exception is given to the same consumer first when it comes back."""
    for job in ("1", "2"):
        await writer.queued(job)
    with pytest.raises(RuntimeError):
        async with contextlib.aclosing(events.consume("svc", "a", start="0")) as source:
            async for event in source:
                raise RuntimeError(event.job_id)
    got: list[str] = []
    async with running(events.consume("svc", "a"), got):
        await wait_until(lambda: got == ["1", "2"])


async def test_the_dead_are_taken_over_from(events: EventStream, writer: StreamWriter) -> None:
    """What a consumer held that says nothing any more is given to another of its group."""
    await writer.queued("held")
    async with contextlib.aclosing(events.consume("svc", "dead", start="0", idle=IDLE)) as source:
        assert (await anext(source)).job_id == "held"
    got: list[str] = []
    async with running(events.consume("svc", "alive", idle=IDLE), got):
        await wait_until(lambda: got == ["held"])


async def test_a_long_handler_keeps_its_event(events: EventStream, writer: StreamWriter) -> None:
    """A consumer that works on one event for many idle times is not taken for dead."""
    await writer.queued("long")
    slow: list[str] = []
    other: list[str] = []
    hold = asyncio.Event()
    async with running(events.consume("svc", "slow", start="0", idle=IDLE), slow, hold):
        await wait_until(lambda: slow == ["long"])
        async with running(events.consume("svc", "other", idle=IDLE), other):
            await asyncio.sleep(4 * IDLE.total_seconds())  # the promise is that nothing happens in this time
            assert other == []
            hold.set()


async def test_a_consumer_that_fell_behind_is_told(
    events: EventStream, writer: StreamWriter, redis_client: "Redis[str]", keys: Keys
) -> None:
    """A group that comes back after its events were trimmed hears of a gap, then gets what is held."""
    got: list[str] = []
    async with running(events.consume("svc", "a", ["bank.job.queued"]), got):
        await wait_until(lambda: groups(redis_client, keys))
    for number in range(10):
        await writer.queued(f"j{number}")
    await redis_client.xtrim(keys.events, maxlen=3, approximate=False)
    async with running(events.consume("svc", "a", ["bank.job.queued"]), got):
        await wait_until(lambda: got == ["bank.stream.gap", "j7", "j8", "j9"])


async def test_a_held_event_that_was_trimmed_is_told(
    events: EventStream, writer: StreamWriter, redis_client: "Redis[str]", keys: Keys
) -> None:
    """An event that a dead consumer held and the stream no longer has is a gap too, never silence."""
    await writer.queued("held")
    async with contextlib.aclosing(events.consume("svc", "dead", start="0", idle=IDLE)) as source:
        await anext(source)
    await redis_client.xtrim(keys.events, maxlen=0, approximate=False)
    got: list[str] = []
    async with running(events.consume("svc", "alive", idle=IDLE), got):
        await wait_until(lambda: got == ["bank.stream.gap"])


async def test_a_gap_before_nothing_is_told_once(
    events: EventStream, writer: StreamWriter, redis_client: "Redis[str]", keys: Keys
) -> None:
    """All that a group has not read was trimmed, and nothing has come since: it hears of that once, and goes on."""
    async with contextlib.aclosing(events.consume("svc", "a", start="0", idle=IDLE)) as source:
        await writer.queued("1")
        await anext(source)
    for number in range(3):
        await writer.queued(str(number))
    await redis_client.xtrim(keys.events, maxlen=0, approximate=False)
    got: list[str] = []
    async with running(events.consume("svc", "b", idle=IDLE), got):
        await wait_until(lambda: "bank.stream.gap" in got)
        await asyncio.sleep(3 * IDLE.total_seconds())  # in which it looks again, and hears nothing
        await writer.queued("new")
        await wait_until(lambda: got[-1] == "new")
    assert [word for word in got if word != "bank.stream.gap"] == ["new"]
    assert got.count("bank.stream.gap") <= 2, "of what was left behind, and of what the dead one held"


async def test_names_of_the_dead_are_forgotten(
    events: EventStream,
    writer: StreamWriter,
    redis_client: "Redis[str]",
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A consumer that has been silent for long and holds nothing is no consumer any more; one that holds is."""
    monkeypatch.setattr("bankimport.stream.consumer._LONG_MS", 0)
    monkeypatch.setattr("bankimport.stream.consumer._LONG_IDLES", 10)
    await redis_client.xgroup_create(keys.events, "svc", id="0", mkstream=True)
    await redis_client.xgroup_createconsumer(keys.events, "svc", "dead")
    got: list[str] = []

    async def names() -> set[str]:
        return {each["name"] for each in await redis_client.xinfo_consumers(keys.events, "svc")}

    async def alone() -> bool:
        return await names() == {"alive"}

    async with running(events.consume("svc", "alive", idle=timedelta(milliseconds=100)), got):
        await wait_until(alone, what="the dead one's name to be gone")


async def test_a_group_that_redis_has_lost(
    events: EventStream, writer: StreamWriter, redis_client: "Redis[str]", keys: Keys
) -> None:
    """A consumer goes on after Redis has lost everything."""
    got: list[str] = []
    async with running(events.consume("svc", "a", start="0", idle=IDLE), got):
        await writer.queued("1")
        await wait_until(lambda: got == ["1"])
        await redis_client.flushdb()
        await writer.queued("2")
        await wait_until(lambda: got == ["1", "2"])


async def test_a_cancelled_consumer_ends(events: EventStream, writer: StreamWriter) -> None:
    """Whenever a consumer is cancelled it ends, even at the moment in which Python 3.11 swallows a cancellation."""
    for moment in range(60):
        task = asyncio.create_task(anext(events.consume("svc", "a", idle=IDLE)))  # type: ignore[arg-type]
        await asyncio.sleep(moment / 20_000)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=PATIENCE)
        assert done, f"not after {moment / 20} ms"
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_wrong_arguments(events: EventStream) -> None:
    """A consumer needs names and a sensible time."""
    with pytest.raises(ValueError, match="group"):
        await anext(events.consume("", "a"))
    with pytest.raises(InvalidRequest):
        await anext(events.consume("svc", "a", start="x"))


CONSUMER = """
import asyncio, sys
from redis.asyncio import Redis
from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from bankimport.stream import EventStream
from datetime import timedelta

async def main():
    events = EventStream(connect(Settings.load(), Redis), Keys("bank-import"))
    async for event in events.consume("svc", sys.argv[1], start="0", idle=timedelta(seconds=1)):
        with open(sys.argv[2], "a") as log:
            log.write(f"{event.job_id}\\n")  # handled; the acknowledgement comes with the next step

asyncio.run(main())
"""


async def test_a_killed_consumer_loses_nothing(
    writer: StreamWriter, redis_url: str, processes: Processes, tmp_path: Path
) -> None:
    """Consumers killed again and again with SIGKILL between handling and acknowledging: everything is handled."""
    program, log = tmp_path / "consumer.py", tmp_path / "handled"
    program.write_text(CONSUMER)
    log.touch()

    def start(name: str) -> object:
        return processes.python(name, str(program), name, str(log), environment={"REDIS_URL": redis_url})

    wanted: set[str] = set()
    for turn in range(3):
        running_one = start(f"c{turn}")
        before = len(log.read_text().splitlines())
        for number in range(100):
            await writer.queued(f"{turn}-{number}")
            wanted.add(f"{turn}-{number}")
        await wait_until(lambda before=before: len(log.read_text().splitlines()) > before + 5)
        running_one.signal(signal.SIGKILL)  # type: ignore[attr-defined]
    start("last")
    await wait_until(lambda: set(log.read_text().splitlines()) == wanted)
