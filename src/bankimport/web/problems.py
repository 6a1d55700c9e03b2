"""Every error as problem details (RFC 9457), made in one middleware; a handler only raises."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bankimport.errors import (
    AuthorisationRefused,
    BankImportError,
    Conflict,
    ConnectingFailed,
    InvalidRequest,
    InvalidSettings,
    MissingExtra,
    NotFound,
    NotOffered,
    NotStarted,
    StoreUnavailable,
    TooManyPending,
    Unavailable,
)
from bankimport.logs import frames_of
from bankimport.telemetry import refused
from bankimport.web.problem_types import PROBLEM_TYPES, title_of

_log = structlog.get_logger(__name__)

#: The name of the route that explains problems.
PROBLEM_PAGE = "problem"
#: What stands before our paths as clients see them; empty if nothing does.
PUBLIC_URL: web.AppKey[str] = web.AppKey("bankimport.public_url", str)

#: The codes of what aiohttp itself, or a host's `authorize`, raises.
_CODES = {400: "bad-request", 401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "method-not-allowed"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. `errors` name the fields that are wrong, each with a JSON pointer."""

    status: int
    code: str
    detail: str
    errors: Sequence[Mapping[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, page: str = "about:blank") -> web.Response:
        """Render the problem. Its `type` is the address of the page that explains it."""
        body: dict[str, Any] = {
            "type": page,
            "title": title_of(self.code),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.errors:
            body["errors"] = list(self.errors)
        return web.Response(
            status=self.status,
            text=json.dumps(body),
            content_type="application/problem+json",
            headers={"Cache-Control": "no-store", **self.headers},
        )


class ProblemRaised(Exception):  # not a failure of ours: the answer itself
    """Raised by a handler to answer with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def refuse(
    status: int,
    code: str,
    detail: str,
    *,
    retry_after: timedelta | None = None,
    headers: Mapping[str, str] | None = None,
) -> ProblemRaised:
    """Return the exception that answers with this problem."""
    wait = _retry_after(retry_after) if retry_after is not None else {}
    return ProblemRaised(Problem(status, code, detail, headers={**wait, **(headers or {})}))


def _retry_after(wait: timedelta) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(wait.total_seconds())))}


#: What needs no more than a status and its own sentence.
_PLAIN: Sequence[tuple[type[BankImportError], int]] = (
    (AuthorisationRefused, 403),
    (NotFound, 404),
    (Conflict, 409),
    (MissingExtra, 501),
    (NotOffered, 501),
    (ConnectingFailed, 502),
)


def problem_of(error: BankImportError) -> Problem:
    """Return the problem that an error of ours is, seen from outside."""
    detail = str(error)
    match error:
        case InvalidSettings():
            return Problem(501, NotOffered.code, detail)
        case InvalidRequest():
            fields = [{"pointer": error.pointer, "message": error.message}]
            return Problem(422, error.code, detail, errors=fields)
        case TooManyPending():
            return Problem(429, error.code, detail, headers=_retry_after(error.retry_after))
        case NotStarted():
            return problem_of(Unavailable("the service"))
        case Unavailable():
            return Problem(503, error.code, detail, headers=_retry_after(error.retry_after))
        case StoreUnavailable():
            return problem_of(Unavailable("the store"))
    for kind, status in _PLAIN:
        if isinstance(error, kind):
            return Problem(status, error.code, detail)
    return Problem(500, "internal-error", "an unexpected error happened")


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error with problem details: ours, aiohttp's own, and those nobody thought of."""
    try:
        return await handler(request)
    except ProblemRaised as raised:
        problem = raised.problem
    except web.HTTPException as raised:
        if raised.status < 400:
            raise
        problem = _of_http(raised)
    except (RedisConnectionError, RedisTimeoutError):
        problem = problem_of(Unavailable("Redis"))
    except BankImportError as error:
        problem = problem_of(error)
        if problem.status == 500:
            _log.error(
                "web.failed", method=request.method, error_code=error.code, frames=frames_of(error.__traceback__)
            )
    except Exception as error:
        problem = problem_of(BankImportError())
        _log.error(
            "web.failed", method=request.method, error=type(error).__name__, frames=frames_of(error.__traceback__)
        )
    if problem.status == 429:
        refused(problem.code)
    return problem.response(page_of(request, problem.code))


def page_of(request: web.Request, code: str) -> str:
    """Return the address of the page that explains a problem; none for a code of the host's own."""
    if code not in PROBLEM_TYPES:
        return "about:blank"
    return public(request, str(request.app.router[PROBLEM_PAGE].url_for(code=code)))


def public(request: web.Request, path: str) -> str:
    """Return the address of a path of ours as clients see it: behind the public URL, if the host named one."""
    return request.app[PUBLIC_URL] + path


def _of_http(raised: web.HTTPException) -> Problem:
    code = _CODES.get(raised.status, f"http-{raised.status}")
    kept = {name: value for name, value in raised.headers.items() if name.lower() not in ("content-type", "server")}
    return Problem(raised.status, code, raised.reason or HTTPStatus(raised.status).phrase, headers=kept)
