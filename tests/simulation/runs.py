"""120 days of one simulated account: through the pure decision with a dictionary for a store, and through the real job."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

from bankimport.access.budget import ROLLING
from bankimport.commands import SyncConnection
from bankimport.errors import Retryable, Transient
from bankimport.imports import (
    Extent,
    Reading,
    automatic_window,
    covered,
    reconcile,
    window_to_load,
)
from bankimport.jobs import AccountOutcome, sync_connection
from bankimport.models import (
    BankAccount,
    BankConnection,
    Capabilities,
    IdQuality,
    Memory,
    Page,
    PsuContext,
    Scope,
    TransactionStatus,
    Window,
)
from bankimport.ports import AccessKey, BankStore
from bankimport.testing import ManualClock
from bankimport.testing.fakes import FakeBank, FakeRun, MemoryLedger
from tests.simulation.lives import Booked, Rows, paged, read
from tests.simulation.simulated_bank import FIRST_DAY, Ids, SimulatedBank
from tests.simulation.stored import booked_of, rows_of

HORIZON = FIRST_DAY - timedelta(days=90)
CUT = 0.15
#: of entries without ids one may be put off, and the row that it moved away from is missing until then
PUT_OFF = (Ids.ABSENT, Ids.MIXED)


def sync_days(r: random.Random, days: int) -> Iterator[tuple[date, int]]:
    """The days on which somebody syncs, and how often; now and then nobody does for up to three weeks."""
    away_until = FIRST_DAY
    for offset in range(days):
        today = FIRST_DAY + timedelta(days=offset)
        if today < away_until:
            continue
        if r.random() < 0.02:
            away_until = today + timedelta(days=r.randrange(2, 22))
            continue
        yield today, r.choice((1, 1, 2, 3))


def compare(found: Booked, expected: Booked, waiting: Booked, what: str) -> None:
    """The stored booked rows are the bank's, each as often; what is `waiting` for a second read may be there or not."""
    too_many, lost = found - expected, expected - waiting - found
    assert not too_many and not lost, f"{what}: too many {dict(too_many)}, lost {dict(lost)}"


def run_pure(seed: int, ids: Ids, days: int = 120) -> int:
    """Sync for `days`; after each complete sync the stored booked rows are the bank's. Return how many there were."""
    bank, rows = SimulatedBank(seed, ids, days), Rows()
    memory = Memory()
    r = random.Random(f"syncs-{seed}-{ids}")
    complete_syncs = 0
    for today, times in sync_days(r, days):
        for _ in range(times):
            window = automatic_window(memory, today=today, max_history=timedelta(days=90))
            pages = bank.pages(window, today)
            cut = r.random() < CUT
            if cut:
                pages = pages[: r.randrange(len(pages))]
            entries = paged([[read(entry) for entry in page] for page in pages])
            reading = Reading(window, Extent.INCOMPLETE if cut else Extent.COMPLETE)
            seen = [entry.day for entry in entries]
            stored = rows.load(window_to_load(window, min(seen, default=None), max(seen, default=None)), entries)
            decision = reconcile(reading, entries, stored, new_id=rows.new_id, memory=memory)
            rows.apply(decision.change_set)
            memory = decision.memory
            if not cut:
                asked = window if decision.cut_before is None else Window(decision.cut_before)
                memory = covered(memory, asked, today, decision.unsure)
                complete_syncs += 1
                found, expected = rows.booked(missing=ids not in PUT_OFF), bank.booked(today, HORIZON)
                compare(found, expected, put_off(memory), f"seed {seed}, ids {ids}, {today}")
    return complete_syncs


def put_off(memory: Memory) -> Booked:
    """What the read has put off, and said so: it may be there twice only because a page repeats it."""
    booked = TransactionStatus.BOOKED
    return Counter((doubt.day, doubt.amount, doubt.currency) for doubt in memory.doubts if doubt.status is booked)


class SimulatedProvider(FakeBank):
    """The simulated bank behind the port: some reads fail in the middle, and accounts get new ids with each consent."""

    def __init__(self, bank: SimulatedBank, clock: ManualClock, r: random.Random) -> None:
        super().__init__(capabilities=Capabilities(id_quality=IdQuality.STRONG))
        self._bank, self._clock, self._random = bank, clock, r

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        consent = (self._clock().date() - FIRST_DAY).days // 45
        return [BankAccount(f"resource-{consent}", "DE02120300000000202051", "EUR")]

    async def transactions(
        self,
        connection: BankConnection,
        account: BankAccount,
        window: Window,
        *,
        cursor: str | None,
        psu: PsuContext | None,
    ) -> AsyncIterator[Page]:
        pages = self._bank.pages(window, self._clock().date())
        cut_at = self._random.randrange(len(pages)) if self._random.random() < CUT else len(pages)
        for number, page in enumerate(pages):
            if number == cut_at:
                raise Transient("the connection was cut", scope=Scope.TRANSACTIONS)
            yield Page(tuple(page), str(number) if number + 1 < len(pages) else None)


async def run_job(seed: int, ids: Ids, store: BankStore, connection: BankConnection, days: int = 120) -> int:
    """The same through the real job, at four-hourly ticks of a day, with its budget."""
    bank, clock = SimulatedBank(seed, ids, days), ManualClock(datetime.combine(FIRST_DAY, time(), UTC))
    r = random.Random(f"job-{seed}-{ids}")
    provider, ledger = SimulatedProvider(bank, clock, r), MemoryLedger()
    complete_syncs, fence = 0, 0
    for today, times in sync_days(r, days):
        for hour in sorted(r.sample((0, 4, 8, 12, 16, 20), times)):
            clock.now = datetime.combine(today, time(hour, r.randrange(2)), UTC)
            fence += 1
            command = SyncConnection(org_id=connection.org_id, connection_id=connection.id, scheduled=True)
            try:
                result = await sync_connection(
                    command,
                    FakeRun(fence=fence),
                    banks={connection.bank: provider},
                    store=store,
                    ledger=ledger,
                    clock=clock,
                )
            except Retryable:
                continue
            if result.accounts and result.accounts[0].outcome is AccountOutcome.SYNCED:
                complete_syncs += 1
                (account,) = await store.accounts(connection.id)
                memory = (await store.account_state(account)).memory
                rows = await rows_of(store, connection.id)
                found, expected = booked_of(rows, missing=ids not in PUT_OFF), bank.booked(today, HORIZON)
                compare(found, expected, put_off(memory), f"seed {seed}, ids {ids}, {clock()}")
            key = AccessKey(connection.bank, "DE02120300000000202051", Scope.TRANSACTIONS)
            assert len((await ledger.history(key, connection.id, clock() - ROLLING)).reads) <= 4
    return complete_syncs
