"""The stock `arq` command runs on the event loop that the environment asks for."""

import asyncio
import signal
import sys

import pytest

from bankimport.errors import MissingExtra
from bankimport.settings import Settings
from bankimport.worker.event_loop import choose_event_loop
from tests.processes import Processes
from tests.waiting import wait_until


@pytest.mark.parametrize(("wanted", "runs_on"), [("auto", "uvloop"), ("asyncio", "asyncio")])
async def test_the_loop_of_a_worker(wanted: str, runs_on: str, processes: Processes, redis_url: str) -> None:
    """It is uvloop's where that is installed, unless asyncio's is asked for; the worker says so, and ends well."""
    environment = {
        "REDIS_URL": redis_url,
        "BANK_SYNC_DATABASE_URL": f"sqlite+aiosqlite:///{processes.directory}/bank.db",
        "BANK_SYNC_ENVIRONMENT": "development",
        "BANK_SYNC_EVENT_LOOP": wanted,
    }
    upgraded = processes.python("upgrade", "-m", "bankimport", "db", "upgrade", environment=environment)
    await wait_until(lambda: upgraded.ended)
    worker = processes.worker(environment)
    assert f"loop={runs_on}" in await worker.line("worker.started")
    worker.signal(signal.SIGTERM)
    await worker.line("worker.stopped")


def test_a_loop_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for uvloop is told how to install it; who doesn't gets asyncio's."""
    monkeypatch.setitem(sys.modules, "uvloop", None)  # as if it were not there
    choose_event_loop(Settings.load(event_loop="auto"))
    with pytest.raises(MissingExtra, match=r"BANK_SYNC_EVENT_LOOP=uvloop needs the extra 'uvloop'"):
        choose_event_loop(Settings.load(event_loop="uvloop"))


async def test_a_loop_that_runs_is_left_alone() -> None:
    """Settings that are asked for inside a running loop change nothing: `arq --watch` has a loop of its own."""
    before = asyncio.get_running_loop()
    choose_event_loop(Settings.load(event_loop="auto"))
    assert asyncio.get_event_loop() is before
