"""A call that is cancelled in its transaction, by a time limit or a worker's stop, holds up nobody."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bankimport.stores.sql.engine import open_engine
from bankimport.stores.sql.transacting import dispose, transact


def changed(other: sqlite3.Connection) -> int:
    """Write as another process does, which waits for five seconds; return how many rows there are."""
    other.execute("BEGIN IMMEDIATE")
    [number] = other.execute("SELECT count(*) FROM rows").fetchone()
    other.execute("COMMIT")
    return int(number)


@pytest.mark.parametrize("cancels", [1, 2])
async def test_sqlites_write_lock_is_let_go(tmp_path: Path, cancels: int) -> None:
    """It was cancelled as it waited for the lock, and was given it afterwards; or in the middle of its statements. The
    caller goes at once, nothing is written, others write, although the traceback is still there: all who wanted to
    write waited for a cursor in it, until the process ended. And the process ends."""
    path = tmp_path / "bank.db"
    engine = open_engine(f"sqlite+aiosqlite:///{path}")
    inside, kept = asyncio.Event(), []

    async def table(connection: AsyncConnection) -> None:
        await connection.execute(text("CREATE TABLE rows (id INTEGER)"))

    async def work(connection: AsyncConnection) -> None:
        inside.set()
        for _ in range(3):
            await connection.execute(text("INSERT INTO rows VALUES (1)"))

    async def is_cancelled(writing: "asyncio.Task[None]") -> None:
        kept.append(writing)
        began = time.monotonic()
        for _ in range(cancels):
            writing.cancel()
            await asyncio.sleep(0)
        await asyncio.wait({writing})
        assert writing.cancelled()
        assert time.monotonic() - began < 5  # SQLite's own wait is 10

    await transact(engine, table)
    with closing(sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)) as other:
        for _ in range(3):
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            writing = asyncio.create_task(transact(engine, work))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await inside.wait()  # it waits for the lock
            await is_cancelled(writing)
            other.execute("COMMIT")
            assert await asyncio.to_thread(changed, other) == 0
        for _ in range(5):
            inside.clear()
            writing = asyncio.create_task(transact(engine, work))
            await inside.wait()
            await is_cancelled(writing)
            assert await asyncio.to_thread(changed, other) == 0
    await dispose(engine)
    assert asyncio.all_tasks() == {asyncio.current_task()}
