"""`GET /openapi.json`: OpenAPI 3.1, made from the table of the routes and the models."""

import inspect
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from pydantic.json_schema import models_json_schema

from bankimport.events import Event
from bankimport.models import ID_PATTERN
from bankimport.models.model import Model
from bankimport.web.idempotency import HEADER
from bankimport.web.table import Route
from bankimport.web.views import ProblemView

_REFUSALS = {
    304: "Unchanged since `If-None-Match`.",
    400: "The body is not JSON.",
    401: "The host does not know who asks.",
    403: "Not allowed.",
    404: "Unknown, or another organisation's.",
    409: "The state does not allow it.",
    413: "The body is too large.",
    415: "The body is not JSON, by its header.",
    422: "A field is wrong or unknown.",
    408: "The body took longer than 30 seconds.",
    429: "Too many; come again after `Retry-After`.",
    500: "A fault of ours or of the host's.",
    501: "An extra is not installed.",
    503: "Redis or the store is away; come again after `Retry-After`.",
}
_ID = {"type": "string", "pattern": ID_PATTERN}


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the description. The server's address is a host's, so paths begin where it mounted the routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "bankimport", "version": version("bankimport")},
        "servers": [{"url": "."}],
        "paths": paths,
        "components": {"schemas": _schemas(routes)},
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": (inspect.getdoc(route.handle) or "").split("\n")[0],
        "description": f"Needs `{route.action}`.",
        "parameters": list(_parameters(route)),
        "responses": {str(route.status): _answer(route), **_problems(route)},
    }
    if route.body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": _ref(route.body)}}}
    return operation


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": _ID}
    for name, meaning in route.query.items():
        yield {"name": name, "in": "query", "description": meaning, "schema": {"type": "string"}}
    if route.body is not None:
        meaning = "the same key and body within 24 hours have the same answer"
        schema = {"type": "string", "minLength": 1, "maxLength": 255}
        yield {"name": HEADER, "in": "header", "description": meaning, "schema": schema}


def _answer(route: Route) -> dict[str, Any]:
    if route.answer is None:
        content = {"text/event-stream": {"schema": {"type": "string"}}}
        return {"description": "A stream of `Event`; over a WebSocket each is one message.", "content": content}
    found: dict[str, Any] = {
        "description": (inspect.getdoc(route.answer) or "").replace("\n", " "),
        "content": {"application/json": {"schema": _ref(route.answer)}},
    }
    if route.status == 202:
        found["headers"] = {"Location": {"schema": {"type": "string"}, "description": "the job"}}
    return found


def _problems(route: Route) -> dict[str, Any]:
    of_bodies = (400, 408, 413, 415) if route.changes else ()
    of_limits = (429,) if route.changes and route.of_organisation else ()
    content = {"application/problem+json": {"schema": _ref(ProblemView)}}
    return {
        str(status): {"description": _REFUSALS[status], "content": content}
        for status in sorted({401, 403, 422, 500, 503, *of_bodies, *of_limits, *route.refused} - {304})
    }


def _ref(model: type[Model]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _schemas(routes: Sequence[Route]) -> dict[str, Any]:
    answers = {route.answer for route in routes if route.answer is not None} | {ProblemView, Event}
    bodies = {route.body for route in routes if route.body is not None}
    wanted = [(model, "serialization") for model in answers] + [(model, "validation") for model in bodies]
    _, schema = models_json_schema(
        sorted(wanted, key=lambda each: each[0].__name__),  # type: ignore[arg-type]  # the modes are literals above
        ref_template="#/components/schemas/{model}",
    )
    definitions: dict[str, Any] = schema["$defs"]
    return definitions
