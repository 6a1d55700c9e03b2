"""Transactions: tried again where that helps, told in words of ours where they fail, and cancelled with care."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy.exc import DataError, DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import Pool

from bankimport.errors import MalformedData, StoreUnavailable

T = TypeVar("T")

#: Seconds before each further try where the database was lost or stayed locked.
_WAITS = (0.05, 0.1, 0.2, 0.4)
#: A transaction that others got in the way of is tried again often and soon: they have committed by then. The waits
#: differ, so that two which met don't meet again.
_CONTENDED_TRIES, _CONTENDED_WAIT = 20, (0.005, 0.015)
#: serialization failure, deadlock, lock not available (PostgreSQL, appendix A)
_CONTENTION = frozenset({"40001", "40P01", "55P03"})
#: the connection failed, or the server shuts down, has crashed, or starts
_LOST = ("08", "57P01", "57P02", "57P03")
#: Transactions whose callers are gone, and how long the end of a store waits for them, in seconds.
_UNFINISHED: "WeakKeyDictionary[Pool, set[asyncio.Future[Any]]]" = WeakKeyDictionary()
_LAST_WAIT = 5.0


async def transact(engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """Do `work` in one transaction; try again, whole, when the database was locked, could not serialize it or was lost.

    A connection may be lost between a commit and its answer, so `work` must bear being done twice: the store's writes
    set what they say or compare first.

    Raises:
        StoreUnavailable: the database is away, full, stays locked, or refuses the write as inconsistent.
        MalformedData: the database can't hold a value.
    """
    if engine.dialect.name != "sqlite":
        return await _transact(engine, work, _Caller())
    caller = _Caller()
    doing = asyncio.create_task(_transact(engine, work, caller))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        caller.is_gone = True
        _leave(doing, _UNFINISHED.setdefault(engine.sync_engine.pool, set()))
        while caller.is_served and not doing.done():  # until its next statement, but not until it is given the lock
            with suppress(asyncio.CancelledError):
                await asyncio.wait({doing})
        raise


def _leave(doing: "asyncio.Future[Any]", unfinished: "set[asyncio.Future[Any]]") -> None:
    """Keep a transaction that nobody waits for until it has ended; how it ends interests nobody."""

    def ended(_: "asyncio.Future[Any]") -> None:
        unfinished.discard(doing)
        if not doing.cancelled():
            doing.exception()

    unfinished.add(doing)
    doing.add_done_callback(ended)


async def dispose(engine: AsyncEngine) -> None:
    """Close an engine's connections, once what nobody waits for any more is rolled back."""
    if unfinished := _UNFINISHED.get(engine.sync_engine.pool):
        await asyncio.wait(set(unfinished), timeout=_LAST_WAIT)
    await engine.dispose()


@dataclass
class _Caller:
    """Who waits for a transaction, and whether it has begun.

    A cancelled caller of SQLite is not cancelled in the middle of a statement, but its transaction ends before its next
    one. Else its connection would keep the lock for as long as a cursor is left, which the error's traceback may hold
    for ever; and cancelled twice, its closing would never end (SQLAlchemy 2.1 with aiosqlite 0.22).
    """

    is_gone: bool = False
    is_served: bool = False


class _Gone(Exception):
    """Nobody waits for the transaction any more."""


_CALLER: ContextVar[_Caller] = ContextVar("bankimport.stores.caller")


def stop_if_gone(*_: Any) -> None:
    caller = _CALLER.get(None)
    if caller is not None and caller.is_gone:
        raise _Gone


async def _transact(engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[T]], caller: _Caller) -> T:
    _CALLER.set(caller)
    later = iter(_WAITS)
    soon = (random.uniform(*_CONTENDED_WAIT) for _ in range(_CONTENDED_TRIES))
    while True:
        try:
            async with engine.begin() as connection:
                stop_if_gone()
                caller.is_served = True
                done = await work(connection)
                stop_if_gone()
                return done
        except DBAPIError as error:
            wait = next(soon if _state(error) in _CONTENTION else later, None) if _is_passing(error) else None
            if wait is None:
                raise _meaning(error) from None  # the driver's own words quote rows: people's data
        except UnicodeError:  # SQLite's driver encodes text itself
            raise MalformedData("the database can't hold a text of the bank's") from None
        except (PoolTimeout, OSError, TimeoutError) as error:
            raise StoreUnavailable from error
        caller.is_served = False
        await asyncio.sleep(wait)


def _is_passing(error: DBAPIError) -> bool:
    """Return whether the same transaction may succeed in a moment: contention, or a lost connection."""
    state = _state(error) or ""
    contention = state in _CONTENTION or "database is locked" in str(error.orig)
    lost = error.connection_invalidated or isinstance(error, InterfaceError) or state.startswith(_LOST)
    return (contention or lost) and not isinstance(_origin(error), ValueError)


def _origin(error: DBAPIError) -> BaseException:
    """Return the driver's own error."""
    return getattr(error.orig, "__cause__", None) or error.orig or error


def _state(error: DBAPIError) -> str | None:
    """Return the SQLSTATE of PostgreSQL, if there is one."""
    state: str | None = getattr(error.orig, "sqlstate", None) or getattr(_origin(error), "sqlstate", None)
    return state


def _meaning(error: DBAPIError) -> StoreUnavailable | MalformedData:
    """Say what is wrong without the statement, its values and the driver's words, which hold people's data."""
    origin, state = _origin(error), _state(error)
    facts = type(origin).__name__ + (f" {state}" if state else "")
    if isinstance(error, DataError) or isinstance(origin, ValueError) or (state or "").startswith("22"):
        return MalformedData(f"the database can't hold a value of the bank's ({facts})")
    return StoreUnavailable(f"the store's database failed ({facts})")
