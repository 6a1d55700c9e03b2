"""Neighbours that moved in step: one stands now where an equal one stood, so that the outermost seem lost and new.

Of two equal purchases on the 8th and the 10th that the bank moves to the 6th and the 8th, the one now on the 8th claims
the row of the 8th by its content. Left over are a row of the 10th and an entry of the 6th, too far apart to be one.
Both find their place when the claim between them moves up by one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from bankimport.imports.evidence import MOVED, Pair
from bankimport.imports.likeness import Likeness, compare, wording
from bankimport.models import RowStatus, StoredTransaction, Transaction, TransactionStatus

_BOOKED: Final = TransactionStatus.BOOKED
#: so many claims of one amount and day are looked at; they are equal, or nearly
_ENOUGH: Final = 16

Spot = tuple[Decimal, str, date]
#: which of the lists of claims, and where in it
Claim = tuple[int, int]


def move_up(
    incoming: Sequence[Transaction], stored: Iterable[StoredTransaction], claimed: Sequence[list[Pair]]
) -> tuple[list[Pair], list[Transaction]]:
    """Return the pairs found by moving a claim up, and the entries left over; `claimed` is changed in place.

    `stored` are rows that the read proves absent. Only booked entries and rows with matching texts take part.
    """
    rows: defaultdict[Spot, list[StoredTransaction]] = defaultdict(list)
    for row in stored:
        if row.status is RowStatus.BOOKED:
            rows[_spot(row.transaction)].append(row)
    monies = {spot[:2] for spot in rows} & {(e.amount, e.currency) for e in incoming if e.status is _BOOKED}
    if not monies:
        return [], list(incoming)
    between = _claims_of(monies, claimed)
    found: list[Pair] = []
    left: list[Transaction] = []
    for entry in incoming:
        way = next(_ways(entry, rows, between, claimed), None) if entry.status is _BOOKED else None
        if way is None:
            left.append(entry)
            continue
        which, at, row = way
        taker, home = claimed[which][at]
        claimed[which][at] = (taker, row)
        rows[_spot(row.transaction)].remove(row)
        between[_spot(home.transaction)].remove((which, at))
        found.append((entry, home))
    return found, left


def _claims_of(monies: set[tuple[Decimal, str]], claimed: Sequence[list[Pair]]) -> defaultdict[Spot, list[Claim]]:
    between: defaultdict[Spot, list[Claim]] = defaultdict(list)
    for which, pairs in enumerate(claimed):
        for at, (entry, row) in enumerate(pairs):
            if entry.status is _BOOKED and row.status is RowStatus.BOOKED and (entry.amount, entry.currency) in monies:
                between[_spot(row.transaction)].append((which, at))
    return between


def _ways(
    entry: Transaction,
    rows: dict[Spot, list[StoredTransaction]],
    between: dict[Spot, list[Claim]],
    claimed: Sequence[list[Pair]],
) -> Iterator[tuple[int, int, StoredTransaction]]:
    """Yield each claim whose row the entry could have, with the row that its taker could have instead."""
    for spot in _near(entry):
        for which, at in between.get(spot, ())[:_ENOUGH]:
            taker, home = claimed[which][at]
            if not _alike(entry, home):
                continue
            for other in _near(taker):
                for row in rows.get(other, ())[:_ENOUGH]:
                    if _alike(taker, row):
                        yield which, at, row


def _spot(t: Transaction) -> Spot:
    return t.amount, t.currency, t.day


def _near(t: Transaction) -> Iterator[Spot]:
    """Yield where an equal row may have stood, the nearest first."""
    for days in sorted(range(-MOVED, MOVED + 1), key=abs):
        yield t.amount, t.currency, t.day + timedelta(days=days)


def _alike(entry: Transaction, row: StoredTransaction) -> bool:
    return compare(wording(entry), wording(row.transaction))[0] is Likeness.MATCHING
