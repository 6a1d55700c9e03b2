"""The field, on the run's own server and on servers that may be stopped."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.field import Field, Server
from tests.processes import Processes


@pytest.fixture
async def field(processes: Processes, redis_url: str) -> AsyncIterator[Field]:
    """A field on a database of its own; in the end no key is left without an end."""
    made = Field(processes, redis_url)
    yield made
    await made.check_no_endless_key()
    await made.aclose()


@pytest.fixture
def server(processes: Processes, tmp_path: Path) -> Server:
    """A server that can be stopped and started and keeps all that it has acknowledged."""
    directory = tmp_path / "valkey"
    directory.mkdir()
    return Server(processes, directory)


@pytest.fixture
async def restartable(processes: Processes, server: Server) -> AsyncIterator[Field]:
    """A field on a server that can be stopped and started."""
    made = Field(processes, server.url)
    yield made
    await made.check_no_endless_key()
    await made.aclose()
