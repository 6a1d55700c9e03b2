"""What has to be true before anything is served, checked with one sentence for each thing that isn't."""

import asyncio
import difflib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bankimport.errors import BankImportError, InvalidSettings, MissingExtra, SchemaOutdated, StartFailed
from bankimport.ports import BankStore
from bankimport.service.bounds import mending
from bankimport.settings import Settings

_log = structlog.get_logger(__name__)

_PATIENCE = 5.0
_RUNNING = "is it running, and is REDIS_HOST or REDIS_URL right?"
#: Kubernetes sets these for a service that is called `bank-sync`; nobody has mistyped them.
_OF_KUBERNETES = ("_SERVICE_HOST", "_SERVICE_PORT", "_TCP", "_TCP_ADDR", "_TCP_PORT", "_TCP_PROTO")


def _running(error: BaseException) -> str:
    """Return what to look at; the kind of what lies below says whether it is the address, the network or TLS."""
    while below := error.__cause__ or error.__context__:
        error = below
    return f"{_RUNNING} ({type(error).__name__})"


async def check_redis(client: Redis, settings: Settings) -> None:
    """Check that Redis answers.

    Raises:
        StartFailed: it doesn't, with what to do about it.
    """
    where = f"{settings.redis_host}:{settings.redis_port}"
    if settings.redis_sentinels:
        where = f"{settings.redis_sentinel_master} of the Sentinels"
    try:
        async with asyncio.timeout(_PATIENCE):
            await client.ping()
            facts = await client.info("server")
    except TimeoutError:
        raise StartFailed(f"Redis at {where} did not answer within {_PATIENCE:g} s: is REDIS_HOST right?") from None
    except (RedisError, OSError) as error:
        raise StartFailed(f"Redis at {where} is not available: {mending(error, _running(error))}") from error
    if facts.get("redis_mode") == "cluster":
        raise StartFailed(f"Redis at {where} is a Redis Cluster, which arq does not support")


async def check_store(store: BankStore) -> None:
    """Check the store's schema, if it has one.

    Raises:
        SchemaOutdated: it is another one than this version's.
        StartFailed: its database is away.
    """
    check = getattr(store, "check_schema", None)
    if check is None:
        return
    try:
        async with asyncio.timeout(_PATIENCE):
            await check()
    except TimeoutError:
        raise StartFailed(f"the database did not answer within {_PATIENCE:g} s: is it running?") from None
    except BankImportError as error:
        if error.code != "store-unavailable":
            raise
        raise StartFailed("the database of BANK_SYNC_DATABASE_URL is not available: is it running?") from error


def unread_variables(environment: Mapping[str, str]) -> dict[str, str | None]:
    """Return the BANK_SYNC_… variables that nobody reads, each with the one that may be meant."""
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    found: dict[str, str | None] = {}
    for name in sorted(environment):
        if not name.upper().startswith("BANK_SYNC_") or name.upper() in known or name.endswith(_OF_KUBERNETES):
            continue
        nearest = difflib.get_close_matches(name.upper(), known, 1, 0.6)
        found[name] = nearest[0] if nearest else None
    return found


def name_unknown_variables(environment: Mapping[str, str] | None = None) -> None:
    """Say in the log which BANK_SYNC_… variable nobody reads, and which one may be meant."""
    for name, nearest in unread_variables(environment if environment is not None else os.environ).items():
        _log.warning("settings.unknown_variable", variable=name, nearest=nearest)


Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]
#: What keeps a process from starting, and what its operator mends: the sentence says how, and no frame says more.
_MENDED_BY_OPERATORS = (StartFailed, SchemaOutdated, InvalidSettings, MissingExtra)


def end_in_one_line() -> None:
    """From now on, an error of ours that ends this process ends it with its sentence, not with a traceback.

    For processes that are a worker's alone: `arq` prints whatever comes out of its settings' import.
    """
    _end_in_one_line(BankImportError, redis=True)


@contextmanager
def ending_in_one_line() -> Iterator[None]:
    """Let what fails inside, and ends the process, end it with its sentence; whoever catches it is not concerned."""
    try:
        yield
    except _MENDED_BY_OPERATORS:
        _end_in_one_line(*_MENDED_BY_OPERATORS, redis=False)
        raise


def _end_in_one_line(*kinds: type[BankImportError], redis: bool) -> None:
    otherwise: Hook = sys.excepthook

    def say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> object:
        if redis and isinstance(error, RedisError):  # arq asks Redis for its version before it asks us anything
            error = StartFailed(f"Redis is not available: {mending(error, _RUNNING)}")
        if not isinstance(error, kinds):
            return otherwise(kind, error, trace)
        sys.stderr.write(f"bankimport: {error}\n")
        return None

    sys.excepthook = say
