"""What every call of a host is bounded by: it was started, and an answer comes within two seconds whatever is away."""

import functools
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
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
from bankimport.redis.connection import unavailable
from bankimport.redis.deadline import deadline

_log = structlog.get_logger(__name__)

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

    def __init__(self, *, opened: bool = False) -> None:
        self.state = "open" if opened else "never"
        self._said_at: dict[str, float] = {}

    def ensure_open(self) -> None:
        """Refuse a call outside of the time in which the object serves.

        Raises:
            NotStarted: it was never started, or is closed.
        """
        if self.state != "open":
            raise NotStarted(closed=self.state == "closed")

    async def within(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work answers, within the deadline of the call that it belongs to.

        Raises:
            NotStarted: the object doesn't serve.
            Unavailable: Redis or the store is away, or did not answer in time.
        """
        with self.serving(work):
            async with deadline():
                return await work

    @contextmanager
    def serving(self, work: Coroutine[Any, Any, object] | None = None) -> Iterator[None]:
        """Say in one way, to the caller and once a minute in the log, what is away; here nothing is bounded in time.

        Raises:
            NotStarted, Unavailable
        """
        try:
            self.ensure_open()
        except NotStarted:
            if work is not None:
                work.close()
            raise
        try:
            yield
        except TimeoutError as error:
            raise self._away(Unavailable("Redis or the store"), error) from None
        except StoreUnavailable as error:
            raise self._away(Unavailable("the store"), error) from error
        except Unavailable as error:
            self._away(error, error.__cause__ or error.__context__ or error)
            raise
        except RedisError as error:
            raise self._away(unavailable(error), error) from None

    def _away(self, told: Unavailable, error: BaseException) -> Unavailable:
        now = time.monotonic()
        if now - self._said_at.get(told.what, -_SAID_EVERY) >= _SAID_EVERY:
            self._said_at[told.what] = now
            _log.error("service.unavailable", what=told.what, error=type(error).__name__, mending=mending(error))
        return told


class _Bounded(Protocol):
    bounds: Bounds


Self = TypeVar("Self", bound=_Bounded)
Method = Callable[Concatenate[Self, P], Coroutine[Any, Any, T]]


def bounded(method: Method[Self, P, T]) -> Method[Self, P, T]:
    """Let a method be called only while its object serves, and answer within two seconds."""

    @functools.wraps(method)
    async def call(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.bounds.within(method(self, *args, **kwargs))

    return call


def unhurried(method: Method[Self, P, T]) -> Method[Self, P, T]:
    """Let a method be called only while its object serves; it may take long, since it does something to many.

    Each of its steps has a deadline of its own, so that it ends soon after something goes away.
    """

    @functools.wraps(method)
    async def call(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> T:
        work = method(self, *args, **kwargs)
        with self.bounds.serving(work):
            return await work

    return call
