"""Bounds that hold before work is done: sizes, times, bytes that are nothing, and so much for each organisation."""

import asyncio
import gc
import gzip
import io
import json
import re
import time
import zlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from bankimport.stream import EventStream
from bankimport.web import bodies
from bankimport.web.limits import RequestLimit
from bankimport.web.problems import ProblemRaised
from tests.waiting import PATIENCE
from tests.web.serving import FakeService, Host, job, serving

#: What one step of the loop may take, in seconds of CPU of its thread: the machine's other work doesn't count. Where that
#: slows a core down itself, it is three times what Python needs to read 200,000 numbers, which is as much on a quiet one.
LONGEST_STEP = 0.05
NUMBERS = b"[" + b"1," * 200_000 + b"1]"
_WIDE = ",".join(f'"x{number}": 1' for number in range(10_900))
BODIES: dict[str, bytes] = {
    "unknown fields": b"{" + _WIDE.encode() + b"}",
    "one unknown field within": b'{"startDate": {' + _WIDE.encode() + b"}}",
    "deep": b'{"accountIds":' + b"[" * 10_900 + b"]" * 10_900 + b"}",
    "deep objects": b'{"a":' * 10_900 + b"1" + b"}" * 10_900,
    "2 MiB of []": b"[" + b"[]," * 699_000 + b"[]]",
    "2 MiB of {}": b"[" + b"{}," * 699_000 + b"{}]",
    "2 MiB of commas": b"," * 2_000_000,
    "one long string": b'{"triggeredBy": "' + b"x" * 2_000_000 + b'"}',
    "one long name": b'{"' + b"x" * 2_000_000 + b'": 1}',
    "one long number": b'{"startDate": ' + b"1" * 2_000_000 + b"}",
    "escapes": b'{"triggeredBy": "' + rb"\u00e4" * 300_000 + b'"}',
    "surrogates": rb'{"\ud800": "\udfff"}',
}


class Stepwatch:
    """Measures the longest step of the event loop, in CPU time of this thread."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        """Look at the clock in each turn of the loop."""
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest, last = max(self.longest, now - last), now


def longest_step() -> float:
    """Return what a step may take here and now."""
    began = time.thread_time()
    json.loads(NUMBERS)
    return max(LONGEST_STEP, 5 * (time.thread_time() - began))


async def watched(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what the work answers, and the longest step meanwhile."""
    watch = Stepwatch()
    watching = asyncio.create_task(watch.run())
    gc.collect()
    gc.disable()  # a collection of all that the tests hold is no step of ours
    await asyncio.sleep(0.01)
    watch.longest = 0.0
    try:
        answer = await work()
    finally:
        gc.enable()
        watching.cancel()
    return answer, watch.longest


async def without_holding(work: Callable[[], Any]) -> Any:
    """Return what the work answers. One of five times at least it must not hold the loop: what else the machine does only
    adds to a step."""
    steps = []
    for _ in range(5):
        answer, longest = await watched(work)
        steps.append(longest)
        if longest < longest_step():
            return answer
    raise AssertionError(f"the loop was held each time: {steps}")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", ["/giro/sync", "/sync"])
async def test_a_hostile_body(host: Host, path: str, body: bytes) -> None:
    """It is refused, with at most a hundred fields named, and holds the loop for no more than 50 ms. Red before: 2 MiB
    of `[]` held it for a second."""
    status, answer, _ = await without_holding(lambda: host.call("POST", path, data=io.BytesIO(body)))
    assert 400 <= status < 500
    assert len(answer.get("errors", ())) <= 100


async def test_ten_thousand_connections(host: Host, service: FakeService) -> None:
    """As many ids as are allowed, each of the greatest length, are taken without holding the loop."""
    ids = [f"{number:0128}" for number in range(10_000)]
    body = json.dumps({"connectionIds": ids}).encode()
    status, _, _ = await without_holding(lambda: host.call("POST", "/sync", data=io.BytesIO(body)))
    assert status == 202
    assert len(service.calls[0][2]) == 10_000
    wrong = json.dumps({"connectionIds": ["a b"] * 10_000}).encode()
    status, answer, _ = await without_holding(lambda: host.call("POST", "/sync", data=io.BytesIO(wrong)))
    assert (status, len(answer["errors"])) == (422, 100)


async def test_a_body_that_drips(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that comes byte by byte is ended after 30 s; here after a fifth of one."""
    monkeypatch.setattr(bodies, "MAX_TIME", timedelta(milliseconds=200))

    async def drips() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.02)

    began = time.monotonic()
    async with host.session.post(
        f"{host.url}/sync",
        data=drips(),
        headers={"Authorization": "acme", "Content-Type": "application/json"},
    ) as answer:
        assert answer.status == 408
    assert time.monotonic() - began < 10


POST = "POST /api/organisations/acme/bank-connections/giro/sync HTTP/1.1\r\nHost: x\r\nAuthorization: acme\r\n"
TYPE = "Content-Type: application/json\r\n"
GET = "GET /api/organisations/acme/bank-connections/{} HTTP/1.1\r\nHost: x\r\nAuthorization: acme\r\n"


def _body(body: bytes, headers: str = TYPE) -> bytes:
    return (POST + headers + f"Content-Length: {len(body)}\r\n\r\n").encode("latin-1") + body


def _get(path: str, headers: str = "") -> bytes:
    return (GET.format(path) + headers + "\r\n").encode("utf-8", "surrogateescape")


RAW: dict[str, bytes] = {
    "not utf-8": _body(b'{"triggeredBy": "\xff"}'),
    "utf-16": _body('{"a": 1}'.encode("utf-16")),
    "a mark of byte order": _body(b"\xef\xbb\xbf{}"),
    "broken gzip": _body(b"nonsense", TYPE + "Content-Encoding: gzip\r\n"),
    "cut gzip": _body(gzip.compress(b'{"triggeredBy": "maria"}')[:-12], TYPE + "Content-Encoding: gzip\r\n"),
    "broken deflate": _body(b"\x00\x01\x02nonsense", TYPE + "Content-Encoding: deflate\r\n"),
    "cut deflate": _body(zlib.compress(b'{"a": 1}' * 99)[:9], TYPE + "Content-Encoding: deflate\r\n"),
    "unknown encoding": _body(b"\x00nonsense", TYPE + "Content-Encoding: zstd-of-mine\r\n"),
    "gzip bomb": _body(gzip.compress(b" " * 50_000_000), TYPE + "Content-Encoding: gzip\r\n"),
    "unknown charset": _body(b"\xff", "Content-Type: application/json; charset=klingon\r\n"),
    "digits of another script": _get("jobs?limit=\u0663"),
    "a raised digit": _get("jobs?limit=\u00b2"),
    "a cursor of raised digits": _get("jobs?cursor=\u00b2:x"),
    "a cursor of bytes": _get("jobs?cursor=%ff%fe:x"),
    "a cursor of nothing": _get("jobs?cursor=1:%00"),
    "an event of another script": _get("events?after=\u0663-\u0663"),
    "an event of bytes": _get("events?after=%ff"),
    "a last event of bytes": _get("events", "Last-Event-ID: \udcff\r\n"),
    "a job of bytes": _get("jobs/%ff"),
    "a job of half a pair": _get("jobs/%ed%a0%80"),
    "a waiting of another script": _get("jobs/j1?wait=\u0663"),
    "a name of bytes": _get("jobs?%ff=1"),
    "a name of half a pair": _get("jobs?%ed%a0%80=1"),
    "a broken origin": (POST + TYPE + "Origin: http://[\r\nContent-Length: 2\r\n\r\n{}").encode(),
    "an origin of bytes": (POST + TYPE).encode() + b"Origin: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}",
    "a length of another script": (POST + TYPE).encode() + "Content-Length: \u0662\r\n\r\n{}".encode(),
    "a length of a raised digit": (POST + TYPE).encode() + b"Content-Length: \xb2\r\n\r\n{}",
    "a key of bytes": (POST + TYPE).encode() + b"Idempotency-Key: \xff\r\nContent-Length: 1\r\n\r\n[",
    "two lengths": (POST + TYPE).encode() + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a broken chunk": (POST + TYPE).encode() + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "a cut chunk": (POST + TYPE).encode() + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}",
}


@pytest.fixture
async def live_host(settings: Settings, service: FakeService) -> AsyncIterator[Host]:
    """A host with a real stream of events."""
    client = connect(settings, Redis)
    events = EventStream(client, Keys("bank-import"))
    service.jobs["j1"] = job()
    async with serving(service, events=events) as running:
        yield running
    await events.aclose()
    await client.aclose()


async def test_bytes_that_are_nothing(live_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the bytes of a request are, it is the client's mistake: 4xx, and never a 500. Red before for four."""
    monkeypatch.setattr(bodies, "MAX_TIME", timedelta(seconds=1))
    port = int(live_host.origin.rpartition(":")[2])

    async def heard(name: str, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        if name.startswith("cut"):
            writer.write_eof()
        try:
            async with asyncio.timeout(PATIENCE):
                return await reader.readline()
        except TimeoutError:
            return b"no answer"
        finally:
            writer.close()

    # who has hung up in the middle of a body may be left without an answer
    answers = dict(
        zip(RAW, await asyncio.gather(*(heard(name, request) for name, request in RAW.items())), strict=True)
    )
    assert {
        name: status
        for name, status in answers.items()
        if not (re.match(rb"HTTP/1\.[01] 4\d\d ", status) or (name.startswith("cut") and not status))
    } == {}


async def test_unknown_parameters(host: Host) -> None:
    """A parameter that the route hasn't, or twice, is a mistake and said to be one; the host's own are the host's."""
    assert await host.problem("GET", "/jobs?stat=failed") == (422, "invalid-request")
    assert await host.problem("GET", "/jobs?state=failed&state=active") == (422, "invalid-request")
    assert await host.problem("POST", "/giro/sync?force=true") == (422, "invalid-request")
    assert (await host.call("GET", "/jobs?token=x"))[0] == 200


async def test_so_many_requests_a_minute(service: FakeService) -> None:
    """An organisation that sends more requests than it may is refused, is told when to come again, and is alone in it."""
    async with serving(service, requests_per_minute=3) as host:
        answers = [await host.call("POST", "/giro/sync") for _ in range(4)]
        assert [status for status, _, _ in answers] == [202, 202, 202, 429]
        assert [headers["RateLimit"].split(";")[1] for _, _, headers in answers] == ["r=2", "r=1", "r=0", "r=0"]
        assert answers[3][1]["code"] == "too-many-requests"
        assert answers[3][2]["RateLimit-Policy"] == '"organisation";q=3;w=60'
        assert 1 <= int(answers[3][2]["Retry-After"]) <= 20
        assert (await host.call("GET", "/jobs"))[0] == 200
        host.org = "globex"
        assert (await host.call("POST", "/giro/sync", token="globex"))[0] == 202


def test_the_limit_refills_evenly() -> None:
    """A token comes back every sixtieth of the minute's number, and never more than all are there."""
    now = [0.0]
    limit = RequestLimit(60, lambda: now[0])
    for _ in range(60):
        limit.take("acme")
    with pytest.raises(ProblemRaised):
        limit.take("acme")
    now[0] = 2.0
    limit.take("acme"), limit.take("acme")
    with pytest.raises(ProblemRaised):
        limit.take("acme")
    now[0] = 1e6
    for _ in range(60):
        limit.take("acme")
    with pytest.raises(ProblemRaised):
        limit.take("acme")


async def test_headers_of_every_answer(host: Host, service: FakeService) -> None:
    """Each answer carries the request's id, long ones go compressed to who takes that, and HEAD is GET without a body."""
    service.jobs = {f"j{number}": job(f"j{number}") for number in range(20)}
    _, _, headers = await host.call("GET", "/jobs", headers={"X-Request-ID": "abc-1"})
    assert (headers["X-Request-ID"], headers["Content-Encoding"]) == ("abc-1", "gzip")
    assert "Accept-Encoding" in headers["Vary"]
    _, _, headers = await host.call("GET", "/jobs", headers={"Accept-Encoding": "gzip;q=0", "X-Request-ID": "a b"})
    assert "Content-Encoding" not in headers
    assert headers["X-Request-ID"] not in ("a b", "")
    status, _, headers = await host.call("GET", "/nothing")
    assert (status, len(headers["X-Request-ID"])) == (404, 16)
    async with host.session.head(f"{host.url}/jobs/j1", headers={"Authorization": "acme"}) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        assert answer.headers["ETag"]


async def test_behind_a_proxy(service: FakeService) -> None:
    """Where a proxy adds a prefix, the addresses in answers are those that the client sees."""
    async with serving(service, public_url="https://www.example/banking/") as host:
        _, _, headers = await host.call("POST", "/giro/sync")
        where = "https://www.example/banking/api/organisations/acme/bank-connections/jobs/job-1"
        assert headers["Location"] == where
        _, body, _ = await host.call("GET", "/jobs/nix")
        assert body["type"] == "https://www.example/banking/api/problems/not-found"
        assert (await host.call("POST", "/giro/sync", headers={"Origin": "https://www.example"}))[0] == 202


async def test_a_problem_has_a_page(host: Host) -> None:
    """The address in a problem's `type` leads to its meaning."""
    _, body, _ = await host.call("GET", "/jobs/nix")
    async with host.session.get(host.origin + body["type"]) as answer:
        text = await answer.text()
        assert (answer.status, body["title"] in text) == (200, True)
