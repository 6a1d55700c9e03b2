"""Engines: limits, SQLite's pragmas and kind of transactions, and the copying of rows into PostgreSQL."""

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from bankimport.errors import InvalidSettings, MissingExtra, StoreUnavailable
from bankimport.stores.sql.transacting import stop_if_gone

READING = "bankimport_reading"
#: So many connections a process opens at most; so many of them it keeps.
POOL, _KEPT = 20, 10
_PRAGMAS = ("busy_timeout=10000", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-16384")
#: seconds between two tries to switch a file to WAL, which SQLite's own time limit doesn't cover; 10 s in all
_WAL_WAITS = (0.05, *[0.2] * 50)


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
        event.listen(engine.sync_engine, "before_cursor_execute", stop_if_gone)
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
