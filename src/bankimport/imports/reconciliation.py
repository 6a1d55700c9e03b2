"""Stored rows + what was read -> what to change: never double, never lose. Pure.

`reconcile` is the whole in one call: `Portions` with one portion. A read too large for memory is taken in several.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from bankimport.imports.claims import Claims
from bankimport.imports.evidence import BOOKED_AFTER
from bankimport.imports.extent import MISSING_LIMIT, Extent, Reading
from bankimport.imports.matching import is_unchanged
from bankimport.imports.pairing import Pair
from bankimport.imports.worth import Worth
from bankimport.models import (
    BankId,
    IdKey,
    Memory,
    Money,
    RowStatus,
    StoredTransaction,
    Transaction,
    TransactionStatus,
    Window,
)
from bankimport.ports import ChangeSet, RowMark, RowUpdate

#: Rows so far outside of what was read may still be meant: a pending one is booked up to 14 days later.
MARGIN: Final = timedelta(days=BOOKED_AFTER + 1)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a read changes and teaches.

    `cut_before`: the bank has cut its answer off, and what was asked for before this day has not been answered
    (`date.max`: nothing has). `unsure` are the days of rows that were missing for the first time.
    """

    change_set: ChangeSet
    memory: Memory = field(default_factory=Memory)
    cut_before: date | None = None
    unsure: frozenset[date] = frozenset()


def window_to_load(window: Window, first: date | None, last: date | None) -> Window:
    """Return the days whose stored rows take part: the window, what was reported outside of it, and a margin."""
    since = window.since if first is None else min(window.since, first)
    since = since - MARGIN if since > date.min + MARGIN else date.min
    if window.until is None:
        return Window(since)
    until = window.until if last is None else max(window.until, last)
    return Window(since, until + MARGIN if until < date.max - MARGIN else None)


def is_live(entry: Transaction, reading: Reading, worth: Worth) -> bool:
    """Return whether an entry that is no row becomes one: of the days asked for, and of a read that was cut short only
    under an id that is believed."""
    if entry.status is TransactionStatus.CANCELLED:
        return False
    if reading.extent is Extent.DELTA:
        return True
    known = reading.extent is Extent.COMPLETE or any(worth.is_believed(ns) for ns, _ in entry.names)
    return known and reading.asks_for(entry.day)


def insertable(claims: Claims, worth: Worth) -> list[Transaction]:
    """Return the entries that nobody claimed and that become new rows.

    An incomplete read inserts only ids never seen, and none that a stored row of its amount might be: that row's own
    report may be on a page that wasn't read.
    """
    live = [entry for entry in claims.entries if is_live(entry, claims.reading, worth)]
    if claims.reading.extent is not Extent.INCOMPLETE:
        return live
    seen: set[IdKey] = {key for row in claims.rows for key in row.names}
    days: defaultdict[Money, list[date]] = defaultdict(list)
    for row in claims.rows:
        days[row.money].append(row.day)
    return [
        entry
        for entry in live
        if seen.isdisjoint(entry.names)
        and not any(-BOOKED_AFTER <= (entry.day - day).days <= BOOKED_AFTER for day in days[entry.money])
    ]


def changes_of(pairs: Iterable[Pair]) -> list[RowUpdate | RowMark]:
    """Return what the rows of these pairs become."""
    changes = (_change(entry, row) for entry, row in pairs)
    return [change for change in changes if change is not None]


def marks_of(unclaimed: Iterable[StoredTransaction], reading: Reading, removed: Collection[BankId]) -> list[RowMark]:
    """Return the marks of rows that the bank no longer shows, or says are gone."""
    gone = {bank_id.key for bank_id in removed}

    def mark(row: StoredTransaction) -> RowMark | None:
        if gone and any(bank_id.key in gone for bank_id in row.transaction.ids):
            return _end(row)
        return _miss(row) if reading.proves_absence(row) else None

    return [found for found in map(mark, unclaimed) if found is not None]


def _change(entry: Transaction, row: StoredTransaction) -> RowUpdate | RowMark | None:
    """Return what a claimed row becomes; None when the report says what is stored."""
    if entry.status is TransactionStatus.CANCELLED:
        return None if row.status is RowStatus.REMOVED else RowMark(row.id, RowStatus.REMOVED, row.missing_at_bank)
    status = RowStatus.BOOKED if entry.is_booked else RowStatus.PENDING
    if status is row.status and not row.missing_at_bank and is_unchanged(entry, row.transaction):
        return None
    return RowUpdate(row.id, status, entry)


def _miss(row: StoredTransaction) -> RowMark | None:
    """A pending row missing from a second complete read is soft-removed; a booked one is flagged, never deleted."""
    if row.status is RowStatus.REMOVED or row.missing_at_bank >= MISSING_LIMIT:
        return None
    missing = row.missing_at_bank + 1
    over = row.status is RowStatus.PENDING and missing >= MISSING_LIMIT
    return RowMark(row.id, RowStatus.REMOVED if over else row.status, missing)


def _end(row: StoredTransaction) -> RowMark | None:
    """The bank says that the row is gone: a pending one ends at once, a booked one is flagged."""
    if row.is_booked:
        return None if row.missing_at_bank else RowMark(row.id, RowStatus.BOOKED, 1)
    return None if row.status is RowStatus.REMOVED else RowMark(row.id, RowStatus.REMOVED, row.missing_at_bank)
