"""The tables of a store, for tests of something else: a new SQLite file is a copy of one that was upgraded before."""

import asyncio
import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from bankimport.stores import upgrade, upgrade_async


@cache
def empty_sqlite() -> Path:
    """Return a SQLite file with the tables and no row, to be copied; one for each process."""
    folder = tempfile.mkdtemp(prefix="bankimport-empty-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "empty.db"
    upgrade(f"sqlite+aiosqlite:///{path}")
    return path


def _new_file(url: str) -> Path | None:
    kind, _, path = url.partition(":///")
    return Path(path) if kind.startswith("sqlite") and not Path(path).exists() else None


async def upgraded(url: str) -> None:
    """Do what `upgrade_async` does."""
    if file := _new_file(url):
        shutil.copy(await asyncio.to_thread(empty_sqlite), file)
    else:
        await upgrade_async(url)
