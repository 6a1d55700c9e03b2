"""`GET /openapi.json`: OpenAPI 3.1, made from the table of the routes and the models."""

import inspect
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from bankimport.models import ID_PATTERN, JobType, Period
from bankimport.models.model import Model
from bankimport.status import JobState
from bankimport.web.examples import EXAMPLES
from bankimport.web.idempotency import HEADER
from bankimport.web.parameters import AUDIT_TEXTS
from bankimport.web.problem_types import PROBLEM_TYPES
from bankimport.web.schemas import name_of, ref, schemas
from bankimport.web.table import Route
from bankimport.web.views import ProblemView

_ID = {"type": "string", "pattern": ID_PATTERN}
_SECONDS = {"type": "integer", "minimum": 0}
_POSITION = {"type": "string", "pattern": r"^[0-9]{1,15}(-[0-9]{1,18})?$"}
_DAY = {"type": "string", "format": "date"}
#: What each parameter of a query may be.
_QUERY: dict[str, dict[str, Any]] = {
    "state": {"type": "string", "enum": [each.value for each in JobState]},
    "type": {"type": "string", "enum": [each.value for each in JobType]},
    "connectionId": _ID,
    "jobId": _ID,
    "orgId": _ID,
    "errorCode": {"type": "string", "pattern": "^[a-z0-9-]{1,64}$"},
    "bank": _ID,
    "since": _DAY,
    "period": {"type": "string", "enum": [each.value for each in Period]},
    "until": _DAY,
    "cursor": {"type": "string", "pattern": "^[!-~]{1,256}$"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 200},
    "wait": {"type": "integer", "minimum": 0, "maximum": 30},
    "after": _POSITION,
    "country": {"type": "string", "pattern": "^[A-Za-z]{2}$"},
    **{name: {"type": "string", "pattern": pattern.pattern} for name, pattern in AUDIT_TEXTS.items()},
}
_TEXT = {"type": "string"}
_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-ID": {"schema": _TEXT, "description": "the request's id, its own if it brought one"},
    "Location": {"schema": _TEXT, "description": "the job"},
    "ETag": {"schema": _TEXT, "description": "the tag of this content"},
    "Retry-After": {"schema": _SECONDS, "description": "seconds after which to come again"},
    "RateLimit": {"schema": _TEXT, "description": "requests left, and seconds until all are back"},
    "RateLimit-Policy": {"schema": _TEXT, "description": "requests of the organisation in a window of seconds"},
    "WWW-Authenticate": {"schema": _TEXT, "description": "how to sign in; the host's own"},
    "Idempotency-Replayed": {"schema": _TEXT, "description": "`true` where the answer is one of before"},
}
_SOCKET = "A WebSocket, where the request asked for an Upgrade: each text message is one `Event`."
_STREAM = "Server-Sent Events: `id:` and `data:`, which is one `Event`; `id:` alone moves the position."
_THE_JOB = {"orgId": "$request.path.orgId", "jobId": "$response.body#/jobId"}
#: From a job that was accepted to what can be done with it.
_LINKS = {name: {"operationId": name, "parameters": _THE_JOB} for name in ("job", "cancel", "retry")}
_TAGS = {
    "syncs": "Ask for imports.",
    "jobs": "Look at jobs, retry and cancel them.",
    "connections": "How the accesses to banks stand.",
    "queue": "Health and numbers of the queue, as an organisation may see them.",
    "events": "What happens, as it happens.",
    "operators": "The whole queue, over all organisations.",
}


def describe(routes: Sequence[Route], server: str) -> dict[str, Any]:
    """Return the description; `server` is where the host mounted the routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    answers = [route.answer for route in routes if route.answer is not None]
    bodies = [route.body for route in routes if route.body is not None]
    who = "Who may do what is the host's; often a bearer token, or the cookie of its login."
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "bankimport",
            "version": version("bankimport"),
            "summary": "Bank transactions, imported in the background.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": server or "/", "description": "where the host mounted the routes"}],
        "security": [{"host": []}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas(answers, bodies),
            "securitySchemes": {"host": {"type": "http", "scheme": "bearer", "description": who}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [_tag(route)],
        "summary": (inspect.getdoc(route.handle) or "").split("\n")[0],
        "description": f"Needs `{route.action}`.",
        "parameters": list(_parameters(route)),
        "responses": dict(_answers(route)),
    }
    if route.body is not None:
        content = {"schema": ref(name_of(route.body)), **_example(route.body)}
        operation["requestBody"] = {"content": {"application/json": content}, "required": True}
    return operation


def _tag(route: Route) -> str:
    if not route.of_organisation:
        return "operators"
    rest = route.path.partition("/bank-connections")[2]
    return next((tag for tag in ("jobs", "queue", "events") if rest.startswith(f"/{tag}")), _other_tag(rest))


def _other_tag(rest: str) -> str:
    return "syncs" if rest.endswith("/sync") else "connections"


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": _ID}
    for name, meaning in route.query.items():
        yield {"name": name, "in": "query", "description": meaning, "schema": _QUERY[name]}
    if route.changes and not route.personal:
        meaning = "the same key and body within 24 hours have the same answer"
        schema = {"type": "string", "pattern": "^[!-~]{1,255}$"}
        yield {"name": HEADER, "in": "header", "description": meaning, "schema": schema}
    if 304 in route.refused:
        meaning = "the `ETag` that the client has"
        yield {"name": "If-None-Match", "in": "header", "description": meaning, "schema": _TEXT}
    if route.streams:
        meaning = "the id of the last event seen"
        yield {"name": "Last-Event-ID", "in": "header", "description": meaning, "schema": _POSITION}


def _answers(route: Route) -> Iterator[tuple[str, dict[str, Any]]]:
    if route.streams:
        yield "101", {"description": _SOCKET, "headers": _headers()}
    yield str(route.status), _answer(route)
    if 304 in route.refused:
        yield "304", {"description": "Unchanged since `If-None-Match`.", "headers": _headers("ETag")}
    of_bodies = (400, 408, 413, 415) if route.changes else ()
    of_limits = (429,) if route.changes and route.of_organisation else ()
    of_paths = (404,) if "{" in route.path else ()
    always = (401, 403, 422, 500, 503)
    for status in sorted({*always, *of_bodies, *of_limits, *of_paths, *route.refused} - {304}):
        yield str(status), _problem(status, limited=route.changes and route.of_organisation)


def _answer(route: Route) -> dict[str, Any]:
    if route.streams:
        content = {"text/event-stream": {"schema": _TEXT, "x-event": ref("Event")}}
        return {"description": _STREAM, "content": content, "headers": _headers()}
    if route.answer is None:
        return {"description": "Prometheus text.", "content": {"text/plain": {"schema": _TEXT}}, "headers": _headers()}
    more = ("Location", "RateLimit", "RateLimit-Policy", "Idempotency-Replayed") if route.status == 202 else ()
    tag = ("ETag",) if 304 in route.refused else ()
    return {
        "description": (inspect.getdoc(route.answer) or "").replace("\n", " "),
        "content": {"application/json": {"schema": ref(name_of(route.answer)), **_example(route.answer)}},
        "headers": _headers(*more, *tag),
        **({"links": _LINKS} if route.status == 202 else {}),
    }


def _problem(status: int, *, limited: bool) -> dict[str, Any]:
    codes = [each for each in PROBLEM_TYPES.values() if each.status == status]
    text = " ".join(f"`{each.code}`: {each.help}" for each in codes)
    more = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}.get(status, ())
    limits = ("RateLimit", "RateLimit-Policy") if limited and status == 429 else ()
    return {
        "description": text,
        "content": {"application/problem+json": {"schema": ref(name_of(ProblemView))}},
        "headers": _headers(*more, *limits),
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: _HEADERS[name] for name in ("X-Request-ID", *names)}


def _example(model: type[Model]) -> dict[str, Any]:
    found = EXAMPLES.get(name_of(model))
    return {"examples": {"example": {"value": found}}} if found is not None else {}
