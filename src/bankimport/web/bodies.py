"""Reading what a client sent: a JSON object, strictly, within bounds that hold before any work is done."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import AwareDatetime, Field, StringConstraints, ValidationError

from bankimport.errors import InvalidRequest
from bankimport.models import Asker, Id, JobType, StrictModel, SyncOptions
from bankimport.queue.filters import JobFilter
from bankimport.status import JobState
from bankimport.web.problems import Problem, ProblemRaised, refuse

#: Ten thousand connection ids of the greatest length fit.
MAX_BODY = 2 * 1024 * 1024
#: So many values, counted by their commas and brackets, are read in a few milliseconds.
MAX_VALUES = 11_000
#: A body that takes longer is refused; many small pieces hold a place as long as a big one.
MAX_TIME = timedelta(seconds=30)
#: So many wrong fields are listed.
MAX_ERRORS = 100

ErrorCode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]

Body = TypeVar("Body", bound=StrictModel)


class SyncBody(SyncOptions):
    """The body of `POST …/{id}/sync`. `attended` false says that nobody is there: a program asks by itself."""

    attended: bool = True


class OrgSyncBody(StrictModel):
    """The body of `POST …/bank-connections/sync`: all syncable connections, or those named."""

    connection_ids: Annotated[tuple[Id, ...], Field(max_length=10_000)] | None = None
    triggered_by: Asker | None = None


class PauseBody(StrictModel):
    """The body of `POST /queue/pause`: until when, and why; both may be left out."""

    until: AwareDatetime | None = None
    reason: Annotated[str, StringConstraints(max_length=200)] | None = None


class JobsBody(StrictModel):
    """The body of `POST /jobs/retry` and `/jobs/discard`: which jobs, and why. What is absent is any.

    `dryRun` counts them, and changes nothing.
    """

    reason: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    dry_run: bool = False
    org_id: Id | None = None
    state: JobState | None = None
    type: JobType | None = None
    connection_id: Id | None = None
    error_code: ErrorCode | None = None
    bank: Id | None = None

    def filter(self) -> JobFilter:
        """Return which jobs are meant."""
        return JobFilter(
            org_id=self.org_id,
            state=self.state,
            type=self.type,
            connection_id=self.connection_id,
            error_code=self.error_code,
            bank=self.bank,
        )


class EmptyBody(StrictModel):
    """The body of a POST that asks for nothing more."""


async def read_json(request: web.Request) -> bytes:
    """Return the body as compact JSON with sorted names, so that equal bodies are equal bytes; nothing is `{}`.

    Raises:
        ProblemRaised: 415 another content type, 413 too large, 408 too slow, 400 not JSON.
    """
    if request.content_type != "application/json":  # a form of another site can't send this one, and needs no body
        raise refuse(415, "unsupported-media-type", "the header must be Content-Type: application/json")
    raw = await _read(request)
    if not raw:
        return b"{}"
    if sum(raw.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
        raise refuse(413, "too-large", f"the body has more than {MAX_VALUES} values")
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_name_twice)
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise refuse(400, "not-json", "the body is not JSON") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")  # which of the two would count differs from reader to reader
    return found


async def _read(request: web.Request) -> bytes:
    too_large = refuse(413, "too-large", f"the body is larger than {MAX_BODY} bytes")
    if (request.content_length or 0) > MAX_BODY:
        raise too_large
    got = bytearray()
    try:
        async with asyncio.timeout(MAX_TIME.total_seconds()):
            async for chunk in request.content.iter_chunked(65_536):
                got += chunk
                if len(got) > MAX_BODY:
                    raise too_large
    except TimeoutError:
        raise refuse(
            408, "request-timeout", "the body did not arrive in time", headers={"Connection": "close"}
        ) from None
    except (web.PayloadAccessError, web.RequestPayloadError, HttpProcessingError, OSError):
        raise refuse(400, "bad-request", "the body could not be read") from None
    return bytes(got)


def parse(body: bytes, model: type[Body]) -> Body:
    """Return the body as its model: names in camelCase, types as JSON has them.

    Raises:
        ProblemRaised: 422, naming each wrong field, up to a hundred; never its value.
    """
    _refuse_unknown(body, model)
    try:
        return model.model_validate_json(body, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
        raise _wrong({"pointer": _pointer(each["loc"]), "message": each["msg"]} for each in found) from None


def _refuse_unknown(body: bytes, model: type[StrictModel]) -> None:
    """Refuse names that the model hasn't, before thousands of them are looked at one by one."""
    value = json.loads(body)
    if isinstance(value, dict):
        known = {field.alias for field in model.model_fields.values()}
        unknown = [name for name in value if name not in known]
        if unknown:
            message = "Extra inputs are not permitted"
            raise _wrong({"pointer": _pointer((name[:200],)), "message": message} for name in unknown[:MAX_ERRORS])


def _wrong(fields: Iterator[dict[str, str]]) -> ProblemRaised:
    return ProblemRaised(Problem(422, InvalidRequest.code, "the request has wrong fields", errors=list(fields)))


def _pointer(location: tuple[Any, ...]) -> str:
    """Return a JSON pointer (RFC 6901); half a pair of surrogates, which no UTF-8 has, is replaced."""
    path = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)
    return path.encode(errors="replace").decode()
