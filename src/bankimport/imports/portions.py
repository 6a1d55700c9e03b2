"""Reconciling a read too large for memory, portion by portion of its days, with the outcome of `reconcile`. Pure.

What has hardly changed is claimed within each portion, since both exact kinds of claim compare equal days only. Kept
are the rows that nobody claimed and the claims by content, which may still be swapped or moved up; of the entries left
over only those that may be one of these rows are decided together, and all the others are new.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal

from bankimport.imports.extent import Extent, Reading
from bankimport.imports.identity import AliasKey, key_of, strong_keys
from bankimport.imports.matching import Claims, claim_exact, claim_rest
from bankimport.imports.reconciliation import changes, insertable
from bankimport.models import BankId, IdQuality, StoredTransaction, Transaction, TransactionStatus, Window
from bankimport.ports import RowMark, RowUpdate


def within(days: Window, row: StoredTransaction) -> bool:
    """Return whether a row's day is one of these."""
    return days.since <= row.transaction.day and (days.until is None or row.transaction.day <= days.until)


def wandering_ids(entries: Iterable[Transaction]) -> list[BankId]:
    """Return the ids that may name a row of another day already while exact claims are made: of what isn't booked."""
    return [
        bank_id
        for entry in entries
        if entry.status is not TransactionStatus.BOOKED
        for bank_id in entry.ids
        if bank_id.quality is IdQuality.STRONG
    ]


class Portions:
    """The claims of one read so far."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._updates: list[RowUpdate] = []
        self._marks: list[RowMark] = []
        self._open = Claims()
        self._unclaimed: list[StoredTransaction] = []

    def take(
        self, entries: Sequence[Transaction], stored: Sequence[StoredTransaction], days: Window
    ) -> list[Transaction]:
        """Claim what has hardly changed on these days, and return the entries left over.

        `stored` are the rows of the days, and those that `wandering_ids` name.
        """
        exact = claim_exact(entries, stored, self._reading.extent)
        self._unclaimed += [row for row in exact.stored if within(days, row)]
        self._open.by_content += exact.by_content
        self._note(changes(self._reading, [Claims(by_id=exact.by_id)], ()))
        return exact.incoming

    def conclude(
        self, left: Iterable[Transaction], outside: Iterable[StoredTransaction]
    ) -> tuple[list[Transaction], Callable[[Transaction], bool], list[RowUpdate], list[RowMark]]:
        """Decide the rest. Return the new entries among those that some row might have been, what tells all the
        other new entries of `left`, and every update and mark.

        `outside` are the rows of days that no portion had, which ids or links of `left` name.
        """
        rows = [*self._unclaimed, *outside]
        named = {key for row in rows for key in strong_keys(row.transaction)}
        named.update(key for _, row in self._open.by_content for key in strong_keys(row.transaction))
        money = {(row.transaction.amount, row.transaction.currency) for row in rows}
        self._open.stored = rows
        self._open.incoming = [entry for entry in left if _may_meet(entry, named, money)]
        rest = claim_rest(self._open, self._reading)
        self._note(changes(self._reading, [self._open, rest], rest.stored))
        needs_id = self._reading.extent is Extent.INCOMPLETE

        def is_new(entry: Transaction) -> bool:
            live = entry.status is not TransactionStatus.CANCELLED and not (needs_id and not strong_keys(entry))
            return live and not _may_meet(entry, named, money)

        return insertable(rest, self._reading), is_new, self._updates, self._marks

    def _note(self, changed: tuple[list[RowUpdate], list[RowMark]]) -> None:
        updates, marks = changed
        self._updates += updates
        self._marks += marks


def _may_meet(entry: Transaction, named: set[AliasKey], money: set[tuple[Decimal, str]]) -> bool:
    """Return whether any evidence but equal content may speak for the entry being one of the rows."""
    if (entry.amount, entry.currency) in money or (entry.link is not None and key_of(entry.link) in named):
        return True
    return bool(named) and any(key in named for key in strong_keys(entry))


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
