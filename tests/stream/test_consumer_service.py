"""`examples/consumer_service.py` as a process of its own."""

import signal
from pathlib import Path

import pytest

from tests.processes import ROOT, Processes, Running
from tests.stream.writing import StreamWriter


@pytest.fixture
def environment(processes: Processes, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """The configuration of the service."""
    database = f"sqlite+aiosqlite:///{tmp_path}/none.db"
    found = {"REDIS_URL": redis_url, "BANK_SYNC_DATABASE_URL": database, "BANK_SYNC_ENVIRONMENT": "development"}
    processes.answer("-m", "bankimport", "db", "upgrade", environment=found)
    return found


async def synced(writer: StreamWriter, connection: str) -> None:
    """Write that a connection was imported."""
    at = "2026-01-01T00:00:00.000Z"
    data = {"connectionId": connection, "accountsSynced": 1, "transactionsSynced": 5, "timestamp": at}
    await writer.write(("bank.sync.completed", "acme", "j", data))


async def test_it_reacts_and_comes_back(
    processes: Processes, environment: dict[str, str], writer: StreamWriter
) -> None:
    """It handles what was imported before it started, while it runs, and while it was dead; nothing else."""

    def start() -> Running:
        return processes.python("consumer", str(ROOT / "examples/consumer_service.py"), "c1", environment=environment)

    await synced(writer, "before")
    first = start()
    await first.line("categorise 5 entries of acme/before")
    await writer.queued()
    await synced(writer, "now")
    await first.line("categorise 5 entries of acme/now")
    first.signal(signal.SIGKILL)
    first.process.wait(10)
    await synced(writer, "meanwhile")
    second = start()
    await second.line("categorise 5 entries of acme/meanwhile")
    assert "acme/before" not in second.output()
