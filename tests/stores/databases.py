"""An empty database of each kind, and a store on it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import text

from bankimport.models import BankAccount
from bankimport.stores import SqlStore
from bankimport.stores.sql.engine import open_engine
from tests.migrated import upgraded

__all__ = ["execute", "from_elsewhere", "new_account", "scalar", "store", "url"]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/store.db"
    value: str = request.getfixturevalue("postgres_url")
    return value


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    """A store with the schema of this version."""
    await upgraded(url)
    store = SqlStore(url)
    yield store
    await store.aclose()


async def new_account(store: SqlStore, *, fence: int = 1) -> BankAccount:
    """Add a connection with one account."""
    connection = await store.connection(await store.add_connection(org_id="acme", bank="sandbox"))
    assert connection is not None
    [account] = await store.upsert_accounts(connection, [BankAccount("r1", "k1", "EUR")], fence=fence)
    return account


async def scalar(url: str, sql: str) -> Any:
    """Read one value as a host would."""
    engine = open_engine(url)
    async with engine.connect() as connection:
        value = await connection.scalar(text(sql))
    await engine.dispose()
    return value


async def execute(url: str, *statements: str) -> None:
    """Execute statements as another process would."""
    engine = open_engine(url)
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


def from_elsewhere(work: Coroutine[Any, Any, None]) -> None:
    """Do something on another thread's loop while this one stands still."""
    thread = Thread(target=asyncio.run, args=(work,))
    thread.start()
    thread.join()
