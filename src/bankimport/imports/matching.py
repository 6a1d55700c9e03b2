"""Which reported entry is which stored row: each is claimed at most once, strongest evidence first (banking.md §4.3).

    1  strong id, amount and date agree         (who is reported unchanged first: ids that came back name several)
    -  the very same content                    (before it only ids whose texts don't conflict, after it the others,
                                                which a cut read doesn't believe)
    1  strong id, amount or date agrees         refused when neither does; a booked row never becomes pending again
                                                (and while no row that stands where it stands would be missing)
    2  explicit link to the pending entry
    3  same date, amount, currency and matching text
    4  moved by at most 3 days, matching text
    5  same date, amount, currency
    6  moved by at most 3 days, weaker text
    -  neighbours that moved in step             (`chains`)
    7  pending to booked: exact amount and currency, booked within -1 to +14 days, no conflicting counterparty
    -  nobody's: inserted

Equal content goes before an id that only half agrees, because banks re-issue ids in blocks (docs/decisions/0011): the
row that is reported unchanged keeps its place, and only what is left over may have been changed. Tiers 3 to 7 claim
only rows that the read proves absent otherwise. Money before text: every tier from 3 on is within one amount and
currency.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from bankimport.imports.chains import move_up
from bankimport.imports.evidence import BOOKED, MOVED, SAME, pair_by_money
from bankimport.imports.extent import Extent, Reading
from bankimport.imports.identity import content, strong_keys
from bankimport.imports.keys import order, place
from bankimport.imports.likeness import Likeness, compare, wording
from bankimport.imports.names import (
    Named,
    id_may_claim,
    is_other_kind,
    is_same_money,
    is_stale_form,
    link_may_claim,
    may_become,
    rows_by_name,
    rows_linked,
    rows_named,
)
from bankimport.imports.swaps import swap_back
from bankimport.imports.unchanged import set_unchanged_aside
from bankimport.models import RowStatus, StoredTransaction, Transaction, TransactionStatus

_BOOKED: Final = TransactionStatus.BOOKED
_MOVES: Final = range(-MOVED, MOVED + 1)


@dataclass(slots=True)
class Claims:
    """Who is whom so far: pairs by evidence, entries that need nothing, and what nobody claimed."""

    by_id: list[tuple[Transaction, StoredTransaction]] = field(default_factory=list)
    by_content: list[tuple[Transaction, StoredTransaction]] = field(default_factory=list)
    incoming: list[Transaction] = field(default_factory=list)
    stored: list[StoredTransaction] = field(default_factory=list)


def claim_exact(incoming: Sequence[Transaction], stored: Sequence[StoredTransaction], extent: Extent) -> Claims:
    """Claim what has hardly changed, in linear time: tier 1 where all agrees, then the very same content.

    Both compare equal days only, so days may be handed in chunk by chunk.
    """
    claims = Claims()
    if not stored:
        claims.incoming = list(incoming)
        return claims
    incoming, taken = set_unchanged_aside(incoming, stored)
    named = rows_by_name(stored) if incoming else {}
    changed = [entry for entry in incoming if not _claim_by_name(entry, named, taken, claims, _says_the_same)]
    left = [
        entry
        for entry in changed
        if not _is_stale(entry, named) and not _claim_by_name(entry, named, taken, claims, _reads_alike)
    ]
    same: dict[tuple[object, ...], list[StoredTransaction]] = {}
    if left:
        left.sort(key=order)  # of two alike, the one without an id first: the other may have a row of its own
        for row in stored:
            if row.id not in taken and row.status is not RowStatus.REMOVED:
                same.setdefault(content(row.transaction, row.status is RowStatus.BOOKED), []).append(row)
    for entry in left:
        rows = None
        if entry.status is not TransactionStatus.CANCELLED and not (extent is Extent.DELTA and strong_keys(entry)):
            rows = same.get(content(entry, entry.status is _BOOKED))
        if rows:
            row = rows.pop()
            taken.add(row.id)
            claims.by_content.append((entry, row))
        else:
            claims.incoming.append(entry)
    if extent is not Extent.INCOMPLETE:  # another's name under an id: the id was given to another, or both changed
        claims.incoming = [e for e in claims.incoming if not _claim_by_name(e, named, taken, claims, _agrees)]
    claims.stored = [row for row in stored if row.id not in taken]
    return claims


def _claim_by_name(
    entry: Transaction,
    named: Named,
    taken: set[str],
    claims: Claims,
    agree: Callable[[Transaction, StoredTransaction], bool],
) -> bool:
    for key in strong_keys(entry):
        for row in named.get(key, ()):
            if row.id not in taken and agree(entry, row) and may_become(entry, row) and not _was_booked(entry, row):
                taken.add(row.id)
                claims.by_id.append((entry, row))
                return True
    return False


def _was_booked(entry: Transaction, row: StoredTransaction) -> bool:
    """Whether it waits for `claim_rest`: a booked row of another day may have the id too, and has moved rather."""
    return entry.status is _BOOKED and is_other_kind(entry, row)


def _is_stale(entry: Transaction, named: Named) -> bool:
    return entry.status is not _BOOKED and any(is_stale_form(entry, row) for row in rows_named(entry, named))


def _agrees(entry: Transaction, row: StoredTransaction) -> bool:
    kept = row.transaction
    return entry.day == kept.day and entry.amount == kept.amount and entry.currency == kept.currency


def _reads_alike(entry: Transaction, row: StoredTransaction) -> bool:
    return _agrees(entry, row) and compare(wording(entry), wording(row.transaction))[0] is not Likeness.CONFLICTING


def _says_the_same(entry: Transaction, row: StoredTransaction) -> bool:
    kept = row.transaction
    return (
        _agrees(entry, row)
        and (entry.status is _BOOKED) == (row.status is RowStatus.BOOKED)
        and entry.counterparty_name == kept.counterparty_name
        and entry.counterparty_iban == kept.counterparty_iban
        and entry.remittance == kept.remittance
    )


def claim_rest(left: Claims, reading: Reading) -> Claims:
    """Claim by all weaker evidence what `claim_exact` left over; the answer doesn't depend on any order."""
    if not left.stored and not left.by_content:  # a first import: nobody is there to be claimed
        return Claims(incoming=left.incoming)
    claims = Claims()
    incoming = sorted(left.incoming, key=order)
    stored = sorted(left.stored, key=lambda row: row.id)
    taken: set[str] = set()
    claims.by_id, incoming = swap_back(incoming, left.stored, left.by_content, reading)
    taken.update(row.id for _, row in claims.by_id)
    incoming = _claim_by_id(incoming, stored, reading, taken, claims)
    if reading.extent is Extent.COMPLETE:
        provable = [row for row in stored if row.id not in taken and reading.proves_absence(row)]
        claims.by_content, incoming = pair_by_money(incoming, provable, SAME)
        taken.update(row.id for _, row in claims.by_content)
        incoming = _claim_by_id(incoming, stored, reading, taken, claims)  # those who gave way, to a row now taken
        moved, incoming = move_up(
            incoming, [row for row in provable if row.id not in taken], [left.by_content, claims.by_content]
        )
        claims.by_content += moved
        taken.update(row.id for row in _rows_of(left, claims))
        became, incoming = pair_by_money(incoming, [row for row in provable if row.id not in taken], BOOKED)
        claims.by_content += became
        taken.update(row.id for _, row in became)
    claims.incoming = incoming
    claims.stored = [row for row in stored if row.id not in taken]
    return claims


def _rows_of(*claims: Claims) -> Iterator[StoredTransaction]:
    return (row for each in claims for _, row in each.by_content)


def _claim_by_id(
    incoming: Sequence[Transaction],
    stored: Sequence[StoredTransaction],
    reading: Reading,
    taken: set[str],
    claims: Claims,
) -> list[Transaction]:
    """Tiers 1 and 2: by strong ids, the nearest row where several have had the id; then by links."""
    named = rows_by_name(stored)
    homes: dict[tuple[object, ...], list[StoredTransaction]] = {}
    for row in stored:
        if reading.extent is Extent.INCOMPLETE or reading.proves_absence(row):
            homes.setdefault(place(row.transaction, row.status is RowStatus.BOOKED), []).append(row)

    def by_id(entry: Transaction) -> list[StoredTransaction]:
        rows = {r.id: r for r in rows_named(entry, named) if r.id not in taken and allows(entry, r)}
        return [*rows.values()] if len(rows) == 1 or reading.extent is not Extent.INCOMPLETE else []

    def allows(entry: Transaction, row: StoredTransaction) -> bool:
        """An id that half agrees says less than a row that stands where the entry stands, and would be missing.

        Where it agrees by the day alone, or is further off than rows move, it says less than one of the entry's money
        that may have moved there, too. In a cut read an id that would do for two rows says nothing.
        """
        if not id_may_claim(entry, row, reading):
            return False
        near = abs((entry.day - row.transaction.day).days) <= MOVED
        standing = [0] if near and is_same_money(entry, row) else _MOVES
        return not any(
            home.id not in taken and home is not row and _may_stand(entry, home)
            for days in standing
            for home in homes.get(place(entry, entry.status is _BOOKED, days), ())
        )

    def by_link(entry: Transaction) -> list[StoredTransaction]:
        return [row for row in rows_linked(entry, named) if row.id not in taken and link_may_claim(entry, row)]

    return _claim_nearest(_claim_nearest(incoming, taken, claims, by_id), taken, claims, by_link)


def _claim_nearest(
    incoming: Sequence[Transaction],
    taken: set[str],
    claims: Claims,
    rows_of: Callable[[Transaction], Sequence[StoredTransaction]],
) -> list[Transaction]:
    left: list[Transaction] = []
    for entry in incoming:
        rows = rows_of(entry)
        if rows:
            row = min(rows, key=lambda r: (is_other_kind(entry, r), abs((r.transaction.day - entry.day).days), r.id))
            taken.add(row.id)
            claims.by_id.append((entry, row))
        else:
            left.append(entry)
    return left


def _may_stand(entry: Transaction, home: StoredTransaction) -> bool:
    """Where it stands, any text that doesn't conflict will do; a row that moved has to match."""
    like = compare(wording(entry), wording(home.transaction))[0]
    return like is Likeness.MATCHING or (like is Likeness.WEAK and entry.day == home.transaction.day)
