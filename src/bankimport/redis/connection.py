"""Connections to Redis with time limits and keepalive, and tries that end with the deadline of the whole call.

arq's own `RedisSettings` has no socket timeout or keepalive, so a half-open link hangs for ever, and a one-second
restart of the server ends the worker (arq.md 1); it checks no host name either (arq.md 24). redis-py nests its retries
(pool, connect, command), so that eight of eight seconds become minutes, and asks a server that wants a password
recursively (arq.md 30): here it tries nothing again by itself. `patiently` does, until one deadline is over.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

from redis.asyncio import Redis, Sentinel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, ReadOnlyError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bankimport.errors import Unavailable
from bankimport.redis.deadline import LONGEST, left
from bankimport.settings import Settings

Client = TypeVar("Client", bound=Redis)
T = TypeVar("T")

#: The longest blocking read, in seconds.
BLOCK = 2
#: A read that takes longer is a dead link; longer than every blocking read of ours.
SOCKET_TIMEOUT = 4.0
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 0.3

#: What a lost or refusing server looks like; `ReadOnlyError` is a primary demoted under us (arq.md 19).
LOST = (Unavailable, RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OSError)

#: What a server says that serves nobody, or takes no writes, for now; where the words stand in what it says differs.
_REFUSALS = {
    "OOM": "it is out of memory",
    "BUSY": "it is busy with a script",
    "NOREPLICAS": "it has too few replicas",
    "READONLY": "it is read-only",
    "MISCONF": "it can't save to disk",
    "MASTERDOWN": "its primary is down",
    "LOADING": "it is loading",
    "NOAUTH": "it wants a password",
    "WRONGPASS": "the password is wrong",
}
_REFUSAL = re.compile(rf"\b({'|'.join(_REFUSALS)})\b")


def refusal(error: BaseException) -> str | None:
    """Return why a server serves nobody for now, in words; None if the error says nothing of the kind."""
    if isinstance(error, BusyLoadingError):
        return _REFUSALS["LOADING"]
    if isinstance(error, ReadOnlyError):
        return _REFUSALS["READONLY"]
    found = _REFUSAL.search(str(error)[:400])
    if found:
        return _REFUSALS[found[1]]
    if isinstance(error, AuthenticationError):
        return _REFUSALS["NOAUTH"] if "required" in str(error) else "it refuses our credentials"
    if type(error).__name__ == "OutOfMemoryError":  # redis-py takes the word off the text
        return _REFUSALS["OOM"]
    return None


def unavailable(error: BaseException | None) -> Unavailable:
    """Return the error of ours for one of redis-py's, whose texts carry whole commands (arq.md 23)."""
    if isinstance(error, Unavailable):
        return error
    reason = refusal(error) if error is not None else None
    return Unavailable("Redis", reason=reason or "it does not answer")


def is_lost(error: BaseException) -> bool:
    """Whether an error says that the server can't be reached, or serves nobody for now."""
    return isinstance(error, LOST) or (isinstance(error, ResponseError) and refusal(error) is not None)


def _is_final(error: BaseException) -> bool:
    """Whether asking again soon is no use."""
    return isinstance(error, AuthenticationError) or (
        isinstance(error, ResponseError) and not isinstance(error, ReadOnlyError)
    )


async def in_place(call: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Return what a call returns that ends when it is cancelled."""
    async with asyncio.timeout(seconds):
        return await call()


async def on_its_own(call: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Return what a call returns; one that goes on although it is cancelled is left alone.

    redis-py sends with `asyncio.wait_for`, which loses a cancellation that meets its end (CPython issue 86296: until
    Python 3.12): a loop that stood still for as long as the time limit would wait for `SOCKET_TIMEOUT` as well.
    """
    task = asyncio.ensure_future(call())
    task.add_done_callback(forget)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            return task.result()
    finally:
        if not task.done():
            task.cancel()
    raise TimeoutError


def forget(task: "asyncio.Future[Any]") -> None:
    """Take the error of a call, or asyncio complains where nobody waits for it any more."""
    if not task.cancelled():
        task.exception()


async def patiently(
    call: Callable[[], Awaitable[T]],
    *,
    within: float | None = None,
    bounded: Callable[[Callable[[], Awaitable[T]], float], Awaitable[T]] = on_its_own,
) -> T:
    """Return what a call returns; it is tried again while Redis is lost, until the time is over: that of the whole call
    (`deadline`), or `within` seconds. `bounded` sets the time limit of a try.

    Raises:
        Unavailable: the time is over, or the server refuses; it says why.
    """
    until = time.monotonic() + (left() if within is None else within)
    wait = _FIRST_WAIT
    last: BaseException | None = None
    while True:
        try:
            return await bounded(call, max(0.0, until - time.monotonic()))
        except Exception as error:
            if not is_lost(error):
                raise
            if last is None or not isinstance(error, TimeoutError):
                last = error
            if _is_final(error) or time.monotonic() + wait >= until:
                raise unavailable(last) from None
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)


async def together(
    client: Redis, commands: Iterable[Sequence[Any]], *, atomic: bool = False, within: float | None = None
) -> list[Any]:
    """Return the answers to commands, in one trip, `within` seconds (`patiently`). A pipeline of redis-py is empty once
    it has failed: each try fills its own.

    Raises:
        Unavailable: Redis can't be reached.
    """
    wanted = list(commands)

    async def ask() -> list[Any]:
        async with client.pipeline(transaction=atomic) as pipe:
            for command in wanted:
                pipe.execute_command(*command)
            return list(await pipe.execute())

    return await patiently(ask, within=within) if wanted else []


def connect(settings: Settings, client: type[Client], **kwargs: Any) -> Client:
    """Return a client of `client`'s class with a pool of its own; opens no connection yet.

    `kwargs` go to the client's constructor beside the connection options.
    """
    options: dict[str, Any] = {
        "db": settings.redis_db,
        "username": settings.redis_username,
        "password": settings.redis_password.get_secret_value() if settings.redis_password else None,
        "ssl": settings.redis_ssl,
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": LONGEST,
        "socket_keepalive": True,
        "health_check_interval": 0,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": settings.redis_max_connections,
        **kwargs,
    }
    if settings.redis_ssl:
        options |= {"ssl_check_hostname": True, "ssl_ca_certs": settings.redis_ssl_ca_certs}
    if settings.redis_sentinels:
        hosts = list(settings.redis_sentinels)
        sentinel = Sentinel(hosts, socket_timeout=LONGEST / 2)
        return cast(Client, sentinel.master_for(settings.redis_sentinel_master, redis_class=client, **options))
    return client(host=settings.redis_host, port=settings.redis_port, **options)
