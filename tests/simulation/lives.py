"""One account over the days, through the pure decision: rows in a dictionary, coverage, and a day that stands still."""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta

from bankimport.imports import (
    Decision,
    Extent,
    Reading,
    automatic_window,
    covered,
    reconcile,
    window_to_load,
)
from bankimport.imports.repeats import marked, once
from bankimport.jobs.read_account import SHORTEST_HISTORY
from bankimport.models import (
    Memory,
    ReportedTransaction,
    RowStatus,
    StoredTransaction,
    Transaction,
    TransactionStatus,
    Window,
)
from bankimport.ports import ChangeSet
from bankimport.reading import Quarantined, read_transaction

Booked = Counter[tuple[date, object, str]]
Answer = Callable[[Window], Sequence[Sequence[ReportedTransaction]]]
NOTHING = Memory()
HISTORY = timedelta(days=90)


class Rows:
    """Stored rows as the store's contract has them. An id that came back used names every row that has had it."""

    def __init__(self) -> None:
        self.by_id: dict[str, StoredTransaction] = {}
        self.aliases: dict[tuple[str, str], set[str]] = {}
        self.numbers = itertools.count()

    def new_id(self) -> str:
        return f"row-{next(self.numbers):06}"

    def load(self, window: Window, entries: Sequence[Transaction]) -> list[StoredTransaction]:
        named = {row_id for entry in entries for key in entry.names for row_id in self.aliases.get(key, ())}
        return [row for row in self.by_id.values() if row.id in named or window.holds(row.day)]

    def apply(self, change: ChangeSet) -> None:
        for new in change.inserts:
            self._put(StoredTransaction(new.id, RowStatus(new.transaction.status.value), new.transaction))
        for update in change.updates:
            kept = self.by_id[update.id].transaction
            ids = {i.key: i for i in (*kept.ids, *update.transaction.ids)}
            transaction = dataclasses.replace(update.transaction, ids=tuple(ids.values()))
            self._put(StoredTransaction(update.id, update.status, transaction, update.missing_at_bank))
        for mark in change.marks:
            row = self.by_id[mark.id]
            self.by_id[mark.id] = dataclasses.replace(row, status=mark.status, missing_at_bank=mark.missing_at_bank)

    def _put(self, row: StoredTransaction) -> None:
        self.by_id[row.id] = row
        for bank_id in row.transaction.ids:
            self.aliases.setdefault(bank_id.key, set()).add(row.id)

    def booked(self, *, missing: bool = True) -> Booked:
        """The booked rows; without the `missing` ones, those that the bank still shows."""
        rows = (row for row in self.by_id.values() if row.is_booked)
        return Counter(
            (r.day, r.transaction.amount, r.transaction.currency) for r in rows if missing or not r.missing_at_bank
        )


def decide(
    window: Window,
    pages: Sequence[Sequence[Transaction]],
    stored: Sequence[StoredTransaction],
    *,
    new_id: Callable[[], str],
    cut: bool = False,
    memory: Memory = NOTHING,
    is_whole: bool = False,
) -> Decision:
    """The decision about one read."""
    reading = Reading(window, Extent.INCOMPLETE if cut else Extent.COMPLETE, is_whole=is_whole)
    return reconcile(reading, paged(pages), stored, new_id=new_id, memory=memory)


class Life:
    """One account at one bank: what is stored of it, what was covered, and which day it is."""

    def __init__(self, today: date) -> None:
        self.today = today
        self.rows = Rows()
        self.memory = Memory()

    def window(self) -> Window:
        """The days that a planned sync asks for now."""
        return automatic_window(self.memory, today=self.today, max_history=HISTORY)

    def sync(self, *pages: Sequence[ReportedTransaction], window: Window | None = None, cut: bool = False) -> ChangeSet:
        """Store what the bank answers, page by page; a `cut` read broke off after these pages."""
        window = window or self.window()
        return self._keep(window, self._decide(window, pages, cut=cut), cut=cut)

    def turn(self, answer: Answer, *, window: Window | None = None, cut_after: int | None = None) -> None:
        """Ask the bank for a window, and for the rest of an answer that it cut off; store what it answers. The read
        breaks off after `cut_after` pages."""
        window = window or self.window()
        pages = answer(window)[:cut_after]
        decision = self._decide(window, pages, cut=cut_after is not None)
        if decision.cut_before is not None and decision.cut_before < date.max and cut_after is None:
            pages, is_whole = self._with_rest(answer, window, pages, decision.cut_before)
            decision = self._decide(window, pages, is_whole=is_whole)
        self._keep(window, decision, cut=cut_after is not None)

    def _with_rest(
        self, answer: Answer, window: Window, pages: Sequence[Sequence[ReportedTransaction]], before: date
    ) -> tuple[Sequence[Sequence[ReportedTransaction]], bool]:
        """What the job's reader does: ask for what is older until an answer is short; return all, and whether it is."""
        full = _how_many_booked(pages)
        while True:
            rest = answer(Window(window.since, before))
            older = [[e for e in page if _is_booked(e) and read(e).day <= before] for page in rest]
            if any(older):  # they have all of the day at which the answer was cut
                kept = [[e for e in page if not _is_booked(e) or read(e).day != before] for page in pages]
                pages = [*kept, *older]
            oldest = min((read(entry).day for page in older for entry in page), default=before)
            if oldest == before and self.today - before >= SHORTEST_HISTORY:
                self.memory = dataclasses.replace(self.memory, history=self.today - before)
                return pages, False
            if _how_many_booked(rest) < full or oldest == before:
                return pages, True
            before = oldest

    def _decide(
        self,
        window: Window,
        pages: Sequence[Sequence[ReportedTransaction]],
        *,
        cut: bool = False,
        is_whole: bool = False,
    ) -> Decision:
        entries = [[read(entry) for entry in page] for page in pages]
        seen = [entry.day for page in entries for entry in page]
        days = window_to_load(window, min(seen, default=None), max(seen, default=None))
        stored = self.rows.load(days, [entry for page in entries for entry in page])
        return decide(window, entries, stored, new_id=self.rows.new_id, cut=cut, memory=self.memory, is_whole=is_whole)

    def _keep(self, window: Window, decision: Decision, *, cut: bool) -> ChangeSet:
        self.rows.apply(decision.change_set)
        self.memory = decision.memory
        if not cut:
            asked = window if decision.cut_before is None else Window(decision.cut_before, window.until)
            self.memory = covered(self.memory, asked, self.today, decision.unsure)
        return decision.change_set

    def tomorrow(self, *bank: ReportedTransaction, days: int = 1) -> ChangeSet:
        """Let days pass and sync with a bank that honours the window: one page, and all that is pending."""
        self.today += timedelta(days=days)
        return self.ask(bank)

    def ask(self, bank: Iterable[ReportedTransaction]) -> ChangeSet:
        """Sync with a bank that honours the window."""
        return self.sync(shown(bank, self.window()))

    def live(self) -> Booked:
        """The booked rows that the bank still shows."""
        return self.rows.booked(missing=False)

    def all(self) -> list[StoredTransaction]:
        """Every row ever stored, by day."""
        return sorted(self.rows.by_id.values(), key=lambda row: (row.day, row.id))


def shown(bank: Iterable[ReportedTransaction], window: Window) -> list[ReportedTransaction]:
    """What a bank that honours the window answers of all that it has."""
    pending = TransactionStatus.PENDING
    return [entry for entry in bank if entry.status is pending or window.holds(read(entry).day)]


def booked_of(entries: Iterable[ReportedTransaction]) -> Booked:
    """What should be stored of an honest answer: day, amount and currency of what is booked, each as often."""
    transactions = [read(entry) for entry in entries]
    return Counter((t.day, t.amount, t.currency) for t in transactions if t.status is TransactionStatus.BOOKED)


def paged(pages: Iterable[Sequence[Transaction]]) -> list[Transaction]:
    """The entries of a read as the job hands them on: with their pages, and marked where a page may repeat another."""
    entries: list[Transaction] = []
    before: list[Transaction] = []
    for number, page in enumerate(pages, 1):
        here = [dataclasses.replace(entry, page=number) for entry in page]
        entries += marked(here, before)
        before = here
    return entries


def _how_many_booked(pages: Sequence[Sequence[ReportedTransaction]]) -> int:
    entries, _ = once(paged([[read(entry) for entry in page] for page in pages]), ())
    return sum(entry.status is TransactionStatus.BOOKED for entry in entries)


def _is_booked(entry: ReportedTransaction) -> bool:
    return entry.status is TransactionStatus.BOOKED


def read(entry: ReportedTransaction) -> Transaction:
    """The entry as it is read."""
    transaction = read_transaction(entry, "EUR")
    assert not isinstance(transaction, Quarantined)
    return transaction
