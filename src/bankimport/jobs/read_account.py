"""Read one account's window from the bank, all pages first; nothing is written here."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from bankimport.errors import MalformedData, PeriodRejected, RunInterrupted, StartOver
from bankimport.imports import Extent, Reading, covered, shrunk
from bankimport.imports.repeats import marked, once
from bankimport.jobs.access import Access, Deferred
from bankimport.jobs.entries import Entries
from bankimport.models import (
    Balance,
    BankAccount,
    BankId,
    Delta,
    IdKey,
    Memory,
    Page,
    ReportedTransaction,
    Scope,
    Transaction,
    Window,
)
from bankimport.progress import JobRun
from bankimport.reading import BalanceCheck, BalanceVerdict, Quarantined, check_balances, read_transaction
from bankimport.reading.ids import usable_ids

#: A bank that sends more than this in one read is not believed.
MAX_PAGES = 50_000
MAX_ROWS = 5_000_000
#: No bank serves fewer days: an answer that begins later, and tells no more when asked, is whole.
SHORTEST_HISTORY = timedelta(days=30)
#: A list of changes that becomes void so often while it is read is left for later.
MAX_RESTARTS = 3
#: So many ids of entries that can't be read are remembered.
MAX_UNREADABLE = 10_000


@dataclass(slots=True)
class AccountRead:
    """What a bank said of one account.

    `failure` ended the read before its end; a quota did with `wait_until`: the ledger's, or the bank's own if the read
    `is_refused`. `was_cut`: the bank has left out what is older; `is_whole`: it has been asked for that, too.
    `serves_from` is where its history begins, if it told no more.
    """

    asked: Window
    window: Window
    entries: Entries = field(default_factory=Entries)
    removed: list[BankId] = field(default_factory=list)
    quarantined: Counter[str] = field(default_factory=Counter)
    unreadable: set[IdKey] = field(default_factory=set)
    booked: defaultdict[tuple[date, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    rows: int = 0
    pages: int = 0
    is_delta: bool = False
    is_complete: bool = False
    cursor: str | None = None
    failure: Exception | None = None
    wait_until: datetime | None = None
    is_refused: bool = False
    today: date = date.min
    was_cut: bool = False
    is_whole: bool = False
    serves_from: date | None = None
    page_end: list[Transaction] = field(default_factory=list)

    @property
    def is_unasked(self) -> bool:
        """Whether the bank wasn't asked at all."""
        return not (self.pages or self.is_complete or self.is_refused or self.failure) and self.window == self.asked

    @property
    def reading(self) -> Reading:
        """What the read proves."""
        if self.is_delta:
            return Reading(self.window, Extent.DELTA)
        extent = Extent.COMPLETE if self.is_complete else Extent.INCOMPLETE
        return Reading(self.window, extent, frozenset(self.unreadable), self.is_whole)

    def taught(self, memory: Memory, cut_before: date | None, unsure: Collection[date]) -> Memory:
        """Return what is known after the read: the days read completely, and how much the bank serves, or else one that
        serves few days would be asked for too many again every day, until its quota is used up."""
        serves_from = self.serves_from or (None if self.window == self.asked else self.window.since)
        if serves_from is not None:
            memory = replace(memory, history=self.today - serves_from)
        if self.is_delta or not self.is_complete:
            return memory
        read = self.window if cut_before is None else Window(cut_before, self.window.until)
        return covered(memory, read, self.today, unsure)

    def add(self, reported: Sequence[ReportedTransaction], account: BankAccount) -> None:
        """Check entries and keep the readable ones."""
        self.rows += len(reported)
        if self.rows > MAX_ROWS:
            raise MalformedData("the bank sent more transactions than we accept", scope=Scope.TRANSACTIONS)
        readable: list[Transaction] = []
        for row in reported:
            entry = read_transaction(row, account.currency, self.today, self.pages)
            if isinstance(entry, Quarantined):
                self.quarantined[entry.reason] += 1
                if len(self.unreadable) < MAX_UNREADABLE:
                    self.unreadable.update(bank_id.key for bank_id in usable_ids(row.ids))
                continue
            readable.append(entry)
            _count(entry, self.booked)
        readable, self.page_end = marked(readable, self.page_end), readable
        self.entries.extend(readable)

    def check(self, balances: Sequence[Balance]) -> BalanceCheck:
        """Compare what was read with the balances; a delta is not all there is. Pages overlap, so a difference is
        believed only without repeats."""
        if self.is_delta:
            return BalanceCheck(BalanceVerdict.UNKNOWN)
        check = check_balances(balances, self.booked, self.window)
        if check.verdict is not BalanceVerdict.DIFFERS:
            return check
        booked: defaultdict[tuple[date, str], Decimal] = defaultdict(Decimal)
        for entry in self.entries.tidied(()) if self.entries.is_long else once(list(self.entries), ())[0]:
            _count(entry, booked)
        return check_balances(balances, booked, self.window)


def _how_many_booked(entries: Iterable[Transaction]) -> int:
    """Return how many entries of an answer are booked; where pages overlap they are counted once."""
    return sum(entry.is_booked for entry in once(list(entries), ())[0])


def _count(entry: Transaction, booked: defaultdict[tuple[date, str], Decimal]) -> None:
    if entry.is_booked:
        booked[entry.day, entry.currency] += entry.amount


class AccountReader:
    """Reads the accounts of one connection in one run."""

    def __init__(self, run: JobRun, access: Access) -> None:
        self._run = run
        self._access = access

    async def read(self, account: BankAccount, window: Window, *, cursor: str | None, today: date) -> AccountRead:
        """Return what the bank says, complete or as far as it came.

        A period that the bank rejects is asked for again, shorter, and a delta that became void is begun anew; each
        attempt is an access of its own.
        """
        read = AccountRead(asked=window, window=window, cursor=cursor, today=today)
        restarts = 0
        while True:
            try:
                await self._read_pages(read, account, cursor, begins=restarts == 0 and read.window == window)
            except PeriodRejected as error:
                smaller = shrunk(read.window, today=today, suggested_from=error.suggested_from)
                if smaller is None or read.pages:
                    read.failure = error
                    return read
                read.window = smaller
                continue
            except StartOver as error:
                read.entries.close()
                cursor = error.cursor
                read = AccountRead(asked=window, window=window, cursor=cursor, today=today)
                restarts += 1
                if restarts <= MAX_RESTARTS:
                    continue
                read.failure = error
            except RunInterrupted:
                raise
            except Deferred as wait:
                read.wait_until, read.is_refused = wait.until, wait.is_refused
            except Exception as error:  # what came before it still counts; sync_account decides what it means
                read.failure = error
            return read

    async def read_rest(self, read: AccountRead, account: BankAccount, before: date) -> None:
        """Ask for what a bank has left out of its answer, older than its oldest entry, until an answer is short.

        `read` is whole then; where the bank may not be asked, or fails, it stays as it was.
        """
        full = 0 if read.entries.is_long else _how_many_booked(read.entries)
        while not read.entries.is_long:
            window = Window(read.window.since, before)
            rest = AccountRead(asked=read.asked, window=window, today=read.today, pages=read.pages)
            try:
                await self._read_pages(rest, account, None, begins=False)
            except RunInterrupted:
                raise
            except Exception:  # nothing is lost: these days aren't covered, and the next sync asks for them again
                return
            if not rest.is_complete or rest.is_delta:
                return
            older = [e for e in rest.entries if e.is_booked and e.day <= before]
            if older:  # they have all of the day at which the answer was cut
                read.entries.replace_day(before, older)
                read.rows, read.pages = read.rows + len(older), rest.pages
            oldest = min((entry.day for entry in older), default=before)
            if oldest == before and read.today - before >= SHORTEST_HISTORY:
                read.serves_from = before  # it has no more to tell: what is older isn't gone
                return
            if _how_many_booked(rest.entries) < full or oldest == before:
                read.is_whole = True
                return
            before = oldest

    async def _read_pages(self, read: AccountRead, account: BankAccount, cursor: str | None, *, begins: bool) -> None:
        pages = self._access.transactions(account, read.window, cursor=cursor, begins=begins)
        async with aclosing(pages):
            await self._take(read, pages, account, cursor)

    async def _take(
        self, read: AccountRead, pages: AsyncIterator[Page | Delta], account: BankAccount, cursor: str | None
    ) -> None:
        seen = {cursor} - {None}
        more = False
        async for page in pages:
            self._run.ensure_owned()
            await asyncio.sleep(0)  # pages that are ready at once hold up neither leases nor other jobs
            read.pages += 1
            if isinstance(page, Delta):
                read.is_delta = True
                read.add((*page.added, *page.modified), account)
                read.removed.extend(page.removed)
                more, read.cursor = page.has_more, page.cursor
                continue
            read.add(page.transactions, account)
            more = page.cursor is not None
            if more and (page.cursor in seen or read.pages >= MAX_PAGES):
                raise MalformedData("the bank's continuation never ends", scope=Scope.TRANSACTIONS)
            seen.add(page.cursor)
        if not read.pages:  # nothing to say: of a bank that tells changes it proves no absence
            read.is_delta = self._access.capabilities.delta
        read.is_complete = not more
        if more:
            raise MalformedData("the bank's pages ended before the last one", scope=Scope.TRANSACTIONS)
