"""Attempts of one organisation's member to hear another's events, byte by byte on a raw socket."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from bankimport.stream import EventStream
from tests.stream.writing import StreamWriter
from tests.waiting import wait_until
from tests.web.serving import FakeService, Host, job, serving

UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
EVENTS = "/api/organisations/{}/bank-connections/events"
#: What stands where the organisation does.
ORGANISATIONS = (
    "globex", "%67lobex", "GLOBEX", "acme%2F..%2Fglobex", "acme/../globex", "acme/%2e%2e/globex", "./globex",
    "globex%00", "acme%00globex", "acme;globex", "acme,globex", "acme%0Aglobex", "*", "%2A", "%20", "", "/globex",
    "acme%2Fbank-connections%2Fevents%3Forg=globex",
)  # fmt: skip
QUERIES = (
    "jobId=g1", "jobId=j1&jobId=g1", "jobId=g1&jobId=j1", "jobId%5B%5D=g1", "jobid=g1", "jobId=%00", "jobId=*",
    "jobId=&after=0", "after=0&orgId=globex", "after=0&org_id=", "after=0&after=1", "after=0;orgId=globex",
    "after={secret}", "after=0&jobId=j1", "token=acme&after=0",
)  # fmt: skip
HEADERS = (
    "Last-Event-ID: {secret}\r\n", "Last-Event-ID: 0\r\n", "Last-Event-ID: 0\r\nLast-Event-ID: {secret}\r\n",
    "X-Organisation: globex\r\n", "X-Forwarded-Host: globex\r\nX-Original-URL: " + EVENTS.format("globex") + "\r\n",
    "X-Rewrite-URL: " + EVENTS.format("globex") + "\r\n", "Sec-WebSocket-Protocol: globex, *\r\n",
    "Sec-WebSocket-Extensions: permessage-deflate\r\n", "Cookie: organisation=globex\r\n", "Authorization: globex\r\n",
)  # fmt: skip
METHODS = ("HEAD", "OPTIONS", "POST", "PUT", "TRACE", "get", "GETX")


@pytest.fixture
def service() -> FakeService:
    """A job of each organisation."""
    return FakeService({"j1": job("j1"), "g1": job("g1", "globex")})


@pytest.fixture
async def events(settings: Settings) -> AsyncIterator[EventStream]:
    """What the host reads events with."""
    client = connect(settings, Redis)
    stream = EventStream(client, Keys("bank-import"))
    yield stream
    await stream.aclose()
    await client.aclose()


def attempts(secret: str) -> list[bytes]:
    """Return the requests: of a member of acme, each once plain and once as a WebSocket."""
    own = EVENTS.format("acme")
    lines = [("GET", EVENTS.format(org) + "?after=0", "") for org in ORGANISATIONS]
    lines += [("GET", "http://globex" + EVENTS.format("globex"), ""), ("GET", "//globex" + own + "?after=0", "")]
    lines += [("GET", f"{own}?{query.format(secret=secret)}", "") for query in QUERIES]
    lines += [("GET", own, header.format(secret=secret)) for header in HEADERS]
    lines += [(method, own + "?after=0", "X-HTTP-Method-Override: GET\r\n") for method in METHODS]
    return [
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: acme\r\n{header}{upgrade}\r\n".encode()
        for method, path, header in lines
        for upgrade in ("", UPGRADE)
    ]


class Wire:
    """One attempt, and all that has come."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.heard = b""

    async def run(self, host: Host) -> None:
        """Send it, then some frames that ask for more, and take all that comes."""
        port = int(host.origin.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(self.request)
        self.heard = await reader.read(65536)
        if b" 101 " in self.heard:
            asked = b'{"orgId":"globex","jobId":"g1"}'
            writer.write(bytes((0x81, 0x80 | len(asked), 0, 0, 0, 0)) + asked)
        try:
            while data := await reader.read(65536):
                self.heard += data
        except ConnectionError:
            pass
        finally:
            writer.close()

    @property
    def follows(self) -> bool:
        """Whether a line of events was opened."""
        return self.heard.startswith(b"HTTP/1.1 101") or b"text/event-stream" in self.heard


async def test_nothing_of_another_organisation(
    service: FakeService, events: EventStream, redis_client: "Redis[str]"
) -> None:
    """Under no path, method, parameter, header or message does a byte of another organisation's events come, or of the
    queue's; where a line is opened at all it is one's own."""
    writer = StreamWriter(redis_client, Keys("bank-import"))

    async def write() -> str:
        data = {"mark": "SECRET"}
        ids = await writer.write(
            ("bank.job.queued", "globex", "g1", data),
            ("bank.job.progress", "globex", "g1", data),
            ("bank.job.queued", "globex", "j1", data),  # the same id by chance
            ("bank.queue.paused", "", "", data),
            ("bank.job.queued", "ACME", "j1", data),
            ("bank.job.queued", "acme.", "j1", data),
            ("bank.job.queued", "acme", "j1", {"mark": "OWN"}),
        )
        return ids[0]

    secret = await write()
    async with serving(service, events=events) as host:
        wires = [Wire(request) for request in attempts(secret)]
        tasks = [asyncio.create_task(wire.run(host)) for wire in wires]
        await wait_until(lambda: all(wire.heard for wire in wires))
        following = [wire for wire in wires if wire.follows]
        await write()
        wanted = [wire for wire in following if b"jobId=" not in wire.request or b"jobId=j1" in wire.request]
        await wait_until(lambda: all(b"OWN" in wire.heard for wire in wanted))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for wire in wires:
        assert b"SECRET" not in wire.heard, wire.request
        assert b"HTTP/1.1 5" not in wire.heard, wire.request
    assert len(following) >= 2 * len(HEADERS)
    for wire in following:
        assert b"/organisations/acme/bank-connections/events" in wire.request, wire.request
