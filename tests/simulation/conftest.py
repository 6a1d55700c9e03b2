"""The world of one connection, over the store in memory and over real SQLite."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bankimport.stores import upgrade
from bankimport.testing.memory_store import MemoryStore
from tests.simulation.sql_store import SqliteStore
from tests.simulation.world import CONNECTION, World


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema and no row, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "empty.db"
    upgrade(f"sqlite+aiosqlite:///{path}")
    return path


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


@pytest.fixture(params=["memory", "sqlite"])
async def world(request: pytest.FixtureRequest, empty_database: Path, tmp_path: Path) -> AsyncIterator[World]:
    """A connection that was never synced, today at eight."""
    store: MemoryStore | SqliteStore = MemoryStore()
    if request.param == "sqlite":
        shutil.copy(empty_database, tmp_path / "world.db")
        store = SqliteStore(tmp_path / "world.db")
    world = World(store)
    await world.add(CONNECTION)
    try:
        yield world
    finally:
        await store.aclose()
