"""What is refused, and with which problem."""

import io
import json
from datetime import timedelta

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from bankimport.errors import (
    ConnectionUnusable,
    IllegalTransition,
    InvalidRequest,
    NotFound,
    StoreUnavailable,
    TooManyPending,
    Unavailable,
)
from tests.web.serving import FakeService, Host, job

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    [
        (NotFound("connection"), 404, "not-found", None),
        (ConnectionUnusable("giro", "it is disconnected"), 409, "connection-unusable", None),
        (IllegalTransition("j1", "be retried", "active"), 409, "illegal-transition", None),
        (InvalidRequest("/startDate", "must not be in the future"), 422, "invalid-request", None),
        (TooManyPending(1000, timedelta(seconds=30)), 429, "too-many-pending", "30"),
        (Unavailable("Redis", timedelta(milliseconds=1500)), 503, "unavailable", "2"),
        (StoreUnavailable(), 503, "unavailable", "5"),
        (RedisConnectionError("DE89370400440532013000"), 503, "unavailable", "5"),
        (OSError("DE89370400440532013000"), 500, "internal-error", None),
        (RuntimeError("DE89370400440532013000"), 500, "internal-error", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_errors_are_problems(
    host: Host, service: FakeService, error: Exception, status: int, code: str, retry_after: str | None
) -> None:
    """Each error of the service has its status and code; what we didn't write ourselves is not repeated."""
    service.error = error
    assert await host.problem("POST", "/giro/sync") == (status, code)
    _, body, headers = await host.call("POST", "/giro/sync")
    assert headers.get("Retry-After") == retry_after
    assert "DE89" not in json.dumps(body)


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", JSON, 400, "not-json"),
        (b"\xff", JSON, 400, "not-json"),
        (b"\x0b", JSON, 400, "not-json"),
        (b" \n", JSON, 400, "not-json"),
        (b'{"startDate": NaN}', JSON, 400, "not-json"),
        (b"[" * 10_000, JSON, 400, "not-json"),
        (b'{"startDate": 1' + b"0" * 5000 + b"}", JSON, 400, "not-json"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
        (b"{}", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported-media-type"),
        (b"[" * 200_000, JSON, 413, "too-large"),
        (b'{"startDate": null, "startDate": null}', JSON, 400, "not-json"),
        (b"", {"Content-Type": ""}, 415, "unsupported-media-type"),
        (b"{}", {"Content-Type": "application/problem+json"}, 415, "unsupported-media-type"),
        (b" " * (2 * 1024 * 1024 + 1), JSON, 413, "too-large"),
    ],
)
async def test_a_body_that_is_none(host: Host, body: bytes, headers: dict[str, str], status: int, code: str) -> None:
    """What is not JSON, says it isn't, or is too large is told apart."""
    assert await host.problem("POST", "/giro/sync", data=io.BytesIO(body), headers=headers) == (status, code)


async def test_a_body_without_a_length(host: Host) -> None:
    """A body that comes in chunks is cut off as well."""

    async def endless() -> object:
        for _ in range(40):
            yield b" " * 100_000

    assert await host.problem("POST", "/giro/sync", data=endless(), headers=JSON) == (413, "too-large")


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/giro/sync", {"forceFullSync": "yes"}, "/forceFullSync"),
        ("/giro/sync", {"forceFullSync": 1}, "/forceFullSync"),
        ("/giro/sync", {"force_full_sync": True}, "/force_full_sync"),
        ("/giro/sync", {"unknown": 1}, "/unknown"),
        ("/giro/sync", {"a/b~": 1}, "/a~1b~0"),
        ("/giro/sync", {"startDate": "2026-02-30"}, "/startDate"),
        ("/giro/sync", {"startDate": 1}, "/startDate"),
        ("/giro/sync", {"accountIds": ["a", "b c"]}, "/accountIds/1"),
        ("/giro/sync", {"accountIds": "a"}, "/accountIds"),
        ("/giro/sync", {"triggeredBy": "a\nb"}, "/triggeredBy"),
        ("/giro/sync", [], ""),
        ("/sync", {"connectionIds": [""]}, "/connectionIds/0"),
        ("/sync", {"triggeredBy": "a b"}, "/triggeredBy"),
        ("/queue/pause", {"until": "2030-01-01T00:00:00"}, "/until"),
        ("/queue/pause", {"reason": "x" * 201}, "/reason"),
        ("/queue/resume", {"x": 1}, "/x"),
    ],
)
async def test_a_wrong_field_is_pointed_at(host: Host, path: str, body: object, pointer: str) -> None:
    """A wrong or unknown field is a 422 that points at it."""
    token = "*" if path.startswith("/queue") else "acme"
    status, answer, _ = await host.call("POST", path, json=body, token=token)
    assert (status, answer["code"]) == (422, "invalid-request")
    assert [error["pointer"] for error in answer["errors"]] == [pointer]
    assert all(error["message"] for error in answer["errors"])


async def test_another_organisation_is_the_same_as_none(host: Host, service: FakeService) -> None:
    """Another organisation's job, none at all, and what can't be an id are word for word the same 404."""
    service.jobs["g1"] = job("g1", "globex")
    answers = [await host.call("GET", f"/jobs/{name}") for name in ("g1", "nix", "a%20b", "x" * 200)]
    assert {status for status, _, _ in answers} == {404}
    assert len({json.dumps(body) for _, body, _ in answers}) == 1


@pytest.mark.parametrize("path", ["/jobs/j1", "/jobs", "/queue/health", "/queue/stats", "/events"])
async def test_who_may_not_look(host: Host, service: FakeService, path: str) -> None:
    """Without a token the host's own 401 comes through as a problem; with another organisation's it is 403."""
    assert await host.problem("GET", path, token="globex") == (403, "forbidden")
    async with host.session.get(host.url + path) as answer:
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await answer.json(content_type=None))["code"] == "unauthorized"
    assert service.calls == []


@pytest.mark.parametrize("path", ["/giro/sync", "/sync", "/jobs/j1/retry", "/jobs/j1/cancel"])
async def test_who_may_not_sync(host: Host, service: FakeService, path: str) -> None:
    """Another organisation's token can't change anything."""
    assert await host.problem("POST", path, token="globex") == (403, "forbidden")
    assert service.calls == []


@pytest.mark.parametrize("path", ["/queue/pause", "/queue/resume"])
async def test_who_may_not_operate(host: Host, service: FakeService, path: str) -> None:
    """A member of the organisation can't stop the whole queue, wherever they ask."""
    assert await host.problem("POST", path) == (404, "not-found")
    headers = {"Authorization": "acme", "Content-Type": "application/json"}
    async with host.session.post(f"{host.queue_url}{path}", headers=headers) as answer:
        assert answer.status == 403
    assert service.calls == []


async def test_what_is_not_there(host: Host) -> None:
    """aiohttp's own refusals are problems too."""
    assert await host.problem("GET", "/nothing/at/all") == (404, "not-found")
    assert await host.problem("DELETE", "/jobs") == (405, "method-not-allowed")
    _, _, headers = await host.call("DELETE", "/jobs")
    assert "GET" in headers["Allow"]


async def test_no_stream_of_events(host: Host) -> None:
    """A host that was given no stream says that there is none."""
    assert await host.problem("GET", "/events") == (503, "unavailable")


async def test_an_organisation_that_is_no_id(host: Host, service: FakeService) -> None:
    """Nobody is asked about an organisation that can't be."""
    host.org = "a%20b"
    assert await host.problem("GET", "/jobs") == (404, "not-found")
    assert service.calls == []
