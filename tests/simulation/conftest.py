"""The world of one connection, over the store in memory and over real SQLite, and over PostgreSQL where a test asks for it."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bankimport.stores import upgrade
from bankimport.testing.memory_store import MemoryStore
from tests.migrated import empty_sqlite
from tests.postgres import new_database
from tests.simulation.sql_store import RealStore, SqliteStore
from tests.simulation.world import CONNECTION, World


@pytest.fixture(scope="session")
def empty_database() -> Path:
    """A SQLite file with the schema and no row, to be copied."""
    return empty_sqlite()


@pytest.fixture
async def sqlite_store(empty_database: Path, tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A real store on a file of its own."""
    path = tmp_path / "bankimport.db"
    shutil.copy(empty_database, path)
    store = SqliteStore(path)
    try:
        yield store
    finally:
        await store.aclose()


@pytest.fixture(scope="session")
def migrated_database(postgres_server: str) -> str:
    """A PostgreSQL database with the schema; whoever writes rows into it removes them."""
    url = new_database(postgres_server)
    upgrade(url)
    return url


@pytest.fixture(params=["memory", "sqlite"])
def store_url(request: pytest.FixtureRequest, empty_database: Path, tmp_path: Path) -> str | None:
    """Where a migrated database without a row is; None for the store in memory. A module whose tests are about what the
    store keeps is marked `ON_ALL_STORES`."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("migrated_database")
        return url
    if request.param == "sqlite":
        shutil.copy(empty_database, tmp_path / "world.db")
        return f"sqlite+aiosqlite:///{tmp_path}/world.db"
    return None


@pytest.fixture
async def world(store_url: str | None) -> AsyncIterator[World]:
    """A connection that was never synced, today at eight."""
    store = MemoryStore() if store_url is None else RealStore(store_url)
    world = World(store)
    await world.add(CONNECTION)
    try:
        yield world
    finally:
        if isinstance(store, RealStore):
            await store.forget()
        await store.aclose()
