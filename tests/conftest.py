"""A Valkey of our own on a free port per run, a fresh database number per test, and real processes that always end."""

import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import redis
from arq.connections import RedisSettings
from redis.asyncio import Redis

from bankimport.settings import Settings
from tests.crowded import give_time
from tests.endless_keys import endless_keys
from tests.in_memory import write_to_memory
from tests.postgres import new_database, running_server
from tests.processes import Processes, Valkey, start_valkey

# its wall-clock deadline of 200 ms fails on a busy machine, and says nothing about the code
from tests.soak import SOAK

hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")

# A shell lets what it begins in the background ignore SIGINT, and that is handed down: no process of a test would hear Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_numbers = itertools.count(1)


def pytest_configure() -> None:
    """CI's slice writes to memory; the soak waits for a disk, as a deployment does."""
    if not SOAK:
        write_to_memory()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `soak`, unless it is asked for."""
    if SOAK:
        return
    soaks = [item for item in items if item.get_closest_marker("soak")]
    if soaks:
        config.hook.pytest_deselected(items=soaks)
        items[:] = [item for item in items if not item.get_closest_marker("soak")]


@pytest.fixture(scope="session", autouse=True)
def _no_variables_of_the_developer() -> Iterator[None]:
    """No test sees the developer's own REDIS_… or BANK_SYNC_… variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("BANK_SYNC_", "REDIS_")):
                patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def _time_on_a_crowded_machine(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test meets the product's own deadlines but those that ask whether a call ends in time: they are marked."""
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("in_time") is None:
            give_time(patch)
        yield


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """The server of this run: one process, nothing on disk."""
    processes = Processes(tmp_path_factory.mktemp("valkey"))
    try:
        yield start_valkey(processes)
    finally:
        processes.end()


@pytest.fixture
def redis_url(valkey: Valkey) -> Iterator[str]:
    """The URL of a database of this test alone; emptied after it."""
    number = next(_numbers) % valkey.databases
    url = valkey.url(number)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator["Redis[str]"]:
    """A plain client of the test's database that answers text."""
    client = Redis.from_url(redis_url, decode_responses=True)
    yield client
    await client.aclose()


@pytest.fixture
def redis_settings(redis_url: str) -> RedisSettings:
    """The test's database as arq names it."""
    return RedisSettings.from_dsn(redis_url)


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> Settings:
    """Settings with the test's database and an SQLite file of its own. No tick may fall into a test that doesn't ask
    for the schedules."""
    return Settings.load(redis_url=redis_url, database_url=f"sqlite+aiosqlite:///{tmp_path}/test.db", enabled=False)


@pytest.fixture
def no_endless_keys(redis_url: str) -> Iterator[None]:
    """After the test, no key is left without a time to live or a documented end."""
    yield
    with redis.Redis.from_url(redis_url) as client:
        assert endless_keys(client) == []


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The directory of the server's socket."""
    with running_server() as socket:
        yield socket


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The SQLAlchemy URL of a new, empty database."""
    return new_database(postgres_server)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts real processes for the test, and ends those that are left. When the test fails, their logs are shown."""
    started = Processes(tmp_path)
    yield started
    started.end()
    for running in started.started:
        sys.stdout.write(f"\n── {running.name} (pid {running.pid}, exit {running.process.returncode})\n")
        sys.stdout.write(running.output()[-8000:])
