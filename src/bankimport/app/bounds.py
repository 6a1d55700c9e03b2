"""What every call of a host is bounded by: it was started, and an answer comes within two seconds whatever is away."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import structlog
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)

from bankimport.errors import NotStarted, StoreUnavailable, Unavailable

_log = structlog.get_logger(__name__)

#: Less than a route has, so that what is away is named by who knows it.
DEADLINE = timedelta(seconds=1.7)
#: What is away is said once in so many seconds, not with every request.
_SAID_EVERY = 60.0

P = ParamSpec("P")
T = TypeVar("T")

_ASK = "Redis or the database does not answer: are they running, and are REDIS_HOST or REDIS_URL right?"
#: What an operator does about it, by what Redis said.
_MENDING: tuple[tuple[type[Exception], str], ...] = (
    (AuthorizationError, "REDIS_USERNAME or REDIS_PASSWORD is wrong"),
    (AuthenticationError, "REDIS_USERNAME or REDIS_PASSWORD is wrong"),
    (NoPermissionError, "the user REDIS_USERNAME lacks a right"),
    (BusyLoadingError, "Redis is loading its data: wait"),
    (OutOfMemoryError, "Redis is full: raise maxmemory"),
    (ReadOnlyError, "Redis is read-only, a replica: REDIS_HOST must name the primary, or set REDIS_SENTINELS"),
)


def mending(error: BaseException | None, otherwise: str = _ASK) -> str:
    """Return what to do about an error of Redis or of the store; `otherwise` where the error doesn't tell."""
    while error is not None:
        for kind, text in _MENDING:
            if isinstance(error, kind):
                return text
        if isinstance(error, StoreUnavailable):
            return "the database of BANK_SYNC_DATABASE_URL does not answer: is it running?"
        error = error.__cause__ or error.__context__
    return otherwise


class Bounds:
    """Whether the object serves, and how long a call may take."""

    def __init__(self) -> None:
        self.state = "never"
        self._said_at: dict[str, float] = {}

    def ensure_open(self) -> None:
        """Refuse a call outside of the time in which the object serves.

        Raises:
            NotStarted: it was never started, or is closed.
        """
        if self.state != "open":
            raise NotStarted(closed=self.state == "closed")

    async def within(self, work: Awaitable[T]) -> T:
        """Return what the work answers.

        Raises:
            Unavailable: Redis or the store is away, or did not answer in time.
        """
        try:
            self.ensure_open()
        except NotStarted:
            if isinstance(work, Coroutine):
                work.close()
            raise
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                return await work
        except TimeoutError as error:
            raise self.away("Redis or the store", error) from None
        except StoreUnavailable as error:
            raise self.away("the store", error) from error
        except Unavailable as error:
            raise self.away(str(error).removesuffix(" is not available"), error) from error
        except RedisError as error:
            raise self.away("Redis", error) from error

    def away(self, what: str, error: BaseException) -> Unavailable:
        """Return the error for the caller; what is wrong stands in the log once a minute."""
        now = time.monotonic()
        if now - self._said_at.get(what, -_SAID_EVERY) >= _SAID_EVERY:
            self._said_at[what] = now
            cause = error.__cause__ or error
            _log.error("service.unavailable", what=what, error=type(cause).__name__, mending=mending(error))
        return Unavailable(what)


class _Bounded(Protocol):
    bounds: Bounds


Self = TypeVar("Self", bound=_Bounded)


def bounded(
    method: Callable[Concatenate[Self, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Self, P], Coroutine[Any, Any, T]]:
    """Let a method be called only while its object serves, and answer within two seconds."""

    @functools.wraps(method)
    async def call(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        self.bounds.ensure_open()
        return await self.bounds.within(method(self, *args, **kwargs))

    return call
