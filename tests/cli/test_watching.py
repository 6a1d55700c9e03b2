"""`jobs watch` and the probes: codes that a script and an orchestrator can trust."""

import asyncio
import json
import socket
from pathlib import Path

import pytest

from bankimport import BankImport, Settings
from bankimport.errors import BankRejected, ReauthRequired
from bankimport.models import BankAccount
from bankimport.stores import SqlStore
from bankimport.testing import FakeBank, run_until_idle
from tests.cli.conftest import Run
from tests.migrated import upgraded
from tests.processes import Processes
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq calls it


def ended(redis_url: str, tmp_path: Path, error: Exception | None) -> str:
    """Let a sync end at a bank that answers so; return its job's id."""

    async def work() -> str:
        url = f"sqlite+aiosqlite:///{tmp_path}/bank.db"
        await upgraded(url)
        bank = FakeBank()
        bank.accounts_answer = error or [BankAccount("a1", currency="EUR")]  # type: ignore[assignment]
        settings = Settings.load(redis_url=redis_url, retry_delay_scale=0.001)
        async with BankImport(settings, banks={"bank": bank}, store=SqlStore(url)) as bank_import:
            await bank_import.connections.add(org_id="acme", bank="bank", id="giro")
            job_id = await bank_import.schedule_immediate_sync("giro")
            await run_until_idle(bank_import, delayed=True)
        return job_id

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("error", "code", "state"),
    [(None, 0, "completed"), (BankRejected(422), 1, "failed"), (ReauthRequired("expired"), 5, "failed")],
    ids=["well", "failed", "a person is needed"],
)
def test_a_job_is_watched_to_its_end(
    operate: Run, redis_url: str, tmp_path: Path, error: Exception | None, code: int, state: str
) -> None:
    """Progress goes to standard error, the outcome to standard output, and the code says who has to do something."""
    answer = operate("jobs", "watch", ended(redis_url, tmp_path, error), "-o", "jsonl")
    assert (answer.returncode, json.loads(answer.stdout)["state"]) == (code, state)
    assert "%" in answer.stderr
    assert operate("jobs", "watch", "none").returncode == 3


@pytest.mark.in_time
def test_the_probes(operate: Run, redis_url: str, tmp_path: Path) -> None:
    """Without a worker both fail; with one they don't, and a process that isn't there does; Redis away is no reason to
    restart, but not to be ready."""
    operate("db", "upgrade")
    assert (operate("health").returncode, operate("ready").returncode) == (1, 1)
    processes = Processes(tmp_path)
    environment = {
        "REDIS_URL": redis_url,
        "BANK_SYNC_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/bank.db",
        "BANK_SYNC_LEASE_MS": "2000",  # a heartbeat is fresh for two of them
    }
    worker = processes.worker(environment)
    try:
        worker.line_sync("worker.started")
        for probe in ("health", "ready"):
            assert operate(probe).returncode == 0
            assert operate(probe, "--pid", str(worker.pid)).returncode == 0
            assert operate(probe, "--pid", "1").returncode == 1
        away = {"REDIS_URL": "redis://127.0.0.1:1"}
        assert operate("health", **away).returncode == 0
        assert operate("ready", **away).returncode == 4
        assert socket.gethostname()[:32] in operate("health").stderr
        worker.kill()
        assert wait_until_sync(lambda: operate("health").returncode == 1)
    finally:
        processes.end()
