"""One connection in a small world: a scripted bank, a real store, a clock that stands still, and a ledger."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bankimport.commands import SyncConnection
from bankimport.errors import StoreUnavailable
from bankimport.events import EventData
from bankimport.jobs import SyncResult, sync_connection
from bankimport.models import (
    BankAccount,
    BankConnection,
    Page,
    ReportedTransaction,
    RowStatus,
    StoredTransaction,
    Window,
)
from bankimport.status import ConnectionStatus
from bankimport.testing import ManualClock
from bankimport.testing.fakes import FakeBank, FakeRun, MemoryLedger, MemoryNotes
from bankimport.testing.memory_store import MemoryStore
from tests.simulation.reports import TODAY, cancelled, pending, reported
from tests.simulation.sql_store import RealStore

__all__ = [
    "CARD",
    "CONNECTION",
    "GIRO",
    "ON_ALL_STORES",
    "TODAY",
    "World",
    "cancelled",
    "days_ago",
    "pending",
    "renewed",
    "reported",
]

#: marks a module whose tests are about what the store keeps
ON_ALL_STORES = pytest.mark.parametrize("store_url", ["memory", "sqlite", "postgresql"], indirect=True)
GIRO = BankAccount("giro-1", "DE02120300000000202051", "EUR", iban="DE02120300000000202051")
CARD = BankAccount("card-1", "DE02500105170137075030", "EUR", iban="DE02500105170137075030")
CONNECTION = BankConnection("connection-1", "org-1", "bank")


class World:
    """Everything one connection needs. `sync` runs the job as a new run would."""

    def __init__(self, store: MemoryStore | RealStore) -> None:
        self.store = store
        self.bank = FakeBank()
        self.bank.accounts_answer = [GIRO]
        self.clock = ManualClock(datetime.combine(TODAY, datetime.min.time(), UTC) + timedelta(hours=8))
        self.ledger = MemoryLedger()
        self.notes = MemoryNotes()
        self.runs = 0
        self.events: list[EventData] = []
        self.last_run = FakeRun()

    @property
    def today(self) -> date:
        return self.clock().date()

    async def add(self, connection: BankConnection) -> None:
        """Add or replace a connection."""
        if isinstance(self.store, RealStore):
            await self.store.add(connection)
        else:
            self.store.add(connection)

    async def delete_by_user(self, account_id: str, row_id: str) -> None:
        """Mark a row as deleted by its user."""
        if isinstance(self.store, RealStore):
            await self.store.delete_by_user(account_id, row_id)
        else:
            self.store.delete_by_user(account_id, row_id)

    def shows(self, *rows: ReportedTransaction, account: BankAccount = GIRO) -> None:
        """From now on the bank answers these rows, in one page."""
        self.bank.show(account, *rows)

    def pages(self, *answers: Any, account: BankAccount = GIRO) -> None:
        """From now on the bank answers these pages; an exception is raised at its place."""
        last = len(answers) - 1
        self.bank.pages[account.provider_id] = [
            Page(tuple(a), None if n == last else f"cursor-{n}") if isinstance(a, list) else a
            for n, a in enumerate(answers)
        ]

    @contextmanager
    def store_away(self) -> Iterator[None]:
        """Let no read be stored, for as long as the context is open."""

        def away(name: str) -> None:
            if name == "apply":
                raise StoreUnavailable

        self.store.before = away
        yield
        self.store.before = lambda name: None

    async def sync(self, run: FakeRun | None = None, *, job: str | None = None, **options: Any) -> SyncResult:
        """Run a job once, as a worker would: a new one, or another run of `job`."""
        self.runs += 1
        run = self.last_run = run or FakeRun()
        run.fence, run.job_id = self.runs, job or f"job-{self.runs}"
        try:
            return await sync_connection(
                SyncConnection(connection_id=CONNECTION.id, org_id=CONNECTION.org_id, **options),
                run,
                banks={"bank": self.bank},
                store=self.store,
                ledger=self.ledger,
                clock=self.clock,
                notes=self.notes,
            )
        finally:
            self.events.extend(run.events)

    async def again(self, after: timedelta = timedelta(seconds=5), **options: Any) -> SyncResult:
        """Run the last job once more, as the queue does after a failure, a crash or a deploy."""
        self.clock.advance(after)
        return await self.sync(job=self.last_run.job_id, **options)

    async def tomorrow(self, days: int = 1, **options: Any) -> SyncResult:
        """Let days pass, and sync."""
        self.clock.advance(timedelta(days=days))
        return await self.sync(**options)

    async def stored(self, account: BankAccount = GIRO) -> Sequence[BankAccount]:
        known = [one for one in await self.store.accounts(CONNECTION.id) if one.stable_key == account.stable_key]
        return known or await self.store.upsert_accounts(CONNECTION, [account], fence=self.runs)

    async def rows(self, account: BankAccount = GIRO) -> list[StoredTransaction]:
        """All rows of an account, by day."""
        (stored,) = await self.stored(account)
        rows, _ = await self.store.load_rows(stored, Window(date(1970, 1, 1)), ())
        return sorted(rows, key=lambda row: (row.transaction.day, row.transaction.amount, row.id))

    async def living(self, account: BankAccount = GIRO) -> list[tuple[str, str, Decimal]]:
        """Status, day and amount of every row that was not removed."""
        return [
            (row.status.value, str(row.transaction.day), row.transaction.amount)
            for row in await self.rows(account)
            if row.status is not RowStatus.REMOVED
        ]

    async def status(self) -> tuple[ConnectionStatus, str | None]:
        connection = await self.store.connection(CONNECTION.id)
        assert connection is not None
        return connection.status, connection.status_reason


def days_ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def renewed(account: BankAccount) -> BankAccount:
    """The account as a new consent shows it: another resource id, the same account."""
    return replace(account, provider_id=account.provider_id + "-renewed")
