"""Followers of one process: what is missed, what is live, and the step between."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from bankimport.errors import NotFound
from bankimport.events import Event
from bankimport.models import JobStatus
from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from bankimport.status import JobState
from bankimport.stream import EventStream, Follower, FollowerEnded, Position, behind
from bankimport.stream.follower import MOST_WAITING
from tests.stream.writing import StreamWriter
from tests.waiting import PATIENCE, wait_until

SECOND = timedelta(seconds=1)


async def take(follower: Follower, count: int) -> list[Event]:
    """Return the next `count` events or more."""
    got: list[Event] = []
    async with asyncio.timeout(PATIENCE):
        while len(got) < count:
            chunk = await follower.next(SECOND)
            got += chunk.events if chunk else ()
    return got


async def test_past_and_present_meet_without_a_seam(events: EventStream, writer: StreamWriter) -> None:
    """While events pour in, followers that begin anywhere get every one behind their position, once and in order."""
    ids: list[str] = []
    chance = random.Random(3)

    async def pour() -> None:
        for number in range(400):
            ids.append(await (writer.progress() if number % 3 else writer.queued()))  # noqa: PERF401  # read meanwhile

    pouring = asyncio.create_task(pour())
    await wait_until(lambda: len(ids) > 20)
    followers = []
    for _ in range(20):
        after = chance.choice(ids)
        followers.append((after, await events.subscribe(org_id="acme", after=after)))
        await asyncio.sleep(chance.random() / 50)
    await pouring
    for after, follower in followers:
        wanted = ids[ids.index(after) + 1 :]
        assert [event.id for event in await take(follower, len(wanted))] == wanted
        follower.close()


async def test_resuming_at_another_process(
    events: EventStream, settings: Settings, keys: Keys, writer: StreamWriter
) -> None:
    """Who comes with an id that another process was quicker to give gets nothing twice and misses nothing."""
    client = connect(settings, Redis)
    elsewhere = EventStream(client, keys)
    idle = await events.subscribe(org_id="acme")
    for _ in range(30):
        told = await elsewhere.subscribe(org_id="acme")
        ids = [await writer.queued(f"j{number}") for number in range(3)]
        seen = (await take(told, 3))[-1].id
        follower = await events.subscribe(org_id="acme", after=seen)
        ids.append(await writer.queued("last"))
        assert [event.id for event in await take(follower, 1)] == ids[3:]
        follower.close(), told.close()
    idle.close()
    await elsewhere.aclose()
    await client.aclose()


async def test_an_organisation_hears_its_own(events: EventStream, writer: StreamWriter) -> None:
    """A follower of an organisation gets neither another's events nor the queue's; one of all gets everything."""
    before = [await writer.queued("a1", "acme"), await writer.queued("g1", "globex"), await writer.queued("q", "")]
    own, everything = await events.subscribe(org_id="acme", after="0"), await events.subscribe(after="0")
    after = [await writer.queued("a2", "acme"), await writer.queued("g2", "globex"), await writer.queued("q", "")]
    assert [event.job_id for event in await take(own, 2)] == ["a1", "a2"]
    assert [event.id for event in await take(everything, 6)] == before + after
    assert await own.next(timedelta(milliseconds=200)) is None


async def test_one_job_alone(events: EventStream, writer: StreamWriter) -> None:
    """A follower of a job gets that job's events, past and present."""
    await writer.queued("j1"), await writer.queued("j2")
    follower = await events.subscribe(org_id="acme", job_id="j2", after="0")
    await writer.progress("j1"), await writer.progress("j2")
    assert [(event.name, event.job_id) for event in await take(follower, 2)] == [
        ("bank.job.queued", "j2"),
        ("bank.job.progress", "j2"),
    ]


async def test_who_does_not_read_loses_nothing(events: EventStream, writer: StreamWriter) -> None:
    """A follower whose line is full keeps a bounded line, and gets everything from Redis when it reads again."""
    follower, quick = await events.subscribe(org_id="acme"), await events.subscribe(org_id="acme")
    event = ("bank.job.queued", "acme", "j", {})
    ids = []
    for _ in range(12):
        ids += await writer.write(*[event] * 250)
        await take(quick, 250)
    assert follower._waiting_events <= MOST_WAITING
    assert [event.id for event in await take(follower, len(ids))] == ids


async def test_what_can_not_be_decoded_is_skipped(
    events: EventStream, writer: StreamWriter, redis_client: "Redis[str]", keys: Keys
) -> None:
    """An entry that is no JSON harms nobody; an unknown name is passed on."""
    follower = await events.subscribe(org_id="acme")
    fields = {"name": "job.queued", "orgId": "acme", "jobId": "j"}
    await writer.queued("first")
    await redis_client.xadd(keys.events, {**fields, "data": "{"})
    await redis_client.xadd(keys.events, {**fields, "data": "[]"})
    await redis_client.xadd(keys.events, {**fields, "data": '{"x": 1}', "name": "future.news"})
    assert [event.name for event in await take(follower, 2)] == ["bank.job.queued", "bank.future.news"]


async def test_the_end_of_the_process(events: EventStream, writer: StreamWriter) -> None:
    """When the stream is closed every follower ends, at a position that resumes."""
    follower = await events.subscribe(org_id="acme")
    last = await writer.queued()
    await take(follower, 1)
    await events.aclose()
    with pytest.raises(FollowerEnded):
        await follower.next(SECOND)
    assert str(follower.position) == last


async def test_reading_stops_with_the_last_follower(events: EventStream, writer: StreamWriter) -> None:
    """A process nobody follows reads nothing, and reads again when somebody does."""
    follower = await events.subscribe(org_id="acme")
    follower.close()
    await writer.queued()
    await wait_until(lambda: events.hub._task is None)
    again = await events.subscribe(org_id="acme")
    new = await writer.queued("j2")
    assert [event.id for event in await take(again, 1)] == [new]


async def test_who_comes_hears_what_happens_from_then_on(events: EventStream, writer: StreamWriter) -> None:
    """However many subscribe at one time, each hears what was written after it had come, and nothing older; they share
    one connection to ask where that is."""
    first = await events.subscribe(org_id="acme")
    before = await events._client.info("clients")
    for _ in range(10):
        old = [await writer.queued(f"old{number}") for number in range(3)]
        followers = await asyncio.gather(*(events.subscribe(org_id="acme") for _ in range(100)))
        new = [await writer.queued(f"new{number}") for number in range(3)]
        for follower in followers:
            assert [event.id for event in await take(follower, 3)] == new
            follower.close()
        assert [event.id for event in await take(first, 6)] == old + new
    after = await events._client.info("clients")
    assert after["connected_clients"] - before["connected_clients"] <= 2


def job(state: JobState = JobState.ACTIVE, **fields: object) -> JobStatus:
    """Return the record of a job that was queued before its events."""
    queued = datetime.now(UTC) - SECOND
    return JobStatus.model_validate(
        {"id": "j1", "type": "sync-connection", "org_id": "acme", "state": state, "queued_at": queued, **fields}
    )


async def test_following_a_job_to_its_end(events: EventStream, writer: StreamWriter) -> None:
    """A job is told from its beginning, whatever has happened before one follows, and the last event is its end."""
    wanted = [await writer.queued(), await writer.progress()]

    async def read(_: str) -> JobStatus:
        if len(wanted) == 3:
            return job(JobState.COMPLETED)
        wanted.append(await writer.completed())  # between the record being read and the subscription
        return job(JobState.ACTIVE)

    assert [event.id async for event in events.follow("j1", record=read)] == wanted


async def test_following_a_job_that_has_ended(events: EventStream, writer: StreamWriter) -> None:
    """A job that ended before one follows is told all the same."""
    record = job(JobState.COMPLETED, finished_on=datetime.now(UTC))
    wanted = [await writer.queued(), await writer.completed()]

    async def read(_: str) -> JobStatus:
        return record

    assert [event.id async for event in events.follow("j1", record=read)] == wanted


@pytest.mark.parametrize(
    ("state", "code", "name"),
    [
        (JobState.COMPLETED, None, "bank.job.completed"),
        (JobState.FAILED, "transient", "bank.job.failed"),
        (JobState.FAILED, "cancelled", "bank.job.cancelled"),
    ],
)
async def test_following_a_job_whose_events_are_gone(
    events: EventStream, state: JobState, code: str | None, name: str
) -> None:
    """A job that ended long ago ends with an event told from its record."""
    ended = datetime.now(UTC)
    record = job(state, error_code=code, finished_on=ended, failed_reason="why")

    async def read(_: str) -> JobStatus:
        return record

    [event] = [event async for event in events.follow("j1", record=read)]
    assert (event.name, event.job_id, event.org_id) == (name, "j1", "acme")
    assert event.typed is not None


async def test_following_a_job_that_was_tried_again(events: EventStream, writer: StreamWriter) -> None:
    """A failure of the past is not the end of a job that somebody has retried since."""
    failed = ("bank.job.failed", "acme", "j1", {"jobId": "j1"})
    await writer.queued(), await writer.write(failed)
    record = job(JobState.WAITING)

    async def read(_: str) -> JobStatus:
        return record

    got: list[str] = []

    async def follow() -> None:
        async for event in events.follow("j1", record=read):
            got.append(event.name)  # noqa: PERF401  # read meanwhile

    following = asyncio.create_task(follow())
    await wait_until(lambda: len(got) == 2)
    await writer.completed()
    await asyncio.wait_for(following, PATIENCE)
    assert got == ["bank.job.queued", "bank.job.failed", "bank.job.completed"]


async def test_following_a_job_that_is_none(events: EventStream) -> None:
    """There is nothing to follow in an unknown job."""

    async def read(_: str) -> None:
        return None

    with pytest.raises(NotFound):
        await anext(events.follow("nix", record=read))


def test_where_a_job_begins() -> None:
    """Whoever follows a job from an id before it was queued begins where it was: the day's other events are not read."""
    record = job()
    beginning = behind(None, record)
    assert beginning.ms == int(record.queued_at.timestamp() * 1000) - 1
    assert behind("0", record) == behind(f"{beginning.ms - 5}-7", record) == beginning
    assert behind(f"{beginning.ms + 5}-7", record) == Position(beginning.ms + 5, 7)


async def test_an_idle_follower_asks_little(
    events: EventStream, redis_client: "Redis[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing happens one blocking read follows the other; a closer look comes after several."""
    monkeypatch.setattr("bankimport.stream.reader.BLOCK", 0.01)
    follower = await events.subscribe(org_id="acme")

    async def calls(name: str) -> int:
        return int((await redis_client.info("commandstats")).get(f"cmdstat_{name}", {}).get("calls", 0))

    begun = await calls("xread"), await calls("exec")
    await wait_until(lambda: _reached(calls, begun[0] + 60), what="sixty reads")
    assert await calls("exec") - begun[1] <= 15
    follower.close()


async def _reached(calls: Callable[[str], Awaitable[int]], number: int) -> bool:
    return await calls("xread") >= number
