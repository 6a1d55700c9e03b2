"""The whole thing on one machine: a bank, a host service, a stock `arq` worker, a Valkey and an SQLite file.

A person connects a bank, and the first sync is watched to its end: `make demo`. `bankimport up` keeps the same
parts up, to try.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from yarl import URL

from bankimport.testing import own_redis

HERE = Path(__file__).parent
#: who uses the demonstration, and at the bank the first consent of that person
PERSON = "anna"
CONSENT = f"{PERSON}~1"
TOKENS = {"acme-token": "acme", "operator-token": "*"}
#: a public address for the bank to see: those of this machine are none, and a bank wants to know who asks
ADDRESS = "93.184.216.34"
BINARIES = Path(sys.executable).parent
console = Console()


@dataclass
class Stack:
    """The processes of the demonstration. Each is ended by its own pid, newest first."""

    folder: Path
    environment: dict[str, str]
    bank_url: str
    running: list[tuple[str, "subprocess.Popen[bytes]"]] = field(default_factory=list)

    def start(self, name: str, *command: str) -> None:
        """Start a process whose output goes to a file of its name."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, cwd=self.folder)
        self.running.append((name, process))

    def run(self, *arguments: str) -> str:
        """Run `bankimport` with `arguments` to its end and return what it printed."""
        command = [sys.executable, "-m", "bankimport", *arguments]
        answer = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise SystemExit(f"`bankimport {' '.join(arguments)}` failed:\n{answer.stderr}")
        return answer.stdout.strip()

    def check(self) -> None:
        """End the demonstration with the log of a process that died."""
        for name, process in self.running:
            if process.poll() is not None:
                raise SystemExit(f"the {name} ended:\n{(self.folder / f'{name}.log').read_text()[-4000:]}")

    def end(self) -> None:
        """Ask every process to end, and kill what doesn't within ten seconds."""
        for _, process in reversed(self.running):
            process.terminate()
        for _, process in reversed(self.running):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def parts(host_port: int) -> Iterator[Stack]:
    """Start Valkey, the sandbox bank, the host and the worker; end them all afterwards."""
    with tempfile.TemporaryDirectory(prefix="bankimport-demo-") as folder, own_redis() as redis_url:
        bank_port = free_port()
        # this bank's contract allows any number of reads without the person: sync as often as you like
        bank_url = f"http://127.0.0.1:{bank_port}"
        bank = {"type": "berlin-group", "base_url": bank_url, "unattended_limit": None, "own_address": ADDRESS}
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("BANK_SYNC_", "REDIS_"))
        }
        environment |= {
            "REDIS_URL": redis_url,
            "BANK_SYNC_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/demo.db",
            "BANK_SYNC_BANKS": json.dumps({"sandbox": bank}),
            "BANK_SYNC_CALLBACK_URL": f"http://127.0.0.1:{host_port}/api/callback",
            "BANK_SYNC_RETURN_TO": f"http://127.0.0.1:{host_port}/",
            "BANK_SYNC_ENVIRONMENT": "development",
            "HOST_TOKENS": json.dumps(TOKENS),
            "HOST_PORT": str(host_port),
        }
        stack = Stack(Path(folder), environment, bank_url)
        try:
            stack.run("db", "upgrade")
            stack.start("bank", sys.executable, "-m", "bankimport", "sandbox", "--port", str(bank_port))
            stack.start("host", sys.executable, str(HERE / "host_service.py"))
            stack.start("worker", str(BINARIES / "arq"), "bankimport.WorkerSettings")
            yield stack
        finally:
            stack.end()


async def ready(stack: Stack, session: aiohttp.ClientSession, host: str) -> None:
    """Wait until the host answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        stack.check()
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with session.get(f"{host}/api/openapi.json") as answer:
                if answer.ok:
                    return
        await asyncio.sleep(0.05)
    raise SystemExit("the host did not answer within 60 s")


async def slow_down(stack: Stack, session: aiohttp.ClientSession) -> None:
    """Let the bank take an eighth of a second for each answer, as real ones do, so that there is a bar to watch."""
    url = f"{stack.bank_url}/sandbox/consents/{CONSENT}/switches"
    async with session.post(url, json={"kind": "slow", "seconds": 0.125}) as answer:
        answer.raise_for_status()


async def connect(session: aiohttp.ClientSession, host: str, api: str) -> str:
    """Connect a bank as a person does, with this session as their browser; return the connection's id."""
    body = {"bank": "sandbox", "returnTo": f"{host}/"}
    async with session.post(api, json=body) as answer:
        answer.raise_for_status()
        page = (await answer.json())["url"]
    console.print(f"POST {api} → {PERSON} is sent to the bank: [bold]{page}[/]", soft_wrap=True)
    form = {"person": PERSON, "decision": "consent"}
    async with aiohttp.ClientSession() as bank, bank.post(page, data=form, allow_redirects=False) as answer:
        back = answer.headers["Location"]
    console.print(
        f"{PERSON} consents there, and the bank sends her back: [bold]{back.partition('?')[0]}[/]", soft_wrap=True
    )
    async with session.get(back, allow_redirects=False) as answer:
        told = URL(answer.headers["Location"]).query
    console.print(
        f"Our route sends her on to the app's own page: [bold]{told['outcome']}[/]; the first import has begun"
    )
    return told["connection"]


async def first_sync(stack: Stack, session: aiohttp.ClientSession, api: str, connection_id: str) -> dict[str, Any]:
    """Draw the progress of the import that connecting has begun, and return its job as it ended."""
    async with session.get(f"{api}/jobs", params={"connectionId": connection_id}) as answer:
        job_id = (await answer.json())["jobs"][0]["id"]
    columns = (TextColumn("{task.description:<46}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("waiting for the worker", total=100)
        while True:
            stack.check()
            async with session.get(f"{api}/jobs/{job_id}") as answer:
                job: dict[str, Any] = await answer.json()
            if progress := job.get("progress"):
                bar.update(task, completed=progress["percent"], description=progress["message"][:46])
            if job["state"] in ("completed", "failed"):
                return job
            await asyncio.sleep(0.05)


def show_rows(database: Path) -> None:
    """Print what arrived, as anybody can read it from the database."""
    accounts = Table("IBAN", "owner", "kind", "currency", "rows", title="Accounts")
    balances = Table("IBAN", "balance", "on", "amount", "", title="Balances")
    latest = Table("day", "status", "amount", "", "counterparty", title="The last transactions")
    with contextlib.closing(sqlite3.connect(database)) as rows:
        for *cells, count in rows.execute(
            "SELECT a.iban, a.name, a.kind, a.currency, count(t.id) FROM bank_accounts a"
            " LEFT JOIN bank_transactions t ON t.account_id = a.id GROUP BY a.id ORDER BY a.iban"
        ):
            accounts.add_row(*cells, str(count))
        for iban, kind, day, amount, currency in rows.execute(
            "SELECT a.iban, b.balance_type, b.reference_date, b.amount, b.currency FROM bank_balances b"
            " JOIN bank_accounts a ON a.id = b.account_id ORDER BY a.iban, b.balance_type"
        ):
            balances.add_row(iban, kind, day, money(amount), currency)
        for day, status, amount, currency, name in rows.execute(
            "SELECT coalesce(booking_date, value_date) AS day, status, amount, currency, counterparty_name"
            " FROM bank_transactions ORDER BY day DESC, status DESC, id LIMIT 12"
        ):
            latest.add_row(day, status, money(amount), currency, name)
    console.print(accounts, balances, latest)


def money(text: object) -> str:
    """Return an amount with two digits, money out in red."""
    amount = f"{float(str(text)):,.2f}".rjust(12)
    return f"[red]{amount}[/]" if "-" in amount else f"[green]{amount}[/]"


async def show_statistics(session: aiohttp.ClientSession, api: str) -> None:
    """Print the queue's numbers and its health."""
    async with session.get(f"{api}/queue/health") as answer:
        health = await answer.json()
    numbers = " · ".join(f"{name} {count}" for name, count in health["stats"].items())
    console.print(f"Queue: {'healthy' if health['isHealthy'] else 'NOT healthy'} · {numbers}")
    for warning in health["warnings"]:
        console.print(f"  warning: {warning}")


async def demo(host_port: int) -> int:
    """Connect a bank, run one sync and show what it brought; return the exit code."""
    host = f"http://127.0.0.1:{host_port}"
    api = f"{host}/api/organisations/acme/bank-connections"
    headers = {"Authorization": "Bearer acme-token"}
    with parts(host_port) as stack:
        jar = aiohttp.CookieJar(unsafe=True)  # of hosts without a name too
        async with aiohttp.ClientSession(headers=headers, cookie_jar=jar) as session:
            await ready(stack, session, host)
            await slow_down(stack, session)
            job = await first_sync(stack, session, api, await connect(session, host, api))
            if job["state"] != "completed":
                console.print(f"[red]the job failed: {job.get('failedReason')}[/]")
                return 1
            show_rows(stack.folder / "demo.db")
            result = job["result"]
            console.print(f"{result['transactionsSynced']} transactions of {result['accountsSynced']} accounts.")
            await show_statistics(session, api)
    return 0


def main() -> int:
    """Run; Ctrl-C ends it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return asyncio.run(demo(free_port()))
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
