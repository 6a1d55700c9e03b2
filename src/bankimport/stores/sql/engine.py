"""Engines and transactions: limits, SQLite's pragmas, and what a failing database means for the job."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bankimport.errors import InvalidSettings, MissingExtra, StoreUnavailable

T = TypeVar("T")

READING = "bankimport_reading"
_TRIES = 5
_FIRST_WAIT = 0.05
#: serialization failure, deadlock, lock not available (PostgreSQL, appendix A)
_CONTENTION = frozenset({"40001", "40P01", "55P03"})


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
            engine = create_async_engine(parsed)
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(engine.sync_engine, "begin", _begin_sqlite)
            return engine
        return create_async_engine(
            parsed, pool_size=10, max_overflow=10, pool_timeout=30, pool_recycle=1800, pool_pre_ping=True
        )
    except ModuleNotFoundError as error:
        raise MissingExtra("postgres" if "asyncpg" in str(error) else "sql", "this database") from None


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Readers beside one writer, waits instead of errors, foreign keys; the driver begins no transaction by itself."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    """Take the write lock at the beginning: a read that turns into a write could only fail (SQLITE_BUSY_SNAPSHOT)."""
    reading = connection.get_execution_options().get(READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def for_reading(engine: AsyncEngine) -> AsyncEngine:
    """Return the same engine for transactions that only read: in SQLite they wait for no writer."""
    return engine.execution_options(**{READING: True})


async def transact(engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """Do `work` in one transaction; try again, whole, when the database was locked or could not serialize it.

    Raises:
        StoreUnavailable: the database is away, full, or stays locked.
    """
    wait = _FIRST_WAIT
    for attempt in range(_TRIES):
        try:
            async with engine.begin() as connection:
                return await work(connection)
        except (OperationalError, InterfaceError, DBAPIError) as error:
            if not _passing(error) and not error.connection_invalidated:
                if isinstance(error, OperationalError | InterfaceError):
                    raise StoreUnavailable(_sentence(error)) from error
                raise
            if attempt == _TRIES - 1:
                raise StoreUnavailable(_sentence(error)) from error
        except (PoolTimeout, OSError, TimeoutError) as error:
            raise StoreUnavailable from error
        await asyncio.sleep(wait)
        wait *= 2
    raise StoreUnavailable


def _passing(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None) or getattr(getattr(error.orig, "__cause__", None), "sqlstate", None)
    return state in _CONTENTION or "database is locked" in str(error.orig)


def _sentence(error: DBAPIError) -> str:
    """Say what is wrong without the statement and its values, which hold people's data."""
    kind = type(error.orig).__name__ if error.orig is not None else type(error).__name__
    return f"the store's database failed ({kind})"
