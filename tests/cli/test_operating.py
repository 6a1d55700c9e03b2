"""The commands of operators: data to standard output, words to standard error, codes that a script can trust."""

import asyncio
import csv
import io
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.fernet import Fernet

from bankimport import BankImport, Settings
from bankimport.cli.lazily import COMMANDS
from bankimport.providers import BerlinGroup
from bankimport.sandbox import create_app
from bankimport.stores import SqlStore
from bankimport.testing import run_until_idle
from tests.cli.conftest import Run
from tests.migrated import upgraded
from tests.processes import clean_environment

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq calls it


def prepared(redis_url: str, tmp_path: Path, *syncs: str, **store: Any) -> list[str]:
    """Import connections of acme from the sandbox, the one called `bad` from nowhere; return the jobs' ids."""

    async def work() -> list[str]:
        url = f"sqlite+aiosqlite:///{tmp_path}/bank.db"
        await upgraded(url)
        runner = web.AppRunner(create_app(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        bank = BerlinGroup(f"http://127.0.0.1:{runner.addresses[0][1]}", name="sandbox", unattended_limit=None)
        banks = {"sandbox": bank, "away": BerlinGroup("http://127.0.0.1:1", name="away")}
        settings = Settings.load(redis_url=redis_url, retry_delay_scale=0.001, rate_limit_max=1000)
        options = {"environment": "development", **store}
        async with BankImport(settings, banks=banks, store=SqlStore(url, **options)) as bank_import:
            until = datetime.now(UTC).date() + timedelta(days=60)
            ids = []
            for name in syncs:
                access = {"consent_id": f"c-{name}", "valid_until": until, "credentials": {"token": "t"}}
                bank_name = "away" if name == "bad" else "sandbox"
                await bank_import.connections.add(org_id="acme", bank=bank_name, id=name, **access)
                ids.append(await bank_import.schedule_immediate_sync(name))
            await run_until_idle(bank_import, delayed=True)
        await runner.cleanup()
        return ids

    return asyncio.run(work())


def test_jobs(operate: Run, redis_url: str, tmp_path: Path) -> None:
    """Listed, shown, counted, retried with a reason, cancelled, discarded; what isn't there is 3, what makes no sense
    2; and who did it is in the audit log."""
    good, bad = prepared(redis_url, tmp_path, "giro", "bad")
    rows = [json.loads(line) for line in operate("jobs", "list", "-o", "jsonl").stdout.splitlines()]
    assert {row["id"]: row["state"] for row in rows} == {good: "completed", bad: "failed"}
    assert bad in operate("jobs", "list", "--state", "failed").stdout
    assert json.loads(operate("jobs", "show", good, "-o", "json").stdout)[0]["result"]["accountsSynced"] == 3
    assert operate("jobs", "show", "none").returncode == 3
    answer = operate("jobs", "retry", "--dry-run")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "1\n", "1 match\n")
    assert operate("jobs", "retry", "--yes").returncode == 2  # no reason
    assert operate("jobs", "retry").returncode == 2  # nobody to ask
    answer = operate("jobs", "retry", "--yes", "--reason", "the bank is back", "--code", "transient")
    assert (answer.returncode, answer.stdout) == (0, "1\n")
    assert operate("jobs", "cancel", bad).stdout == f"{bad}\n"
    assert operate("jobs", "cancel", bad).returncode == 1
    assert operate("jobs", "discard").returncode == 2
    assert operate("jobs", "discard", bad, good).returncode == 0
    assert operate("jobs", "list", "-o", "json").stdout.strip() == "[]"
    done = [json.loads(line) for line in operate("audit", "--action", "jobs", "-o", "jsonl").stdout.splitlines()]
    assert [each["action"] for each in done] == ["jobs.discard", "jobs.discard", "jobs.cancel", "jobs.retry"]
    assert {each["via"] for each in done} == {"cli"}
    assert done[-1]["reason"] == "the bank is back"


def test_the_whole_queue(operate: Run, redis_url: str, tmp_path: Path) -> None:
    """Paused with its reason, resumed; no worker is 1; schedules and events are told."""
    prepared(redis_url, tmp_path, "giro")
    assert operate("queue", "pause", "--reason", "database update").returncode == 0
    answer = operate("queue", "status", "-o", "json")
    assert json.loads(answer.stdout)[0]["is_paused"] is True
    assert operate("queue", "resume").returncode == 0
    assert "completed" in operate("queue", "status").stdout
    assert operate("workers").returncode == 1
    assert "sync-all-org" in operate("schedule").stdout
    printed = operate("events", "--after", "0", "-n", "2").stdout.splitlines()
    assert json.loads(printed[0])["name"] == "bank.job.queued"


def test_rows_are_exported(operate: Run, redis_url: str, tmp_path: Path) -> None:
    """JSONL and CSV have the same rows, as many as there are; another organisation has none."""
    prepared(redis_url, tmp_path, "giro")
    lines = [json.loads(line) for line in operate("export", "acme").stdout.splitlines()]
    table = list(csv.DictReader(io.StringIO(operate("export", "acme", "--format", "csv").stdout)))
    assert len(lines) > 100
    assert [row["id"] for row in table] == [row["id"] for row in lines]
    assert [row["amount"] for row in table] == [row["amount"] for row in lines]
    assert operate("export", "globex").stdout == ""
    assert "complete" in operate("coverage", "giro").stdout or "read once" in operate("coverage", "giro").stdout
    assert json.loads(operate("budget", "giro", "-o", "json").stdout)[0]["used"] == 1
    assert operate("budget", "none").returncode == 3


def test_an_organisation_is_erased(operate: Run, redis_url: str, tmp_path: Path) -> None:
    """With a reason and a yes; a dry run says how much, and does nothing."""
    prepared(redis_url, tmp_path, "bad")
    assert operate("erase", "acme", "--reason", "left", "--dry-run").stderr == "1 connections\n"
    assert operate("erase", "acme", "--reason", "left").returncode == 2
    report = json.loads(operate("erase", "acme", "--reason", "left", "--yes").stdout)[0]
    assert report["entries"]["connections"] == 1
    assert operate("connections", "list", "--org", "acme").stdout.count("acme") == 0


def test_keys_are_rotated(operate: Run, redis_url: str, tmp_path: Path) -> None:
    """Afterwards the old key is no longer needed."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    prepared(redis_url, tmp_path, "giro", credentials_key=old)
    assert operate("keys", "rotate", BANK_SYNC_CREDENTIALS_KEY=f"{new},{old}").stdout == "1\n"

    async def read() -> object:
        store = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/bank.db", credentials_key=new)
        found = await store.connection("giro")
        await store.aclose()
        return found and found.credentials

    assert asyncio.run(read()) == {"token": "t"}


def test_redis_away_is_a_code_of_its_own(operate: Run) -> None:
    """Without Redis a command ends with 4 and a line that says how to mend it."""
    operate("db", "upgrade")
    answer = operate("jobs", "list", REDIS_URL="redis://127.0.0.1:1")
    assert answer.returncode == 4
    assert len(answer.stderr.splitlines()) == 1


def test_help_needs_nothing() -> None:
    """`--help` imports no part of the library that is slow, and names every command; a wrong word is 2."""
    program = (
        "import sys, contextlib\n"
        "sys.argv = ['bankimport', '--help']\n"
        "from bankimport.cli import main\n"
        "with contextlib.suppress(SystemExit): main()\n"
        "print([name for name in ('aiohttp', 'arq', 'redis', 'pydantic', 'sqlalchemy', 'rich') if name in sys.modules])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == "[]"
    assert all(f"  {name} " in answer.stdout for name in COMMANDS)
    wrong = [sys.executable, "-m", "bankimport", "nonsense"]
    assert subprocess.run(wrong, env=clean_environment(), capture_output=True, check=False).returncode == 2


def test_banks_and_accounts(operate: Run, redis_url: str, tmp_path: Path) -> None:
    """Which banks can be connected; which accounts a connection has, and who it is about whom there is a doubt."""
    prepared(redis_url, tmp_path, "giro")
    banks = {"sandbox": {"type": "berlin-group", "base_url": "http://127.0.0.1:1"}}
    own = {"BANK_SYNC_BANKS": json.dumps(banks)}
    answer = operate("connections", "institutions", "sandbox", "-o", "json", **own)
    assert (answer.returncode, json.loads(answer.stdout)) == (0, [])
    assert operate("connections", "institutions", "other", **own).returncode == 2
    assert operate("connections", "institutions", "sandbox", "--country", "Germany", **own).returncode == 2
    rows = json.loads(operate("connections", "accounts", "giro", "-o", "json").stdout)
    assert [(row["listed"], row["undecided"], row["could_be"]) for row in rows] == [("yes", None, "")] * 3
    doubtful, old = rows[0]["account"], rows[1]["account"]
    with closing(sqlite3.connect(tmp_path / "bank.db")) as database, database:
        database.execute("UPDATE bank_accounts SET undecided = 'name', currency = 'EUR' WHERE id = ?", (doubtful,))
        database.execute("UPDATE bank_accounts SET is_listed = 0, currency = 'EUR' WHERE id = ?", (old,))
    shown = operate("connections", "accounts", "giro").stdout
    assert f"name       {old}" in shown
    for wrong in ((), ("--same-as", old, "--another")):
        assert operate("connections", "decide", "giro", doubtful, *wrong, **own).returncode == 2
    assert operate("connections", "decide", "giro", "nix", "--another", **own).returncode == 3
    assert operate("connections", "decide", "giro", doubtful, "--same-as", old, **own).stdout == f"{old}\n"
    assert operate("connections", "decide", "giro", doubtful, "--another", **own).returncode == 3
