"""A delta in the port: what a bank tells of changes ends in the same rows as the bank has, through the real job."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bankimport.commands import SyncConnection
from bankimport.errors import StoreUnavailable
from bankimport.jobs.results import AccountOutcome, SyncResult
from bankimport.jobs.sync_connection import sync_connection
from bankimport.models import BankConnection, RowStatus, Scope, Window
from bankimport.sandbox import BankClock, Kind, create_app, transactions_on
from bankimport.testing import FakeRun, ManualClock, MemoryLedger, MemoryStore
from tests.contracts.changes_bank import ChangesBank
from tests.contracts.conftest import Serve
from tests.contracts.sandboxed import misbehave

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
CONNECTION = BankConnection("c", "acme", "changes", consent_id="consent-1")
Facts = Counter[tuple[str, date, Decimal]]


class Life:
    """One connection, its store, and the bank, on one clock."""

    def __init__(self, url: str, bank_clock: BankClock) -> None:
        self.url, self.bank_clock = url, bank_clock
        self.bank = ChangesBank(url)
        self.store = MemoryStore()
        self.store.add(CONNECTION)
        self.clock = ManualClock(START)
        self.ledger = MemoryLedger()
        self.runs = 0

    async def sync(self) -> SyncResult:
        """Run the job once."""
        self.runs += 1
        return await sync_connection(
            SyncConnection(connection_id="c", org_id="acme"),
            FakeRun(fence=self.runs),
            banks={"changes": self.bank},
            store=self.store,
            ledger=self.ledger,
            clock=self.clock,
        )

    def pass_days(self, days: int = 1) -> None:
        """Let days pass, here and at the bank."""
        self.clock.advance(timedelta(days=days))
        self.bank_clock.set(self.clock())

    async def stored(self) -> Facts:
        """Return the living rows."""
        connection = await self.store.connection("c")
        assert connection is not None
        listed = await self.bank.accounts(connection, None)
        [account] = await self.store.upsert_accounts(connection, listed, fence=self.runs)
        rows, _ = await self.store.load_rows(account, Window(date(2000, 1, 1)), ())
        return Counter(
            (row.status.value, row.transaction.day, row.transaction.amount)
            for row in rows
            if row.status is not RowStatus.REMOVED
        )

    def at_the_bank(self) -> Facts:
        """Return what the bank has of the account, back to the first import."""
        iban = transactions_on("consent-1", self.clock().date())[0].account.iban
        since = START.date() - timedelta(days=90)
        served = [s for s in transactions_on("consent-1", self.clock().date(), since) if s.account.iban == iban]
        return Counter((s.status, s.booking_date or s.entry.day, s.entry.amount) for s in served)


@pytest.fixture
async def life(serve: Serve) -> AsyncIterator[Life]:
    """A life at the sandbox."""
    clock = BankClock(START)
    life = Life(await serve(create_app(clock=clock, page_size=25)), clock)
    yield life
    await life.bank.aclose()


def without_phantoms(rows: Facts) -> Facts:
    """Leave out the pending entries that the bank shows for two days and never books."""
    return Counter({fact: n for fact, n in rows.items() if fact[:1] + fact[2:] != ("pending", Decimal("-1.00"))})


async def check(life: Life) -> None:
    """Every row is the bank's, as often as there."""
    stored = await life.stored()
    assert without_phantoms(stored) == life.at_the_bank()
    gone = [
        fact for fact in stored if fact[2] == Decimal("-1.00") and fact[1] < life.clock().date() - timedelta(days=1)
    ]
    assert [fact for fact in gone if fact[0] == "pending"] == []


async def test_forty_days_of_changes(life: Life) -> None:
    """Added, modified, removed and replaced by link: each day ends in the bank's rows, with few requests."""
    for _ in range(40):
        result = await life.sync()
        assert result.success
        await check(life)
        life.pass_days()
    assert life.bank.requests < 60  # the first list has pages; each day's changes are one


async def test_changes_that_change_while_they_are_read_begin_anew(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read of them is forgotten: nothing is stored of a list that was never whole."""
    real = ChangesBank.transactions
    moved = []

    async def moving(self: ChangesBank, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        async for page in real(self, *arguments, **options):
            yield page
            if page.has_more and not moved:
                moved.append(page)
                life.pass_days()

    await life.sync()
    life.pass_days(20)
    monkeypatch.setattr(ChangesBank, "transactions", moving)
    result = await life.sync()
    assert moved
    assert result.success
    await check(life)


async def test_a_list_that_never_stands_still_is_left_for_later(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """After three times the account fails for now, with nothing stored; the next sync has it."""
    real = ChangesBank.transactions

    async def moving(self: ChangesBank, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        async for page in real(self, *arguments, **options):
            yield page
            life.bank_clock.set(life.bank_clock.now() + timedelta(minutes=1))

    with monkeypatch.context() as patched:
        patched.setattr(ChangesBank, "transactions", moving)
        try:
            result = await life.sync()
        except Exception as error:  # an account that fails alone fails the job
            assert getattr(error, "code", "") == "start-over"
        else:
            assert result.accounts[0].error_code == "start-over"
    assert await life.stored() == Counter()
    life.bank_clock.set(life.clock())
    assert (await life.sync()).accounts[0].outcome is AccountOutcome.SYNCED
    await check(life)


async def test_a_cursor_that_the_bank_forgot_begins_from_nothing(life: Life) -> None:
    """After an outage of forty days everything is told again, and nothing is doubled."""
    await life.sync()
    life.pass_days(40)
    assert (await life.sync()).success
    stored, at_the_bank = without_phantoms(await life.stored()), life.at_the_bank()
    assert {fact: n for fact, n in stored.items() if fact[0] == "booked"} == {
        fact: n for fact, n in at_the_bank.items() if fact[0] == "booked"
    }


async def test_a_failure_in_the_middle_loses_no_change(life: Life) -> None:
    """The cursor moves with the rows or not at all: an outage of the bank or of the store is caught up."""
    await life.sync()
    life.pass_days(3)
    await misbehave(life.url, Kind.UNAVAILABLE, endpoint=Scope.TRANSACTIONS, times=1)
    with pytest.raises(Exception, match=r"."):
        await life.sync()

    def away(name: str) -> None:
        if name == "apply":
            raise StoreUnavailable

    life.store.before = away
    with pytest.raises(StoreUnavailable):
        await life.sync()
    life.store.before = lambda name: None
    assert (await life.sync()).success
    await check(life)
