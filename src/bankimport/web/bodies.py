"""Reading what a client sent: a JSON object, strictly; ids; numbers. Everything else is a problem with its name."""

import json
import re
from typing import Annotated, Any, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import AwareDatetime, Field, StringConstraints, ValidationError

from bankimport.errors import InvalidRequest, NotFound
from bankimport.models import ID_PATTERN, Id, StrictModel
from bankimport.web.problems import Problem, ProblemRaised, refuse

#: Ten thousand connection ids of the greatest length fit.
MAX_BODY = 2 * 1024 * 1024
_ID = re.compile(ID_PATTERN[:-1] + r"\Z")

Body = TypeVar("Body", bound=StrictModel)


class OrgSyncBody(StrictModel):
    """The body of `POST …/bank-connections/sync`: all syncable connections, or those named."""

    connection_ids: Annotated[tuple[Id, ...], Field(max_length=10_000)] | None = None
    triggered_by: Id | None = None


class PauseBody(StrictModel):
    """The body of `POST …/queue/pause`: until when, and why; both may be left out."""

    until: AwareDatetime | None = None
    reason: Annotated[str, StringConstraints(max_length=200)] | None = None


class EmptyBody(StrictModel):
    """The body of a POST that asks for nothing more."""


def is_id(text: str) -> bool:
    """Whether the text is an id: 1 to 128 letters, digits and `_ . : -`."""
    return _ID.match(text) is not None


def path_id(request: web.Request, name: str, what: str) -> str:
    """Return an id of the path.

    Raises:
        NotFound: it is none, so there is nothing of that name.
    """
    text = request.match_info[name]
    if not is_id(text):
        raise NotFound(what)
    return text


def query_id(request: web.Request, name: str) -> str | None:
    """Return an id of the query; None if it is absent or empty.

    Raises:
        InvalidRequest: it is none.
    """
    text = request.query.get(name)
    if not text:
        return None
    if not is_id(text):
        raise InvalidRequest(f"/{name}", "must be 1 to 128 letters, digits and _ . : -")
    return text


async def read_json(request: web.Request) -> bytes:
    """Return the body as compact JSON with sorted names, so that equal bodies are equal bytes; nothing is `{}`.

    Raises:
        ProblemRaised: 413 too large, 415 another content type, 400 not JSON.
    """
    raw = await _read(request)
    if not raw.strip():
        return b"{}"
    if request.content_type != "application/json" and not request.content_type.endswith("+json"):
        raise refuse(415, "unsupported-media-type", "the body must be application/json")
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        raise refuse(400, "not-json", "the body is not JSON") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


async def _read(request: web.Request) -> bytes:
    too_large = refuse(413, "too-large", f"the body is larger than {MAX_BODY} bytes")
    if (request.content_length or 0) > MAX_BODY:
        raise too_large
    got = bytearray()
    try:
        async for chunk in request.content.iter_chunked(65_536):
            got += chunk
            if len(got) > MAX_BODY:
                raise too_large
    except (web.PayloadAccessError, HttpProcessingError, OSError):
        raise refuse(400, "bad-request", "the body could not be read") from None
    return bytes(got)


def parse(body: bytes, model: type[Body]) -> Body:
    """Return the body as its model: names in camelCase, types as JSON has them.

    Raises:
        ProblemRaised: 422, naming each wrong field; never its value.
    """
    try:
        return model.model_validate_json(body, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        fields = [{"pointer": _pointer(each["loc"]), "message": each["msg"]} for each in error.errors()]
        problem = Problem(422, InvalidRequest.code, "the request has wrong fields", errors=fields)
        raise ProblemRaised(problem) from None


def _pointer(location: tuple[Any, ...]) -> str:
    """Return a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def query_number(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """Return a number of the query.

    Raises:
        InvalidRequest: it is none, or out of range.
    """
    text = request.query.get(name)
    if not text:
        return default
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not low <= int(text) <= high:
        raise InvalidRequest(f"/{name}", f"must be a number from {low} to {high}")
    return int(text)
