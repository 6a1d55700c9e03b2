"""Who may do what can't be got wrong: only `True` lets in, and nobody's page asks in another's name."""

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis
from structlog.testing import capture_logs

from bankimport.models import PsuContext
from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from bankimport.stream import EventStream
from bankimport.web import authorising, web_app
from bankimport.web.banks import DecisionBody
from bankimport.web.bodies import JobsBody
from bankimport.web.consent import ConnectBody
from bankimport.web.table import ROUTES, Route
from tests.web.serving import FakeService, Host, job, serving

SECRET = "DE89370400440532013000"


async def _true() -> bool:
    return True


def wrong(answer: Any) -> Any:
    """Return an `authorize` that answers so."""

    async def authorize(request: web.Request, action: str, org_id: str | None) -> Any:
        return answer() if callable(answer) else answer

    return authorize


@pytest.mark.parametrize(
    "answer",
    [web.Response(status=403), web.Response(), {"allowed": False}, "no", "yes", 1, None, [], _true, object()],
    ids=lambda value: repr(value)[:20],
)
async def test_only_true_lets_in(service: FakeService, answer: Any) -> None:
    """What is neither True nor False, a coroutine or a response too, lets nobody in; the log says what to return. Red
    before: whatever was truthy let in."""
    with capture_logs() as logs:
        async with serving(service, authorize=wrong(answer)) as host:
            assert await host.problem("POST", "/giro/sync") == (403, "forbidden")
    assert service.calls == []
    [line] = [line for line in logs if line["log_level"] == "error"]
    assert (line["event"], "return True" in line["meaning"]) == ("web.authorize_wrong_answer", True)


async def test_false_is_no_error(service: FakeService) -> None:
    """False is an answer like any other."""
    with capture_logs() as logs:
        async with serving(service, authorize=wrong(False)) as host:
            assert await host.problem("POST", "/giro/sync") == (403, "forbidden")
    assert [line for line in logs if line["log_level"] == "error"] == []


async def test_a_failing_host_is_no_yes(service: FakeService) -> None:
    """An exception is 503, and its text stays out of the log and of the answer."""

    async def authorize(request: web.Request, action: str, org_id: str | None) -> bool:
        raise RuntimeError(SECRET)

    with capture_logs() as logs:
        async with serving(service, authorize=authorize) as host:
            assert await host.problem("GET", "/jobs") == (503, "authorization-unavailable")
            _, body, headers = await host.call("GET", "/jobs")
    assert "Retry-After" in headers
    assert SECRET not in str(body) + str(logs)
    assert logs[0]["event"] == "web.authorize_failed"


async def test_a_slow_host_is_no_yes(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who doesn't answer in time is away."""
    monkeypatch.setattr(authorising, "LONGEST", timedelta(milliseconds=50))

    async def authorize(request: web.Request, action: str, org_id: str | None) -> bool:
        await asyncio.sleep(30)
        return True

    async with serving(service, authorize=authorize) as host:
        assert await host.problem("GET", "/jobs") == (503, "authorization-unavailable")


@pytest.mark.parametrize("status", [200, 302])
async def test_a_response_raised_is_no_yes(service: FakeService, status: int) -> None:
    """A host that raises a redirect to its login, or a 200, has let nobody in and has not said no."""

    async def authorize(request: web.Request, action: str, org_id: str | None) -> bool:
        raise web.HTTPFound("/login") if status == 302 else web.HTTPOk()

    async with serving(service, authorize=authorize) as host:
        assert await host.problem("GET", "/jobs") == (403, "forbidden")


def plain(request: web.Request, action: str, org_id: str | None) -> bool:
    """Answer without `async`."""
    return True


@pytest.mark.parametrize("authorize", [None, True, plain, lambda *_: _true(), functools.partial(plain)])
def test_a_plain_function_is_refused_at_once(service: FakeService, authorize: Any) -> None:
    """What is no async function is refused when the routes are made, not at the first request."""
    with pytest.raises(TypeError, match="async function"):
        web_app(service, authorize=authorize)


ROLES = ("nobody", "globex-sync", "acme-read", "acme-sync", "acme-operate", "operator")
RIGHTS = {"acme-read": {"read"}, "acme-sync": {"read", "sync"}, "acme-operate": {"read", "sync", "operate"}}


async def by_role(request: web.Request, action: str, org_id: str | None) -> bool:
    """A host with roles: members of organisations, one of whom may `operate` their own, and the whole's operator."""
    role = request.headers.get("Authorization", "nobody")
    if role == "nobody":
        raise web.HTTPUnauthorized
    if role == "operator":
        return True
    organisation = role.partition("-")[0]
    return organisation == org_id and (role == "globex-sync" or action in RIGHTS[role])


def allowed(role: str, route: Route) -> bool:
    """Whether a role may use a route of acme, or of the whole queue."""
    if role == "operator":
        return True
    return route.of_organisation and role in RIGHTS and route.action in RIGHTS[role]


@asynccontextmanager
async def everything(settings: Settings, service: FakeService) -> AsyncIterator[Host]:
    """A host with roles and a stream of events."""
    client = connect(settings, Redis)
    events = EventStream(client, Keys("bank-import"))
    async with serving(service, authorize=by_role, events=events) as host:
        yield host
    await events.aclose()
    await client.aclose()


async def test_every_route_for_every_role(settings: Settings) -> None:
    """Each route lets in exactly those whom the table says, whosever job it is asked for; what concerns the whole queue
    is never an organisation's, whoever operates that. Over Server-Sent Events and WebSocket too."""
    service = FakeService({"mine": job("mine"), "theirs": job("theirs", "globex")})
    found, wanted = {}, {}
    async with everything(settings, service) as host:
        for route in ROUTES:
            for role in ROLES:
                for job_id in ("mine", "theirs") if "jobId" in route.path else ("mine",):
                    for socket in (False, True) if route.streams else (False,):
                        case = (route.method, route.path, role, job_id, socket)
                        wanted[case] = expected(route, role, job_id, socket)
                        found[case] = await asked(host, route, role, job_id, socket)
    assert found == wanted


def expected(route: Route, role: str, job_id: str, socket: bool) -> int:
    """Return the status that the rules want."""
    if role == "nobody":
        return 401
    if not allowed(role, route):
        return 403
    if route.of_organisation and job_id == "theirs":
        return 404
    return 101 if socket else route.status


async def asked(host: Host, route: Route, role: str, job_id: str, socket: bool) -> int:
    """Return the status that the route answers."""
    path = route.path.replace("{orgId}", "acme").replace("{jobId}", job_id).replace("{id}", "giro")
    path = path.replace("{accountId}", "acc_1").replace("{bank}", "bank")
    headers = {"Authorization": role, "Content-Type": "application/json"}
    if socket:
        headers |= {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        headers |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    url = f"{host.origin}/api{path}"
    async with host.session.request(route.method, url, headers=headers, data=body_of(route)) as answer:
        return answer.status


def body_of(route: Route) -> bytes:
    """Return the least that the route takes."""
    bodies = {JobsBody: b'{"reason": "test"}', ConnectBody: b'{"bank": "bank"}', DecisionBody: b'{"sameAs": null}'}
    return bodies.get(route.body, b"") if route.body is not None else b""


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "\xff"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://app.example.evil.example", "Sec-Fetch-Site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_foreign_page_asks_for_nothing(service: FakeService, headers: dict[str, str]) -> None:
    """What a page of another site sends in its visitor's name changes nothing. Red before: cookies went along."""
    async with serving(service, allowed_origins=["https://app.example"]) as host:
        assert await host.problem("POST", "/giro/sync", headers=headers) == (403, "origin-not-allowed")
        assert (await host.call("GET", "/jobs", headers=headers))[0] == 200
    assert [call[0] for call in service.calls] == ["list"]


async def test_own_and_listed_pages_ask(service: FakeService) -> None:
    """Our own host's pages and those that the host lists may ask, by CORS and its preflight too."""
    listed = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
    async with serving(service, allowed_origins=["https://app.example/"]) as host:
        assert (await host.call("POST", "/giro/sync", headers={"Origin": host.origin}))[0] == 202
        assert (await host.call("POST", "/giro/sync", headers={"Sec-Fetch-Site": "same-origin"}))[0] == 202
        status, _, headers = await host.call("POST", "/giro/sync", headers=listed)
        assert (status, headers["Access-Control-Allow-Origin"]) == (202, "https://app.example")
        asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        async with host.session.options(f"{host.url}/giro/sync", headers=listed | asking) as answer:
            assert (answer.status, answer.headers["Access-Control-Allow-Methods"]) == (204, "POST")
        async with host.session.options(f"{host.url}/giro/sync", headers={"Origin": "https://evil.example"}) as answer:
            assert (answer.status, "Access-Control-Allow-Origin" in answer.headers) == (403, False)
        _, _, headers = await host.call("GET", "/jobs", headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in headers


async def test_who_is_there(service: FakeService) -> None:
    """`attended: false` says that nobody is there, whatever the address; a host may say itself who is."""
    address = {"X-Forwarded-For": "8.8.8.8"}
    async with serving(service, trusted_proxies=["127.0.0.0/8"]) as host:
        await host.call("POST", "/giro/sync", headers=address, json={"attended": False})
    somebody = PsuContext(ip="9.9.9.9", user_agent="app", at=datetime(2026, 1, 1, tzinfo=UTC))

    async def person(request: web.Request) -> PsuContext | None:
        return somebody if request.headers.get("X-User") else None

    async with serving(service, person=person, trusted_proxies=["127.0.0.0/8"]) as host:
        await host.call("POST", "/giro/sync", headers={**address, "X-User": "maria"})
        await host.call("POST", "/giro/sync", headers=address)
        await host.call("POST", "/giro/sync", headers={"X-User": "maria"}, json={"attended": False})
    assert service.persons == [None, somebody, None, None]


async def _raises(request: web.Request) -> Any:
    raise RuntimeError(SECRET)


async def _hangs(request: web.Request) -> Any:
    await asyncio.sleep(30)


@pytest.mark.parametrize("asked", [_raises, _hangs])
@pytest.mark.parametrize(("what", "path"), [("person", "/giro/sync"), ("user", "")])
async def test_a_host_that_cant_say_who_is_there(
    service: FakeService, monkeypatch: pytest.MonkeyPatch, asked: Any, what: str, path: str
) -> None:
    """A `person=` or `user=` that fails or hangs is 503 and one line that names it, and nobody is taken for another. Red
    before: 500, or no answer for as long as it hung; and of `person` the log blamed Redis."""
    monkeypatch.setattr(authorising, "SOON", timedelta(milliseconds=50))
    with capture_logs() as logs:
        async with serving(service, **{what: asked}) as host:
            problem = await host.problem("POST", path, json={"bank": "bank"} if what == "user" else {})
    assert problem == (503, "authorization-unavailable")
    assert SECRET not in str(logs)
    assert f"web.{what}_{'failed' if asked is _raises else 'too_slow'}" in {line["event"] for line in logs}
    assert service.persons == []
