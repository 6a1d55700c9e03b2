"""`GET …/events` over real sockets, by WebSocket and by Server-Sent Events."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from aiohttp import ClientSession, WSServerHandshakeError, web
from redis.asyncio import Redis

from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from bankimport.stream import EventStream
from tests.soak import SOAK
from tests.stream.writing import StreamWriter
from tests.waiting import PATIENCE, wait_until
from tests.web.listening import Heard, listen
from tests.web.serving import FakeService, Host, by_token, job, serving

KINDS = pytest.mark.parametrize("kind", ["ws", "sse"])


@pytest.fixture
def writer(redis_client: "Redis[str]") -> StreamWriter:
    """What writes events."""
    return StreamWriter(redis_client, Keys("bank-import"))


@pytest.fixture
async def events(settings: Settings) -> AsyncIterator[EventStream]:
    """What the host reads events with."""
    client = connect(settings, Redis)
    stream = EventStream(client, Keys("bank-import"))
    yield stream
    await stream.aclose()
    await client.aclose()


@pytest.fixture
async def host(service: FakeService, events: EventStream) -> AsyncIterator[Host]:
    """A host that follows."""
    async with serving(service, events=events) as running:
        yield running


@KINDS
async def test_events_come_as_they_happen(host: Host, writer: StreamWriter, kind: str) -> None:
    """An event is one message: the envelope, with exactly its fields."""
    listening = await listen(host, kind)
    ids = [await writer.queued(), await writer.progress(percent=30)]
    await wait_until(lambda: listening.heard.ids == ids)
    first = listening.heard.events[0]
    assert set(first) == {"id", "name", "orgId", "jobId", "timestamp", "data"}
    assert (first["name"], first["orgId"], first["jobId"]) == ("bank.job.queued", "acme", "j1")
    assert listening.heard.events[1]["data"]["percent"] == 30
    await listening.cut()


@KINDS
async def test_resuming(host: Host, writer: StreamWriter, kind: str) -> None:
    """A follower goes on behind `?after=` or `Last-Event-ID`; the header, which a browser keeps, goes before."""
    ids = [await writer.queued(f"j{number}") for number in range(6)]
    by_query = await listen(host, kind, f"?after={ids[1]}")
    by_header = await listen(host, kind, f"?after={ids[0]}", **{"Last-Event-ID": ids[3]})
    await wait_until(lambda: by_query.heard.ids == ids[2:] and by_header.heard.ids == ids[4:])
    await by_query.cut(), await by_header.cut()


async def test_a_line_on_which_nothing_happens(
    host: Host, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Server-Sent Events begin with the time after which to come again, and beat while nothing happens: each beat is no
    event, and its id moves on with what happens to others."""
    monkeypatch.setattr("bankimport.web.live._BEAT", timedelta(milliseconds=100))
    async with host.session.get(f"{host.url}/events", headers={"Authorization": "acme"}) as answer:
        name, _, retry = (await answer.content.readline()).decode().strip().partition(": ")
        assert name == "retry"
        assert 1000 <= int(retry) <= 3000
        other = await writer.queued("g", "globex")
        beats: list[str] = []
        async with asyncio.timeout(PATIENCE):
            while f"id: {other}" not in beats:
                beats.append((await answer.content.readline()).decode().strip())
        assert ": beat" in beats
        assert not [line for line in beats if line.startswith("data")]


@pytest.mark.parametrize("told", ["x", "1-2-3", "-1", "1" * 30, "9" * 400])
@KINDS
async def test_a_position_that_is_none(host: Host, kind: str, told: str) -> None:
    """What is no id is refused before anything is sent."""
    assert await host.problem("GET", f"/events?after={told}") == (422, "invalid-request")
    if kind == "ws":
        with pytest.raises(WSServerHandshakeError) as refused:
            await listen(host, kind, f"?after={told}")
        assert refused.value.status == 422


@KINDS
async def test_a_gap_is_told(host: Host, writer: StreamWriter, redis_client: "Redis[str]", kind: str) -> None:
    """Who resumes at what is no longer held hears so first, and the id of that resumes behind the gap."""
    ids = [await writer.queued(f"j{number}") for number in range(8)]
    await redis_client.xtrim(writer.keys.events, maxlen=3, approximate=False)
    listening = await listen(host, kind, f"?after={ids[0]}")
    await wait_until(lambda: len(listening.heard.events) == 4)
    gap = listening.heard.events[0]
    assert (gap["name"], gap["orgId"]) == ("bank.stream.gap", "acme")
    assert (gap["data"]["after"], gap["data"]["firstId"]) == (ids[0], ids[5])
    assert listening.heard.ids[1:] == ids[5:]
    again = await listen(host, kind, f"?after={gap['id']}")
    await wait_until(lambda: again.heard.ids == ids[5:])
    await listening.cut(), await again.cut()


@KINDS
async def test_one_job(host: Host, service: FakeService, writer: StreamWriter, kind: str) -> None:
    """`?jobId=` narrows to a job of the organisation; another's is not found."""
    service.jobs = {"j2": job("j2"), "g1": job("g1", "globex")}
    await writer.queued("j1"), await writer.queued("j2")
    listening = await listen(host, kind, "?jobId=j2&after=0")
    await writer.progress("j1"), await writer.progress("j2")
    await wait_until(lambda: [event["jobId"] for event in listening.heard.events] == ["j2", "j2"])
    assert await host.problem("GET", "/events?jobId=g1") == (404, "not-found")
    assert await host.problem("GET", "/events?jobId=nix") == (404, "not-found")
    await listening.cut()


@KINDS
async def test_another_organisations_events_never_come(host: Host, writer: StreamWriter, kind: str) -> None:
    """Under no parameter or header does a follower get another organisation's event, or the whole queue's."""
    await writer.queued("g0", "globex")
    queries = ["", "?after=0"]
    for wrong in ("orgId=globex", "org_id=globex", "org=*", "jobId="):
        assert await host.problem("GET", f"/events?after=0&{wrong}") == (422, "invalid-request")
    headers = [{}, {"X-Org-Id": "globex"}, {"Last-Event-ID": "0"}, {"X-Forwarded-Host": "globex"}]
    listening = [await listen(host, kind, query, **extra) for query in queries for extra in headers]
    for number in range(20):
        await writer.write(
            ("bank.job.queued", "globex", f"g{number}", {}),
            ("bank.job.progress", "globex", f"g{number}", {}),
            ("bank.queue.paused", "", "", {}),
            ("bank.job.queued", "acme", f"a{number}", {}),
            ("bank.job.queued", "acme.", f"x{number}", {}),
            ("bank.job.queued", "ACME", f"x{number}", {}),
        )
    await wait_until(lambda: all(len(each.heard.events) >= 20 for each in listening))
    assert {event["orgId"] for each in listening for event in each.heard.events} == {"acme"}
    for each in listening:
        await each.cut()


@KINDS
async def test_cut_twenty_times(host: Host, writer: StreamWriter, kind: str) -> None:
    """A follower that is cut 20 times at random during 50 syncs and resumes has every event once and in order."""
    chance = random.Random(11)
    written: list[str] = []

    async def syncs() -> None:
        for number in range(50):
            written.append(await writer.queued(f"j{number}"))
            for percent in range(0, 100, 10):
                written.append(await writer.progress(f"j{number}", percent=percent))
                await writer.progress(f"g{number}", "globex")
            written.append(await writer.completed(f"j{number}"))
            await asyncio.sleep(0.01)

    heard = Heard()
    at_first = await writer.queued()
    written.append(at_first)
    working = asyncio.create_task(syncs())
    heard.last_id, cuts = "0", 200 if SOAK else 20
    for _ in range(cuts):
        listening = await listen(host, kind, f"?after={heard.last_id}", heard=heard)
        await asyncio.sleep(chance.random() * 0.06)
        await listening.cut()
    await working
    listening = await listen(host, kind, f"?after={heard.last_id}", heard=heard)
    await wait_until(lambda: len(heard.ids) >= len(written))
    assert heard.ids == written
    await listening.cut()


@KINDS
async def test_a_clean_end(service: FakeService, events: EventStream, writer: StreamWriter, kind: str) -> None:
    """When the host stops, followers are closed cleanly, with an id that resumes behind the last event they had."""
    async with serving(service, events=events) as host:
        listening = await listen(host, kind)
        last = await writer.queued()
        await wait_until(lambda: listening.heard.ids == [last])
        await writer.queued("g", "globex")
        async with asyncio.timeout(PATIENCE):
            await host.runner.cleanup()
            await listening.ended()
    assert listening.heard.last_id is not None
    if kind == "ws":
        assert listening.answer.close_code == 1001  # type: ignore[union-attr]
    assert listening.heard.last_id >= last


@KINDS
async def test_who_may_no_longer_read(
    service: FakeService, events: EventStream, writer: StreamWriter, kind: str
) -> None:
    """The host is asked again; a follower it no longer allows is ended, and can't come back."""
    allowed = True

    async def authorize(request: web.Request, action: str, org_id: str | None) -> bool:
        return allowed and action == "read"

    every = timedelta(milliseconds=100)
    async with serving(service, events=events, authorize=authorize, reauthorise_every=every) as host:
        listening = await listen(host, kind)
        first = await writer.queued()
        await wait_until(lambda: listening.heard.ids == [first])
        await asyncio.sleep(0.3)  # asked again some times, and still allowed
        assert not listening.task.done()
        allowed = False
        await listening.ended()
        await writer.queued("secret")
        assert listening.heard.ids == [first]
        if kind == "ws":
            assert listening.answer.close_code == 1008  # type: ignore[union-attr]
        assert await host.problem("GET", "/events") == (403, "forbidden")


@pytest.mark.parametrize(
    ("origin", "status"), [("https://app.example", 101), ("https://evil.example", 403), ("null", 403)]
)
async def test_pages_of_other_origins(service: FakeService, events: EventStream, origin: str, status: int) -> None:
    """A WebSocket is opened for the pages the host lists, and refused to others."""
    async with serving(service, events=events, allowed_origins=["https://app.example/"]) as host:
        try:
            listening = await listen(host, "ws", Origin=origin)
        except WSServerHandshakeError as refused:
            assert refused.status == status
        else:
            assert status == 101
            await listening.cut()
        own = await listen(host, "ws", Origin=host.origin)
        await own.cut()


async def test_a_cap_for_each_organisation(service: FakeService, events: EventStream) -> None:
    """More followers than the cap are refused, with a time to come again; other organisations are not affected."""
    async with serving(service, events=events, followers_per_organisation=2) as host:
        first, second = await listen(host, "sse"), await listen(host, "ws")
        assert await host.problem("GET", "/events") == (429, "too-many-followers")
        host.org = "globex"
        other = await listen(host, "sse", Authorization="globex")
        host.org = "acme"
        await second.cut()
        await wait_until(lambda: events.hub.count("acme") == 1)
        third = await listen(host, "ws")
        await first.cut(), await third.cut(), await other.cut()


async def test_who_does_not_read_is_dropped(service: FakeService, events: EventStream, writer: StreamWriter) -> None:
    """A follower that reads nothing is dropped within 12 s, and the others don't notice."""
    async with serving(service, events=events) as host:
        path = "/api/organisations/acme/bank-connections/events"
        port = int(host.origin.rpartition(":")[2])
        upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        upgrade += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        silent = []
        for extra in ("", upgrade):
            reader, wire = await asyncio.open_connection("127.0.0.1", port, limit=1)
            wire.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: acme\r\n{extra}\r\n".encode())
            silent.append((reader, wire))
        quick = await listen(host, "ws")
        await wait_until(lambda: events.hub.count("acme") == 3)
        started = asyncio.get_running_loop().time()
        big = {"text": "x" * 8000}
        sent = 0
        while events.hub.count("acme") > 1:
            ids = await writer.write(*[("bank.job.queued", "acme", "j", big)] * 50)
            sent += len(ids)
            await wait_until(lambda: quick.heard.ids and quick.heard.ids[-1] == ids[-1])  # noqa: B023  # awaited
            assert asyncio.get_running_loop().time() - started < 12
            await asyncio.sleep(0.2)
        assert len(quick.heard.events) == sent
        server = host.runner.server
        assert server is not None
        await wait_until(lambda: len(server.connections) == 1)  # their sockets are gone too, not only their lines
        await quick.cut()
        for _, wire in silent:
            wire.close()


async def test_a_follower_without_a_body_to_read(host: Host) -> None:
    """HEAD is no way to open a stream."""
    async with (
        ClientSession() as session,
        session.head(f"{host.url}/events", headers={"Authorization": "acme"}) as answer,
    ):
        assert answer.status == 405


async def test_the_rule_of_the_host_is_asked_for_reading(events: EventStream, service: FakeService) -> None:
    """Following is reading: the host hears that, and the organisation."""
    asked: list[tuple[str, str | None]] = []

    async def authorize(request: web.Request, action: str, org_id: str | None) -> bool:
        asked.append((action, org_id))
        return await by_token(request, action, org_id)  # type: ignore[arg-type]

    async with serving(service, events=events, authorize=authorize) as host:
        await (await listen(host, "sse")).cut()
    assert asked == [("read", "acme")]
