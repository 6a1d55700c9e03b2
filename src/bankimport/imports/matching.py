"""Which reported entry is which stored row: each is claimed at most once, strongest evidence first (banking.md §4.3).

    1  strong id, amount and date agree         (of two that conflict, what is reported unchanged was meant)
    -  the very same content
    1  strong id, amount or date agrees         refused when neither does; a booked row never becomes pending again
    2  explicit link to the pending entry
    3  same date, amount, currency and matching text
    4  moved by at most 3 days, matching text
    5  same date, amount, currency
    6  moved by at most 3 days, weaker text
    7  pending to booked: exact amount and currency, booked within -1 to +14 days, no conflicting counterparty
    -  nobody's: inserted

Equal content goes before an id that only half agrees, because banks re-issue ids in blocks: the row that is reported
unchanged keeps its place, and only what is left over may have been changed. Tiers 3 to 7 claim only rows that the
read proves absent otherwise. Money before text: every tier from 3 on is within one amount and currency.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from bankimport.imports.evidence import BOOKED_AFTER, KIND_ORDER, MOVED, pair_by_money
from bankimport.imports.identity import AliasKey, key_of, strong_keys
from bankimport.imports.likeness import Likeness, compare, wording
from bankimport.models import RowStatus, StoredTransaction, Transaction, TransactionStatus, Window

_BOOKED: Final = TransactionStatus.BOOKED


class Extent(Enum):
    """What a read proves. Only a completely read window proves absence (banking.md §4.2)."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    DELTA = "delta"


@dataclass(frozen=True, slots=True)
class Reading:
    """The window that was read, and how completely."""

    window: Window
    extent: Extent = Extent.COMPLETE

    def proves_absence(self, row: StoredTransaction) -> bool:
        """Return whether the row would have been reported if it still existed as it is stored.

        A pending row from before an open window counts too: banks list what is pending now, whatever its date.
        """
        if self.extent is not Extent.COMPLETE:
            return False
        day, window = row.transaction.day, self.window
        if day < window.since:
            return window.until is None and row.status is not RowStatus.BOOKED
        return window.until is None or day <= window.until


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
    named = _named(stored)
    taken: set[str] = set()
    left = [entry for entry in incoming if not _claim_unchanged(entry, named, taken, claims)]
    same: dict[tuple[object, ...], list[StoredTransaction]] = {}
    if left:
        for row in stored:
            if row.id not in taken and row.status is not RowStatus.REMOVED:
                same.setdefault(_content(row.transaction, row.status is RowStatus.BOOKED), []).append(row)
    for entry in left:
        rows = None
        if entry.status is not TransactionStatus.CANCELLED and not (extent is Extent.DELTA and strong_keys(entry)):
            rows = same.get(_content(entry, entry.status is _BOOKED))
        if rows:
            row = rows.pop()
            taken.add(row.id)
            claims.by_content.append((entry, row))
        else:
            claims.incoming.append(entry)
    claims.stored = [row for row in stored if row.id not in taken]
    return claims


def _claim_unchanged(
    entry: Transaction, named: dict[AliasKey, StoredTransaction], taken: set[str], claims: Claims
) -> bool:
    for key in strong_keys(entry):
        row = named.get(key)
        if row is None or row.id in taken:
            continue
        kept = row.transaction
        agrees = entry.day == kept.day and entry.amount == kept.amount and entry.currency == kept.currency
        if agrees and (entry.status is _BOOKED or row.status is not RowStatus.BOOKED):
            taken.add(row.id)
            claims.by_id.append((entry, row))
            return True
    return False


def claim_rest(left: Claims, reading: Reading) -> Claims:
    """Claim by all weaker evidence what `claim_exact` left over; the answer doesn't depend on any order."""
    if not left.stored and not left.by_content:  # a first import: nobody is there to be claimed
        return Claims(incoming=left.incoming)
    claims = Claims()
    incoming = sorted(left.incoming, key=_order)
    stored = sorted(left.stored, key=lambda row: row.id)
    taken: set[str] = set()
    incoming = _claim_by_swap(incoming, left, reading, taken, claims)
    incoming = _claim_by_id(incoming, stored, reading, taken, claims)
    if reading.extent is Extent.COMPLETE:
        provable = [row for row in stored if row.id not in taken and reading.proves_absence(row)]
        claims.by_content, incoming = pair_by_money(incoming, provable)
        taken.update(row.id for _, row in claims.by_content)
    claims.incoming = incoming
    claims.stored = [row for row in stored if row.id not in taken]
    return claims


def _claim_by_swap(
    incoming: Sequence[Transaction], left: Claims, reading: Reading, taken: set[str], claims: Claims
) -> list[Transaction]:
    """Undo a claim by content where ids tell better: a neighbour moved onto the day that an equal row has left.

    The entry gets the row of its own id back if the one who took it has a free row of its own id to go to.
    """
    taker = {row.id: at for at, (_, row) in enumerate(left.by_content)}
    named = _named(row for _, row in left.by_content) if incoming else {}
    free = _named(left.stored) if named else {}
    remaining: list[Transaction] = []
    for entry in incoming:
        swapped = False
        for row in _rows_named(entry, named):
            at = taker[row.id]
            other = left.by_content[at][0]
            home = next((r for r in _rows_named(other, free) if r.id not in taken), None)
            swapped = home is not None and _id_may_claim(entry, row, reading) and _id_may_claim(other, home, reading)
            swapped = swapped and (entry.status is _BOOKED) == (other.status is _BOOKED)
            if swapped and home is not None:
                left.by_content[at] = (entry, row)
                taken.add(home.id)
                claims.by_id.append((other, home))
                break
        if not swapped:
            remaining.append(entry)
    return remaining


def _claim_by_id(
    incoming: Sequence[Transaction],
    stored: Sequence[StoredTransaction],
    reading: Reading,
    taken: set[str],
    claims: Claims,
) -> list[Transaction]:
    """Tiers 1 and 2. A pending entry that names a booked row is its stale form, and needs nothing."""
    named = _named(stored)
    left: list[Transaction] = []
    for entry in incoming:
        row = next((r for r in _rows_named(entry, named) if _id_may_claim(entry, r, reading)), None)
        if row is not None and row.status is RowStatus.BOOKED and entry.status is not _BOOKED:
            continue
        if row is None or row.id in taken:
            left.append(entry)
        else:
            taken.add(row.id)
            claims.by_id.append((entry, row))
    unlinked: list[Transaction] = []
    for entry in left:
        linked = None if entry.link is None else named.get(key_of(entry.link))
        if linked is None or linked.id in taken or not _link_may_claim(entry, linked):
            unlinked.append(entry)
        else:
            taken.add(linked.id)
            claims.by_id.append((entry, linked))
    return unlinked


def _rows_named(entry: Transaction, named: dict[AliasKey, StoredTransaction]) -> Iterable[StoredTransaction]:
    return (named[key] for key in strong_keys(entry) if key in named)


def _id_may_claim(entry: Transaction, row: StoredTransaction, reading: Reading) -> bool:
    """Tier 1. A strong id is refused when neither amount nor date agrees: it came back used."""
    if reading.extent is Extent.DELTA:
        return True
    kept = row.transaction
    if entry.day == kept.day:
        agrees = True
    else:
        agrees = entry.amount == kept.amount and entry.currency == kept.currency
        if agrees and not reading.proves_absence(row):  # a weekly payment of one amount under a re-used id
            limit = MOVED if row.status is RowStatus.BOOKED else BOOKED_AFTER
            agrees = abs((entry.day - kept.day).days) <= limit
    if agrees and reading.extent is Extent.INCOMPLETE:
        return compare(wording(entry), wording(kept))[0] is not Likeness.CONFLICTING
    return agrees


def _link_may_claim(entry: Transaction, row: StoredTransaction) -> bool:
    """Tier 2. A link names the pending form; to a booked row it must agree in amount or date."""
    kept = row.transaction
    if row.status is not RowStatus.BOOKED:
        return entry.currency == kept.currency
    return entry.status is _BOOKED and (entry.amount == kept.amount or entry.day == kept.day)


def _named(stored: Iterable[StoredTransaction]) -> dict[AliasKey, StoredTransaction]:
    return {key: row for row in stored for key in strong_keys(row.transaction)}


def _content(t: Transaction, booked: bool) -> tuple[object, ...]:  # noqa: FBT001 - private, and built a million times
    return booked, t.day, t.amount, t.currency, t.counterparty_name, t.counterparty_iban, t.remittance


def _order(t: Transaction) -> tuple[object, ...]:
    """An order of entries that is the same whatever the order of the pages."""
    texts = t.counterparty_name or "", t.counterparty_iban or "", t.remittance or ""
    return KIND_ORDER[t.status], t.day, t.currency, t.amount, texts, sorted(map(key_of, t.ids))
