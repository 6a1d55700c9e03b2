"""Stored rows + what was read -> what to change: never double, never lose (banking.md §4). Pure.

`reconcile` is the whole in one call. A read too large for memory is taken in three steps with the same outcome:
`matching.claim_exact` for each chunk of days, `matching.claim_rest` over what is left, `changes` over all claims.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, timedelta
from typing import Final

from bankimport.imports.evidence import BOOKED_AFTER, MOVED
from bankimport.imports.extent import Extent, Reading
from bankimport.imports.identity import AliasKey, key_of, strong_keys, tidy
from bankimport.imports.matching import Claims, claim_exact, claim_rest
from bankimport.imports.unchanged import is_unchanged
from bankimport.models import BankId, RowStatus, StoredTransaction, Transaction, TransactionStatus, Window
from bankimport.ports import ChangeSet, NewRow, RowMark, RowUpdate

#: Rows so far outside of what was read may still be meant: a pending one is booked up to 14 days later.
MARGIN: Final = timedelta(days=BOOKED_AFTER + 1)
#: `missing_at_bank` counts up to here: one more complete read that lacks a row changes nothing.
MISSING_LIMIT: Final = 2

NewId = Callable[[], str]


def window_to_load(window: Window, first: date | None, last: date | None) -> Window:
    """Return the days whose stored rows take part: the window, what was reported outside of it, and a margin."""
    since = window.since if first is None else min(window.since, first)
    since = since - MARGIN if since > date.min + MARGIN else date.min
    if window.until is None:
        return Window(since)
    until = window.until if last is None else max(window.until, last)
    return Window(since, until + MARGIN if until < date.max - MARGIN else None)


def reconcile(
    reading: Reading,
    transactions: Sequence[Transaction],
    stored: Sequence[StoredTransaction],
    *,
    new_id: NewId,
    removed: Collection[BankId] = (),
) -> ChangeSet:
    """Return what the read changes in the stored rows; the same answer whatever the order of either.

    `stored` are the rows of `window_to_load`, and those that any strong id or link of `transactions` names.
    `removed` are the ids that a delta says are gone. `new_id` gives the ids of new rows.
    """
    exact = claim_exact(tidy(transactions), stored, reading.extent)
    rest = claim_rest(exact, reading)
    inserts = [NewRow(new_id(), entry) for entry in insertable(rest, reading)]
    updates, marks = changes(reading, [exact, rest], rest.stored, removed)
    return ChangeSet(inserts=inserts, updates=updates, marks=marks)


def insertable(rest: Claims, reading: Reading) -> list[Transaction]:
    """Return the entries that nobody claimed and that become new rows.

    An incomplete read inserts only strong ids never seen, and none that a stored row of its amount might be: that
    row's own report may be on a page that wasn't read.
    """
    live = [entry for entry in rest.incoming if entry.status is not TransactionStatus.CANCELLED]
    if reading.extent is not Extent.INCOMPLETE:
        return live
    seen: set[AliasKey] = {key for row in rest.stored for key in strong_keys(row.transaction)}
    days: dict[tuple[object, str], list[date]] = {}
    for row in rest.stored:
        days.setdefault((row.transaction.amount, row.transaction.currency), []).append(row.transaction.day)
    return [
        entry
        for entry in live
        if strong_keys(entry)
        and not seen.intersection(strong_keys(entry))
        and not _may_be_stored(entry.day, days.get((entry.amount, entry.currency), ()))
    ]


def _may_be_stored(day: date, days: Iterable[date]) -> bool:
    return any(-MOVED <= (day - stored).days <= BOOKED_AFTER for stored in days)


def changes(
    reading: Reading,
    claims: Iterable[Claims],
    unclaimed: Iterable[StoredTransaction],
    removed: Collection[BankId] = (),
) -> tuple[list[RowUpdate], list[RowMark]]:
    """Return the updates and marks of what was claimed, and of what the bank no longer shows."""
    updates: list[RowUpdate] = []
    marks: list[RowMark] = []
    for claimed in claims:
        by_content = [] if reading.extent is Extent.INCOMPLETE else claimed.by_content
        for entry, row in (*claimed.by_id, *by_content):
            change = _change(entry, row)
            if isinstance(change, RowUpdate):
                updates.append(change)
            elif change is not None:
                marks.append(change)
    gone = {key_of(bank_id) for bank_id in removed}
    for row in unclaimed:
        if gone and any(key_of(bank_id) in gone for bank_id in row.transaction.ids):
            mark = _end(row)
        else:
            mark = _miss(row) if reading.proves_absence(row) else None
        if mark is not None:
            marks.append(mark)
    return updates, marks


def _change(entry: Transaction, row: StoredTransaction) -> RowUpdate | RowMark | None:
    """Return what a claimed row becomes; None when the report says what is stored."""
    if entry.status is TransactionStatus.CANCELLED:
        return None if row.status is RowStatus.REMOVED else RowMark(row.id, RowStatus.REMOVED, row.missing_at_bank)
    status = RowStatus.BOOKED if entry.status is TransactionStatus.BOOKED else RowStatus.PENDING
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
    if row.status is RowStatus.BOOKED:
        return None if row.missing_at_bank else RowMark(row.id, RowStatus.BOOKED, 1)
    return None if row.status is RowStatus.REMOVED else RowMark(row.id, RowStatus.REMOVED, row.missing_at_bank)
