"""Engines and transactions: limits, SQLite's pragmas, and what a failing database means for the job."""

import asyncio
import random
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from bankimport.errors import InvalidSettings, MalformedData, MissingExtra, StoreUnavailable

T = TypeVar("T")

READING = "bankimport_reading"
#: So many connections a process opens at most; so many of them it keeps.
POOL, _KEPT = 20, 10
#: Seconds before each further try where the database was lost or stayed locked.
_WAITS = (0.05, 0.1, 0.2, 0.4)
#: A transaction that others got in the way of is tried again often and soon: they have committed by then. The waits
#: differ, so that two which met don't meet again.
_CONTENDED_TRIES, _CONTENDED_WAIT = 20, (0.005, 0.015)
_PRAGMAS = ("busy_timeout=10000", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-16384")
#: seconds between two tries to switch a file to WAL, which SQLite's own time limit doesn't cover; 10 s in all
_WAL_WAITS = (0.05, *[0.2] * 50)
#: serialization failure, deadlock, lock not available (PostgreSQL, appendix A)
_CONTENTION = frozenset({"40001", "40P01", "55P03"})
#: the connection failed, or the server shuts down, has crashed, or starts
_LOST = ("08", "57P01", "57P02", "57P03")


def open_engine(url: str) -> AsyncEngine:
    """Return an engine; opens no connection yet.

    Raises:
        InvalidSettings: the URL is none, or names a database we don't know.
        MissingExtra: its driver is not installed.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidSettings("BANK_SYNC_DATABASE_URL: is no database URL") from None
    if parsed.drivername not in ("sqlite+aiosqlite", "postgresql+asyncpg"):
        raise InvalidSettings("BANK_SYNC_DATABASE_URL: sqlite+aiosqlite:// or postgresql+asyncpg:// is needed")
    try:
        if parsed.drivername.startswith("sqlite"):
            engine = create_async_engine(parsed, hide_parameters=True)
            return adopt_engine(engine)
        return create_async_engine(
            parsed,
            hide_parameters=True,
            pool_size=_KEPT,
            max_overflow=POOL - _KEPT,
            pool_timeout=30,
            pool_recycle=1800,
            pool_pre_ping=True,
        )
    except ModuleNotFoundError as error:
        raise MissingExtra("postgres" if "asyncpg" in str(error) else "sql", "this database") from None


def adopt_engine(engine: AsyncEngine) -> AsyncEngine:
    """Return an engine as the store needs it: one of SQLite gets our pragmas and our kind of transactions."""
    if engine.dialect.name == "sqlite" and not event.contains(engine.sync_engine, "begin", _begin_sqlite):
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Readers beside one writer, waits instead of errors, foreign keys, 16 MiB of pages; the driver begins nothing."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    _switch_to_wal(cursor)
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """Two that open a new file at once both switch it; one is told at once that the file is locked."""
    for wait in _WAL_WAITS:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            await_only(asyncio.sleep(wait))
        else:
            return
    cursor.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(connection: Any) -> None:
    """Take the write lock at the beginning: a read that turns into a write could only fail (SQLITE_BUSY_SNAPSHOT)."""
    reading = connection.get_execution_options().get(READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def for_reading(engine: AsyncEngine) -> AsyncEngine:
    """Return the same engine for transactions that only read: in SQLite they wait for no writer."""
    return engine.execution_options(**{READING: True})


async def transact(engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """Do `work` in one transaction; try again, whole, when the database was locked, could not serialize it or was lost.

    A connection may be lost between a commit and its answer, so `work` must bear being done twice: the store's writes
    set what they say or compare first.

    Raises:
        StoreUnavailable: the database is away, full, stays locked, or refuses the write as inconsistent.
        MalformedData: the database can't hold a value.
    """
    later = iter(_WAITS)
    soon = (random.uniform(*_CONTENDED_WAIT) for _ in range(_CONTENDED_TRIES))
    while True:
        try:
            async with engine.begin() as connection:
                return await work(connection)
        except DBAPIError as error:
            wait = next(soon if _state(error) in _CONTENTION else later, None) if _is_passing(error) else None
            if wait is None:
                raise _meaning(error) from None  # the driver's own words quote rows: people's data
        except UnicodeError:  # SQLite's driver encodes text itself
            raise MalformedData("the database can't hold a text of the bank's") from None
        except (PoolTimeout, OSError, TimeoutError) as error:
            raise StoreUnavailable from error
        await asyncio.sleep(wait)


async def copy_in(
    connection: AsyncConnection, table: str, columns: Sequence[str], records: Sequence[tuple[Any, ...]]
) -> None:
    """Copy records into a table of PostgreSQL, in the connection's transaction.

    Raises:
        DBAPIError: as if the statement had gone through SQLAlchemy, which has no COPY.
    """
    from asyncpg import InterfaceError as DriverInterfaceError
    from asyncpg import PostgresError

    driver = (await connection.get_raw_connection()).driver_connection
    if driver is None:
        raise StoreUnavailable
    try:
        await driver.copy_records_to_table(table, columns=columns, records=records)
    except (PostgresError, DriverInterfaceError, OSError, ValueError) as error:
        lost = driver.is_closed() or isinstance(error, OSError)
        raise DBAPIError(f"COPY {table}", None, error, hide_parameters=True, connection_invalidated=lost) from error


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
