"""The tables of a store, for tests of something else: a new database is a copy of one that was upgraded before."""

import asyncio
import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import URL, make_url

from bankimport.stores import upgrade, upgrade_async
from tests.postgres import administration

_MODEL = "migrated"  # the database of a server that the others are copied from


@cache
def empty_sqlite() -> Path:
    """Return a SQLite file with the tables and no row, to be copied; one for each process."""
    folder = tempfile.mkdtemp(prefix="bankimport-empty-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "empty.db"
    upgrade(f"sqlite+aiosqlite:///{path}")
    return path


def _copy_file(path: Path) -> None:
    assert not path.exists(), f"{path} may hold rows"
    shutil.copy(empty_sqlite(), path)


async def upgraded(url: str) -> None:
    """Do to a new database what `upgrade_async` does."""
    where = make_url(url)
    assert where.database is not None
    if where.get_backend_name() == "postgresql":
        await _copy_model(where)
    else:
        await asyncio.to_thread(_copy_file, Path(where.database))


async def _copy_model(where: URL) -> None:
    async with administration(str(where.query["host"])) as connection:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", _MODEL):
            await connection.execute(f"CREATE DATABASE {_MODEL}")
            await upgrade_async(where.set(database=_MODEL).render_as_string(hide_password=False))
        await connection.execute(f"DROP DATABASE {where.database}")
        await connection.execute(f"CREATE DATABASE {where.database} TEMPLATE {_MODEL} STRATEGY FILE_COPY")
