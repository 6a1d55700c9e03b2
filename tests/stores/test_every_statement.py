"""A sync that fails at any one of its statements is healed by its retry, on both databases."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from bankimport.commands import SyncConnection
from bankimport.errors import StoreUnavailable
from bankimport.jobs import sync_connection
from bankimport.models import Balance, BankAccount, Capabilities, RowStatus, Window
from bankimport.stores import SqlStore
from bankimport.stores.sql import inserting
from bankimport.testing.fakes import FakeBank, FakeRun, MemoryLedger
from tests.simulation.world import TODAY, days_ago, pending, reported
from tests.soak import SOAK

NOW = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC)
BEFORE = (
    reported("-3.50", ref="a"),
    reported("-3.50", ref="b"),
    pending("-20.00", days_ago(2), ref="p1", text="Restaurant Roma"),
    pending("-8.00", days_ago(9), ref="p2", text="Tankstelle"),
)
AFTER = (*BEFORE[:2], reported("-20.00", ref="n1", text="Roma Restaurant"), reported("-3.50", ref="c"))
CLEAN = [(RowStatus.BOOKED, "-20.00"), *[(RowStatus.BOOKED, "-3.50")] * 3]


class Crash(BaseException):
    """The process is gone."""


class Faults:
    """Lets the statement fail that it is told; COPY is one too."""

    def __init__(self, store: SqlStore, patch: pytest.MonkeyPatch, kind: str) -> None:
        self.kind, self.at, self.seen = kind, 0, 0
        event.listen(store._engine.sync_engine, "before_cursor_execute", self._hook)
        copy_in = inserting.copy_in

        async def counted(*args: Any) -> None:
            self._hook()
            await copy_in(*args)

        patch.setattr(inserting, "copy_in", counted)

    def _hook(self, *_: object) -> None:
        self.seen += 1
        if self.seen == self.at:
            if self.kind == "crash":
                raise Crash
            raise OperationalError("INSERT", None, sqlite3.OperationalError("database or disk is full"))

    def at_statement(self, number: int) -> None:
        """Count from here on; 0 lets nothing fail."""
        self.at, self.seen = number, 0


class Customer:
    """One connection of its own in the store."""

    def __init__(self, store: SqlStore, number: int) -> None:
        self.store, self.id, self.fence = store, f"c{number}", 0
        self.bank = FakeBank(capabilities=Capabilities(unattended_limit=None))
        self.bank.accounts_answer = [BankAccount("r", f"key-{number}", "EUR")]
        self.bank.balances_answer = [Balance("closingBooked", -TODAY.day, "EUR")]  # type: ignore[arg-type]  # any number
        self.ledger = MemoryLedger()

    async def sync(self, *rows: Any) -> None:
        """Run the job once, a day later each time."""
        self.bank.show(self.bank.accounts_answer[0], *rows)
        self.fence += 1
        await sync_connection(
            SyncConnection(org_id="acme", connection_id=self.id),
            FakeRun(fence=self.fence),
            banks={"b": self.bank},
            store=self.store,
            ledger=self.ledger,
            clock=lambda: NOW + self.fence * timedelta(hours=7),
        )

    async def rows(self) -> list[tuple[RowStatus, str]]:
        """Return the rows that are not removed."""
        [account] = await self.store.accounts(self.id)
        rows, _ = await self.store.load_rows(account, Window(days_ago(400)), ())
        return sorted((row.status, str(row.transaction.amount)) for row in rows if row.status is not RowStatus.REMOVED)


def numbers(kind: str) -> Iterator[int]:
    """Statements, far more than a sync has. CI takes every second one: those with an odd number for one kind of failure,
    and the others for the other."""
    yield from range(1, 200) if SOAK else range(1 + (kind == "crash"), 200, 2)


@pytest.mark.parametrize("kind", ["full", "crash"])
async def test_a_sync_that_fails_at_any_statement_is_healed_by_its_retry(
    store: SqlStore, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First import or change, disk full or crash: the retry leaves the rows of one clean import, each once."""
    faults = Faults(store, monkeypatch, kind)
    failed = {"first": 0, "change": 0}
    for what in failed:
        for number in numbers(kind):
            customer = Customer(store, 1000 * len(what) + number)
            faults.at_statement(0)
            await store.add_connection(org_id="acme", bank="b", id=customer.id)
            if what == "change":
                await customer.sync(*BEFORE)
            faults.at_statement(number)
            try:
                await customer.sync(*AFTER)
                reached = faults.seen >= number
            except (StoreUnavailable, Crash):
                reached = True
            faults.at_statement(0)
            if not reached:
                break
            failed[what] += 1
            await customer.sync(*AFTER)
            if what == "change":
                await customer.sync(*AFTER)  # a pending row is removed after a second complete read without it
            assert await customer.rows() == CLEAN, (what, number)
    assert min(failed.values()) > (8 if SOAK else 4), failed
