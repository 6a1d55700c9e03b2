"""The tables of a store, for tests of something else: a new SQLite file is a copy of one that was upgraded before."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from bankimport.stores import upgrade_async


@cache
def _directory() -> Path:
    made = Path(tempfile.mkdtemp(prefix="bankimport-empty-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def _new_file(url: str) -> Path | None:
    kind, _, path = url.partition(":///")
    return Path(path) if kind.startswith("sqlite") and not Path(path).exists() else None


async def upgraded(url: str) -> None:
    """Do what `upgrade_async` does."""
    file, template = _new_file(url), _directory() / "empty.db"
    if file is None:
        await upgrade_async(url)
        return
    if _new_file(f"sqlite:///{template}"):
        await upgrade_async(f"sqlite+aiosqlite:///{template}")
    shutil.copy(template, file)
