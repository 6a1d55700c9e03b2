"""Valkey, the sandbox bank, the example host and stock `arq` workers, each a process of its own."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from bankimport.stores import SqlStore
from tests.processes import ROOT, Processes, Running, free_port
from tests.waiting import PATIENCE, wait_until

TOKENS = {"acme-token": "acme", "globex-token": "globex", "operator-token": "*"}


@dataclass
class Deployment:
    """What a host would run, on free ports. Everything is configured by the environment alone."""

    processes: Processes
    redis_url: str
    variables: dict[str, str] = field(default_factory=dict)
    bank_url: str = ""
    host_url: str = ""
    #: None: the sandbox's contract allows any number of unattended reads, so that tests may sync as often as they like
    unattended_limit: int | None = None
    #: where workers and the host expect the bank; a test may put a proxy of its own between
    seen_bank_url: str | None = None
    #: further banks of `BANK_SYNC_BANKS`, of the same sandbox: their options but for `base_url`
    more_banks: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        """The SQLite file of the store."""
        return self.processes.directory / "bank.db"

    @property
    def environment(self) -> dict[str, str]:
        """The configuration of every process."""
        bank = {
            "type": "berlin-group",
            "base_url": self.seen_bank_url or self.bank_url,
            "unattended_limit": self.unattended_limit,
        }
        more = {name: {**options, "base_url": bank["base_url"]} for name, options in self.more_banks.items()}
        return {
            "REDIS_URL": self.redis_url,
            "BANK_SYNC_DATABASE_URL": f"sqlite+aiosqlite:///{self.database}",
            "BANK_SYNC_BANKS": json.dumps({"sandbox": bank, **more}),
            "BANK_SYNC_ENVIRONMENT": "development",
            "HOST_TOKENS": json.dumps(TOKENS),
            **self.variables,
        }

    def bankimport(self, *arguments: str) -> str:
        """Run `bankimport` with `arguments` and return what it printed."""
        return self.processes.answer("-m", "bankimport", *arguments, environment=self.environment).strip()

    def start_bank(self) -> Running:
        """Start the sandbox bank, its clock stopped, so that a midnight between two reads changes nothing."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M")
        bank = self.processes.python("sandbox", "-m", "bankimport", "sandbox", "--port", "0", "--now", now)
        self.bank_url = bank.line_sync("the sandbox bank serves").split()[-1]
        return bank

    def start_host(self) -> Running:
        """Start the example host, ready when it prints its address."""
        port = free_port()
        self.host_url = f"http://127.0.0.1:{port}"
        program = str(ROOT / "examples" / "host_service.py")
        return self.processes.python("host", program, environment={**self.environment, "HOST_PORT": str(port)})

    def start_worker(self, **variables: str) -> Running:
        """Start the stock `arq` command."""
        return self.processes.worker({**self.environment, **variables})

    def add_connection(self, connection_id: str, org: str = "acme", consent: str | None = None) -> str:
        """Add a connection with the command line; return the consent's id: any id is a person at the sandbox."""
        until = (datetime.now(UTC) + timedelta(days=90)).date().isoformat()
        chosen = consent or f"consent-{connection_id}"
        access = ("--org", org, "--bank", "sandbox", "--consent-id", chosen, "--valid-until", until)
        assert self.bankimport("connections", "add", *access, "--id", connection_id) == connection_id
        return chosen

    def insert_connection(
        self, connection_id: str, org: str = "acme", *, bank: str = "sandbox", consent: str | None = None
    ) -> None:
        """Add a connection as a host's own code does: quicker than the command line."""
        until = (datetime.now(UTC) + timedelta(days=90)).date()

        async def add() -> None:
            store = SqlStore(self.environment["BANK_SYNC_DATABASE_URL"])
            chosen = consent or f"consent-{connection_id}"
            await store.add_connection(org_id=org, bank=bank, consent_id=chosen, valid_until=until, id=connection_id)
            await store.aclose()

        asyncio.run(add())

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Read the store's tables as a host would."""
        with closing(sqlite3.connect(self.database, timeout=PATIENCE)) as connection:
            return connection.execute(sql, values).fetchall()

    def write(self, sql: str, *values: object) -> None:
        """Change the store's tables behind everybody's back, as time does."""
        with closing(sqlite3.connect(self.database, timeout=PATIENCE)) as connection, connection:
            connection.execute(sql, [each.isoformat(" ") if isinstance(each, datetime) else each for each in values])

    def transactions(self, connection_id: str) -> list[tuple[Any, ...]]:
        """Return the connection's rows: IBAN, status, booking date, value date, amount, currency."""
        return self.query(
            "SELECT a.iban, t.status, t.booking_date, t.value_date, t.amount, t.currency FROM bank_transactions t"
            " JOIN bank_accounts a ON a.id = t.account_id WHERE a.connection_id = ? ORDER BY 1, 2, 3, 4, 5",
            connection_id,
        )

    def connection(self, connection_id: str) -> tuple[str, str | None]:
        """Return the connection's status and the reason of it."""
        row = self.query("SELECT status, status_reason FROM bank_connections WHERE id = ?", connection_id)[0]
        return row[0], row[1]


@dataclass
class Organisation:
    """A member of an organisation at the host's routes."""

    session: aiohttp.ClientSession
    deployment: Deployment
    name: str = "acme"

    @property
    def url(self) -> str:
        """Where the organisation's routes are."""
        return f"{self.deployment.host_url}/api/organisations/{self.name}/bank-connections"

    async def get(self, path: str) -> dict[str, Any]:
        """Return the JSON of a route that answers 200."""
        async with self.session.get(f"{self.url}{path}") as answer:
            assert answer.status == 200, await answer.text()
            body: dict[str, Any] = await answer.json()
            return body

    async def sync(self, connection_id: str, body: dict[str, Any] | None = None) -> str:
        """Ask for a sync; return the job's id."""
        async with self.session.post(f"{self.url}/{connection_id}/sync", json=body or {}) as answer:
            assert answer.status == 202, await answer.text()
            return str((await answer.json())["jobId"])

    async def ended(self, job_id: str, timeout: float = PATIENCE) -> dict[str, Any]:
        """Follow a job to its end and return its record."""

        async def over() -> dict[str, Any] | None:
            job = await self.get(f"/jobs/{job_id}")
            return job if job["state"] in ("completed", "failed") else None

        job = await wait_until(over, timeout, what=f"the end of {job_id}")
        assert job is not None
        return job

    async def misbehave(self, consent_id: str, **switch: Any) -> None:
        """Let the sandbox bank misbehave for a consent: a switch of `bankimport.sandbox`."""
        url = f"{self.deployment.bank_url}/sandbox/consents/{consent_id}/switches"
        async with self.session.post(url, json=switch) as answer:
            assert answer.status == 201, await answer.text()

    async def behave(self, consent_id: str) -> None:
        """Let the sandbox bank behave again."""
        async with self.session.delete(f"{self.deployment.bank_url}/sandbox/consents/{consent_id}/switches") as answer:
            assert answer.status == 204

    async def events(self, job_id: str, timeout: float = PATIENCE) -> list[dict[str, Any]]:
        """Return every event of a job but its progress, from the first to the last, over Server-Sent Events."""
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(timeout), self.session.get(f"{self.url}/events?jobId={job_id}&after=0") as answer:
            assert answer.status == 200, await answer.text()
            async for line in answer.content:
                if not line.startswith(b"data:"):
                    continue
                event = json.loads(line.removeprefix(b"data:"))
                if event["name"] != "bank.job.progress":
                    found.append(event)
                if event["name"] in ("bank.job.completed", "bank.job.failed", "bank.job.cancelled"):
                    return found
        raise AssertionError(f"the events of {job_id} ended without a last one: {found}")

    async def synced(self, connection_id: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Sync a connection and return the ended job."""
        return await self.ended(await self.sync(connection_id, body))
