"""A life with a lying bank: through the pure decision with rows in a dictionary, and through the real job."""

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from bankimport.access.budget import ROLLING
from bankimport.commands import SyncConnection
from bankimport.errors import Retryable, Transient
from bankimport.jobs import AccountOutcome, sync_connection
from bankimport.models import BankAccount, BankConnection, Capabilities, IdQuality, Page, PsuContext, Scope, Window
from bankimport.ports import BankStore
from bankimport.testing import ManualClock
from bankimport.testing.fakes import FakeBank, FakeRun, MemoryLedger
from tests.simulation.judge import Judge, Pages
from tests.simulation.lives import Life
from tests.simulation.lying_bank import Habit, LyingBank
from tests.simulation.runs import CUT, sync_days
from tests.simulation.simulated_bank import FIRST_DAY, Ids
from tests.simulation.stored import booked_of, rows_of

CONNECTION = BankConnection("c", "o", "bank")
STABLE_KEY = "DE02120300000000202051"
#: reads of an account that a bank answers in a day with nobody there, but for the schedule's retry
MOST_UNATTENDED = 3
EVERYTHING = Window(FIRST_DAY - timedelta(days=80))


def live_pure(
    seed: int, ids: Ids, habits: Sequence[type[Habit]], days: int = 90, *, life_of: type[Life] = Life
) -> Judge:
    """Sync for `days` through the decision, some reads cut off in the middle, then twice with the whole history."""
    bank, life = LyingBank(seed, ids, [habit() for habit in habits], days), life_of(FIRST_DAY)
    judge, r = Judge(bank), random.Random(f"syncs-{seed}-{ids}")
    asked: list[tuple[Window, Pages, bool]] = []

    def answer(window: Window) -> Pages:
        judge.asks(window)
        pages = bank.pages(window, life.today)
        asked.append((window, pages, bank.honest))
        return pages

    for today, times in sync_days(r, days):
        life.today = today
        for _ in range(times):
            asked.clear()
            cut = r.randrange(4) if r.random() < CUT else None
            life.turn(answer, cut_after=cut)
            if cut is None and all(honest for _, _, honest in asked):
                judge.looks(life.live(), asked[0][0], today, asked[0][1])
            elif cut is None:
                judge.sees(*asked[0][:2])
    honest_days = 0
    while honest_days < 2:
        life.today += timedelta(days=1)
        asked.clear()
        life.turn(answer, window=EVERYTHING if all(habit.answers_all for habit in bank.habits) else None)
        honest_days += all(honest for _, _, honest in asked)
        if honest_days < 2:
            judge.sees(*asked[0][:2])
    judge.ends(life.live(), life.today, asked[0][1], life.rows.booked().total(), len(life.all()))
    return judge


class LyingProvider(FakeBank):
    """The lying bank behind the port: some reads fail in the middle, and accounts get new ids with each consent."""

    def __init__(self, bank: LyingBank, clock: ManualClock, r: random.Random) -> None:
        super().__init__(capabilities=Capabilities(id_quality=IdQuality.STRONG))
        self._bank, self._clock, self._random = bank, clock, r
        self.reads: list[tuple[Window, Pages, bool]] = []
        self.asked_at: list[datetime] = []
        self.judge = Judge(bank)

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        consent = (self._clock().date() - FIRST_DAY).days // 45
        return [BankAccount(f"resource-{consent}", STABLE_KEY, "EUR", iban=STABLE_KEY)]

    async def transactions(
        self,
        connection: BankConnection,
        account: BankAccount,
        window: Window,
        *,
        cursor: str | None,
        psu: PsuContext | None,
    ) -> AsyncIterator[Page]:
        self.judge.asks(window)
        self.asked_at.append(self._clock())
        pages = self._bank.pages(window, self._clock().date())
        cut_at = self._random.randrange(len(pages)) if self._random.random() < CUT else len(pages)
        for number, page in enumerate(pages):
            if number == cut_at:
                raise Transient("the connection was cut", scope=Scope.TRANSACTIONS)
            if number + 1 == len(pages):
                self.reads.append((window, pages, self._bank.honest))
            yield Page(tuple(page), str(number) if number + 1 < len(pages) else None)


@dataclass
class JobLife:
    """One connection whose syncs go through the real job and a real store."""

    bank: LyingBank
    store: BankStore
    seed: int
    clock: ManualClock = field(default_factory=lambda: ManualClock(datetime.combine(FIRST_DAY, time(), UTC)))
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    fence: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(f"job-{self.seed}-{self.bank.ids}")
        self.provider = LyingProvider(self.bank, self.clock, self.random)
        self.judge = self.provider.judge

    async def sync(self, **asked: Any) -> bool:
        """Run one job; judge what is stored if a planned window was read honestly and to its end; return whether."""
        self.fence += 1
        self.provider.reads, begun = [], len(self.provider.asked_at)
        command = SyncConnection(org_id=CONNECTION.org_id, connection_id=CONNECTION.id, **asked)
        try:
            result = await sync_connection(
                command,
                FakeRun(fence=self.fence),
                banks={CONNECTION.bank: self.provider},
                store=self.store,
                ledger=self.ledger,
                clock=self.clock,
            )
        except Retryable:
            return False
        done = bool(result.accounts) and result.accounts[0].outcome is AccountOutcome.SYNCED
        if not done or not self.provider.reads:
            return False
        if not all(honest for _, _, honest in self.provider.reads):
            self.judge.sees(*self.provider.reads[0][:2])
            return False
        window, pages, _ = self.provider.reads[0]
        if window.until is None:
            today = sum(self.clock() - at <= ROLLING for at in self.provider.asked_at)
            broke = len(self.provider.asked_at) - begun > len(self.provider.reads)
            may_ask = len(self.provider.reads) > 1 or (today < MOST_UNATTENDED and not broke)
            live = booked_of(await rows_of(self.store, CONNECTION.id), missing=False)
            self.judge.looks(live, window, self.clock().date(), pages, may_ask=may_ask)
        else:
            self.judge.sees(window, pages)
        return window.until is None

    async def turns(self, today: date, *, events: bool) -> None:
        """Sync some times on one day; with `events` people ask for dates or for everything, and Redis is emptied."""
        r = self.random
        for hour in sorted(r.sample((0, 4, 8, 12, 16, 20), r.choice((1, 1, 2, 3)))):
            self.clock.now = datetime.combine(today, time(hour, r.randrange(2)), UTC)
            event = r.random() if events else 1
            if event < 0.05:
                since = today - timedelta(days=r.randrange(5, 80))
                until = since + timedelta(days=r.randrange(3, 40))
                await self.sync(start_date=since, end_date=until if until < today else None)
            elif event < 0.08:
                await self.sync(force_full_sync=True)
            elif event < 0.1:
                self.ledger = MemoryLedger()
            else:
                await self.sync(scheduled=True)

    async def ends(self) -> None:
        """Read the whole history on two days."""
        if not all(habit.answers_all for habit in self.bank.habits):
            return
        honest_days = 0
        while honest_days < 2:
            self.clock.now += timedelta(days=1)
            self.ledger = MemoryLedger()
            honest_days += await self.sync(start_date=EVERYTHING.since)
        rows = await rows_of(self.store, CONNECTION.id)
        pages, live, ever = self.provider.reads[0][1], booked_of(rows, missing=False), booked_of(rows).total()
        self.judge.ends(live, self.clock().date(), pages, ever, len(rows))


async def live_job(
    seed: int, ids: Ids, habits: Sequence[type[Habit]], store: BankStore, days: int = 90, *, events: bool = False
) -> Judge:
    """The same through the real job and a store that knows `CONNECTION`, at ticks of a day, with a budget and renewed
    consents."""
    life = JobLife(LyingBank(seed, ids, [habit() for habit in habits], days), store, seed)
    for today, _ in sync_days(life.random, days):
        await life.turns(today, events=events)
    await life.ends()
    return life.judge
