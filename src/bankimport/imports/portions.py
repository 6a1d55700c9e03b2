"""Reconciling a read, whole or portion by portion of its days where it is too large for memory. Pure.

Within a portion what is unchanged is set aside, and what has no ids is counted off where nothing of its money is left
over on one side. What remains, few entries and rows, is decided together at the end.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from bankimport.imports.extent import Extent, Reading
from bankimport.imports.matching import CONTENT, match, set_unchanged_aside
from bankimport.imports.pairing import Pair, order
from bankimport.imports.reconciliation import Decision, changes_of, insertable, is_live, marks_of
from bankimport.imports.repeats import once
from bankimport.imports.worth import Worth, rows_by_name, shared_before
from bankimport.models import BankId, IdQuality, Memory, RowStatus, StoredTransaction, Transaction, Window
from bankimport.ports import ChangeSet, NewRow, RowMark, RowUpdate

NewId = Callable[[], str]


def reconcile(
    reading: Reading,
    transactions: Sequence[Transaction],
    stored: Sequence[StoredTransaction],
    *,
    new_id: NewId,
    memory: Memory | None = None,
    removed: Collection[BankId] = (),
) -> Decision:
    """Return what the read changes in the stored rows, and teaches; the same whatever the order of either.

    `stored` are the rows of `window_to_load`, and those that any strong id or link of `transactions` names. `memory` is
    what earlier reads have taught. `removed` are the ids that a delta says are gone. `new_id` gives ids for new rows.
    """
    memory = memory or Memory()
    entries, shared = once(transactions, shared_before(memory.worth))
    portions = Portions(reading, memory, shared)
    left = portions.take(entries, stored, None)
    found = portions.conclude(left, (), removed)
    new = sorted([*found.new, *filter(found.is_new, left)], key=order)
    return found.decision([NewRow(new_id(), entry) for entry in new])


def wandering_ids(entries: Iterable[Transaction]) -> list[BankId]:
    """Return the ids that may name a row of another day already in a portion: of what isn't booked."""
    ids = (bank_id for entry in entries if not entry.is_booked for bank_id in entry.ids)
    return [bank_id for bank_id in ids if bank_id.quality is IdQuality.STRONG]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a read changes and teaches. `new` are the entries that some row might have been, and `is_new` tells of all
    others whether they are new; `memory`, `cut_before` and `unsure` as in `Decision`."""

    new: list[Transaction]
    is_new: Callable[[Transaction], bool]
    changes: list[RowUpdate | RowMark]
    memory: Memory
    cut_before: date | None
    unsure: frozenset[date]

    def decision(self, inserts: Collection[NewRow]) -> Decision:
        """Return all of it, with the rows that are new."""
        updates = [each for each in self.changes if isinstance(each, RowUpdate)]
        marks = [each for each in self.changes if isinstance(each, RowMark)]
        return Decision(ChangeSet(inserts, updates, marks), self.memory, self.cut_before, self.unsure)


class Portions:
    """One read, as far as it is decided."""

    def __init__(self, reading: Reading, memory: Memory, shared: Iterable[str]) -> None:
        self._reading, self._memory = reading, memory
        self._worth = Worth(memory.worth, shared)
        self._changes: list[RowUpdate | RowMark] = []
        self._rows: list[StoredTransaction] = []
        self._oldest: date | None = None

    def take(
        self, entries: Sequence[Transaction], stored: Sequence[StoredTransaction], days: Window | None
    ) -> list[Transaction]:
        """Set what is unchanged on these days aside, and return the entries left over.

        `stored` are the rows of the days (None: all there are), and those that `wandering_ids` name.
        """
        booked = {entry.day for entry in entries if entry.is_booked}
        oldest = min(filter(self._reading.asks_for, booked), default=None)
        if oldest is not None and (self._oldest is None or oldest < self._oldest):
            self._oldest = oldest
        left, rows = set_unchanged_aside(entries, stored, self._worth)
        if self._reading.extent is Extent.COMPLETE:
            left, rows = self._count_off(left, rows)
        self._rows += [row for row in rows if days is None or days.holds(row.day)]
        return left

    def _count_off(
        self, entries: list[Transaction], rows: list[StoredTransaction]
    ) -> tuple[list[Transaction], list[StoredTransaction]]:
        """Pair what is equal in content and has no ids, where nothing else of that money is left over on one side."""
        equal: defaultdict[tuple[object, ...], list[StoredTransaction]] = defaultdict(list)
        for row in rows:
            if row.is_booked and not row.missing_at_bank and not row.transaction.ids:
                equal[CONTENT(row.transaction)].append(row)
        if not equal:
            return entries, rows
        pairs: list[Pair] = []
        left: list[Transaction] = []
        for entry in entries:
            plain = entry.is_booked and not entry.ids and not entry.may_repeat
            same = equal.get(CONTENT(entry)) if plain and entry.link is None else None
            if same:
                pairs.append((entry, same.pop()))
            else:
                left.append(entry)
        taken = {row.id for _, row in pairs}
        rows = [row for row in rows if row.id not in taken]
        open_money = {e.money for e in left} & {row.money for row in rows}
        settled = [each for each in pairs if each[0].money not in open_money]
        unsettled = [each for each in pairs if each[0].money in open_money]
        self._changes += changes_of(settled)
        return left + [entry for entry, _ in unsettled], rows + [row for _, row in unsettled]

    def conclude(
        self, left: Iterable[Transaction], outside: Iterable[StoredTransaction], removed: Collection[BankId] = ()
    ) -> Conclusion:
        """Decide the rest.

        `outside` are the rows of days that no portion had, which ids or links of `left` name.
        """
        rows = [*self._rows, *outside]
        named = rows_by_name(rows)
        money = {row.money for row in rows}

        def may_meet(entry: Transaction) -> bool:
            """Whether more has to be known of the entry than that it is live, to call it new."""
            if entry.money in money or entry.may_repeat or not self._reading.asks_for(entry.day):
                return True
            if entry.link is not None and entry.link.key in named:
                return True
            return bool(named) and any(key in named for key in entry.names)

        entries = [entry for entry in left if may_meet(entry)]
        for entry in entries:
            self._worth.count(entry, named)
        claims = match(entries, rows, self._reading, self._worth, doubts=self._memory.doubts, oldest=self._oldest)
        missing = marks_of(claims.rows, claims.reading, removed)
        self._changes += [*changes_of(claims.pairs), *missing]
        first_time = {mark.id for mark in missing if mark.status is RowStatus.BOOKED and mark.missing_at_bank == 1}
        unsure = frozenset(row.day for row in claims.rows if row.id in first_time)
        memory = replace(self._memory, worth=self._worth.after())
        if claims.reading.extent is Extent.COMPLETE:
            memory = replace(memory, doubts=tuple(claims.doubts.values()))

        def is_new(entry: Transaction) -> bool:
            return not may_meet(entry) and is_live(entry, claims.reading, self._worth)

        new = insertable(claims, self._worth)
        return Conclusion(new, is_new, self._changes, memory, claims.cut_before, unsure)


def portions_of(days: Window, counted: Iterable[tuple[Window, int]], size: int) -> Iterator[Window]:
    """Cut `days` into windows that touch and hold about `size` entries each; `counted` says how many are where."""
    since, held = days.since, 0
    for part, count in counted:
        if held and held + count > size and part.since > since:
            until = part.since.fromordinal(part.since.toordinal() - 1)
            yield Window(since, until)
            since, held = part.since, 0
        held += count
    yield Window(since, days.until)
