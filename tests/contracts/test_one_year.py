"""A family's banking, day by day, through each of the three APIs: outages, quotas, renewals and new ids, and in the end
the same rows everywhere, which are the bank's."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from bankimport.commands import SyncConnection
from bankimport.errors import JobError
from bankimport.jobs import AccountOutcome, SyncResult, sync_connection
from bankimport.models import BankConnection, RowStatus, Scope
from bankimport.sandbox import BankClock, Kind, Switch, create_app, transactions_on
from bankimport.sandbox.counter import STATE
from bankimport.testing import FakeRun, ManualClock, MemoryLedger, MemoryStore
from tests.contracts.conftest import Serve
from tests.contracts.sandboxed import ALL
from tests.soak import SOAK

START = datetime(2026, 1, 7, 7, 30, tzinfo=UTC)
DAYS = 365 if SOAK else 40
ROOT = "family"


class Year:
    """One family at one API."""

    def __init__(self, name: str, app: Any, url: str, clock: BankClock) -> None:
        self.name, self.app, self.bank_clock = name, app, clock
        self.clock, self.store, self.ledger = ManualClock(START), MemoryStore(), MemoryLedger()
        self.provider = ALL[name](url, clock=self.clock, max_history=timedelta(days=89))
        self.consent = ROOT
        self.store.add(BankConnection("c", "acme", "bank", consent_id=ROOT))
        self.runs = 0
        self.outcomes: Counter[str] = Counter()

    def switch(self, kind: Kind, **fields: Any) -> None:
        """Make the bank misbehave for this consent."""
        self.app[STATE].switches.add(self.consent, Switch(kind=kind, **fields))

    def behave(self) -> None:
        """Let it behave again, but for its quota."""
        self.app[STATE].switches.clear(self.consent)
        self.switch(Kind.QUOTA)

    async def sync(self) -> None:
        """Run the job, and once more at once if it failed, as a retry does."""
        for _ in range(2):
            self.runs += 1
            command = SyncConnection(connection_id="c", org_id="acme")
            try:
                result: SyncResult = await sync_connection(
                    command, FakeRun(fence=self.runs), banks={"bank": self.provider}, store=self.store,
                    ledger=self.ledger, clock=self.clock,
                )  # fmt: skip
            except JobError as error:
                self.outcomes[error.code] += 1
                continue
            self.outcomes.update(account.outcome.value for account in result.accounts)
            return

    def pass_a_day(self) -> None:
        """Here and at the bank."""
        self.bank_clock.set(self.clock.advance(timedelta(days=1)))

    async def renew(self, number: int) -> None:
        """A new consent: other resource ids, the same accounts."""
        self.consent = f"{ROOT}~{number}"
        connection = await self.store.connection("c")
        assert connection is not None
        self.store.add(replace(connection, consent_id=self.consent))
        self.behave()

    async def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return the living rows by account."""
        found: dict[str, list[tuple[Any, ...]]] = {}
        for account in await self.store.accounts("c"):
            rows = [row for row in self.store.rows(account.id) if row.status is not RowStatus.REMOVED]
            found[account.iban or ""] = sorted(
                (row.status.value, row.transaction.day, row.transaction.amount, row.transaction.currency,
                 row.transaction.counterparty_name or "", row.transaction.remittance or "", row.missing_at_bank)
                for row in rows
            )  # fmt: skip
        return found

    def truth(self, since: date) -> Counter[tuple[Any, ...]]:
        """Return what the bank booked since a day."""
        served = transactions_on(ROOT, self.clock().date(), since)
        return Counter((s.account.iban, s.booking_date, s.entry.amount) for s in served if s.status == "booked")


@pytest.fixture(params=ALL)
async def year(request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[Year]:
    """A year at each API."""
    clock = BankClock(START)
    app = create_app(clock=clock, page_size=40)
    year = Year(request.param, app, await serve(app), clock)
    year.behave()
    yield year
    await year.provider.aclose()


#: what each API ended with, for the others to be compared with
ENDS: dict[str, Any] = {}


@pytest.mark.timeout(600)
async def test_a_year_ends_in_the_bank_s_rows_at_every_api(year: Year) -> None:
    """Every booked entry since the first read once, nothing doubled or missing, and all three APIs say the same."""
    dice = random.Random("a family's year")
    for day in range(DAYS):
        if day:
            year.pass_a_day()
        await _trouble(year, day, dice)
        await year.sync()
    year.behave()
    year.pass_a_day()
    await year.sync()
    rows = await year.rows()
    since = max(START.date() - timedelta(days=89), year.clock().date() - timedelta(days=390))  # what the bank still has
    stored = Counter(
        (iban, day, amount)
        for iban, listed in rows.items()
        for status, day, amount, *_ in listed
        if status == "booked" and day >= since
    )
    assert stored == year.truth(since)
    assert {missing for listed in rows.values() for *_, missing in listed} == {0}
    assert year.outcomes[AccountOutcome.SYNCED.value] > DAYS
    ENDS[year.name] = rows
    assert all(ended == rows for ended in ENDS.values())


async def _trouble(year: Year, day: int, dice: random.Random) -> None:
    """What the day brings: the same for all three."""
    year.behave()
    luck = dice.random()
    if day == 0:
        return
    if day % 90 == 20:
        await year.renew(day)
    if luck < 0.10:
        year.switch(Kind.UNAVAILABLE, endpoint=Scope.TRANSACTIONS, times=dice.randint(1, 6))
    elif luck < 0.16:
        year.switch(Kind.CUT, endpoint=Scope.TRANSACTIONS, account=1, times=1)
    elif luck < 0.22:
        year.switch(Kind.RATE_LIMIT, endpoint=Scope.BALANCES, times=1)
    elif luck < 0.26:
        year.switch(Kind.NO_JSON, endpoint=Scope.TRANSACTIONS, account=0, times=1)
    if day % 15 in (7, 8, 9):
        year.switch(Kind.ROTATE_IDS)
    elif day % 15 == 11:
        year.switch(Kind.NO_IDS)
