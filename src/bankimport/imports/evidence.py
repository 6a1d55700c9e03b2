"""How strongly money, days and text speak for an entry being a row: tiers 3 to 7 of banking.md §4.3.

Money before text: everything here is within one amount and currency, and text only orders candidates.
"""

from bisect import bisect_left
from collections.abc import Container, Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from bankimport.imports.likeness import Likeness, Wording, compare, wording
from bankimport.models import RowStatus, StoredTransaction, Transaction, TransactionStatus

MOVED: Final = 3
BOOKED_BEFORE: Final = -1
BOOKED_AFTER: Final = 14
#: The same entry, as it stands or moved; and a pending one that was booked.
SAME: Final = range(3, 7)
BOOKED: Final = range(7, 8)
#: so many comparisons within one amount are made in full; above, only the nearest days are compared
_FULL: Final = 40_000
_NEAREST: Final = 32

_BOOKED: Final = TransactionStatus.BOOKED
#: booked before pending before cancelled
KIND_ORDER: Final = {_BOOKED: 0, TransactionStatus.PENDING: 1, TransactionStatus.CANCELLED: 2}

Pair = tuple[Transaction, StoredTransaction]


def pair_by_money(
    incoming: Sequence[Transaction], stored: Iterable[StoredTransaction], tiers: Container[int]
) -> tuple[list[Pair], list[Transaction]]:
    """Return the pairs of these tiers, each entry and row in at most one, and the entries left over."""
    groups: dict[tuple[Decimal, str], list[StoredTransaction]] = {}
    for row in stored:
        groups.setdefault((row.transaction.amount, row.transaction.currency), []).append(row)
    asking: dict[tuple[Decimal, str], list[int]] = {}
    for index, entry in enumerate(incoming):
        if (entry.amount, entry.currency) in groups:
            asking.setdefault((entry.amount, entry.currency), []).append(index)
    pairs: list[Pair] = []
    answered: set[int] = set()
    taken: set[str] = set()
    for money, indices in asking.items():
        for index, row in _pairs(incoming, indices, groups[money], tiers):
            if index not in answered and row.id not in taken:
                answered.add(index)
                taken.add(row.id)
                pairs.append((incoming[index], row))
    return pairs, [entry for index, entry in enumerate(incoming) if index not in answered]


def _pairs(
    incoming: Sequence[Transaction], indices: Sequence[int], rows: list[StoredTransaction], tiers: Container[int]
) -> list[tuple[int, StoredTransaction]]:
    """Return every pair for which there is evidence, the strongest first."""
    rows = sorted(rows, key=lambda row: (row.transaction.day, row.id))
    words = [wording(row.transaction) for row in rows]
    days = [row.transaction.day for row in rows]
    found: list[tuple[tuple[object, ...], int, int]] = []
    for index in indices:
        entry, entry_words = incoming[index], wording(incoming[index])
        for at in _candidates(entry.day, days, in_full=len(indices) * len(rows) <= _FULL):
            strength = evidence(entry, entry_words, rows[at], words[at])
            if strength is not None and strength[0] in tiers:
                found.append(((*strength, index, at), index, at))
    found.sort()
    return [(index, rows[at]) for _, index, at in found]


def _candidates(day: date, days: Sequence[date], *, in_full: bool) -> range:
    low = bisect_left(days, day - timedelta(days=BOOKED_AFTER))
    high = bisect_left(days, day + timedelta(days=MOVED + 1))
    if in_full or high - low <= 2 * _NEAREST:
        return range(low, high)
    middle = bisect_left(days, day)
    return range(max(low, middle - _NEAREST), min(high, middle + _NEAREST))


def evidence(
    entry: Transaction, entry_words: Wording, row: StoredTransaction, row_words: Wording
) -> tuple[int, int, bool, float, int] | None:
    """Return the rank of the evidence that entry and row, of one amount and currency, are the same; None for none.

    Ranks compare: the tier, booked before pending before cancelled, live rows before ended ones, the better text,
    the nearer day.
    """
    booked = entry.status is _BOOKED
    distance = (entry.day - row.transaction.day).days
    like, score = compare(entry_words, row_words)
    tier = None
    if booked == (row.status is RowStatus.BOOKED):
        if distance == 0:
            tier = 3 if like is Likeness.MATCHING else 5
        elif abs(distance) <= MOVED and like is not Likeness.CONFLICTING:
            tier = 4 if like is Likeness.MATCHING else 6
    elif booked and BOOKED_BEFORE <= distance <= BOOKED_AFTER and like is not Likeness.CONFLICTING:
        tier = 7
    if tier is None or (entry.status is TransactionStatus.CANCELLED and tier > 4):
        return None
    ended = row.status is RowStatus.REMOVED or row.deleted_by_user
    return tier, KIND_ORDER[entry.status], ended, -round(score, 6), abs(distance)
