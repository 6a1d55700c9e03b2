"""Claims by content undone where ids tell better: a neighbour moved onto the day that an equal row has left.

Of two equal purchases on the 8th and the 10th, the first moves to the 6th and the second to the 8th. By its content the
second gets the row of the first; by their ids each has a row of its own. Or the second stays and has no id: then either
row of two equal ones would do for it, and the one whose id moved is not the one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from bankimport.imports.evidence import Pair
from bankimport.imports.extent import Reading
from bankimport.imports.identity import content
from bankimport.imports.likeness import Likeness, compare, wording
from bankimport.imports.names import Named, id_may_claim, is_same_money, rows_by_name, rows_named
from bankimport.models import RowStatus, StoredTransaction, Transaction, TransactionStatus

_BOOKED: Final = TransactionStatus.BOOKED


class _Free:
    """The rows that nobody claimed so far."""

    def __init__(self, rows: Iterable[StoredTransaction]) -> None:
        rows = [*rows]
        self._named = rows_by_name(rows)
        self._equal: dict[tuple[object, ...], list[StoredTransaction]] = {}
        for row in rows:
            if row.status is not RowStatus.REMOVED:
                booked = row.status is RowStatus.BOOKED
                self._equal.setdefault(content(row.transaction, booked), []).append(row)

    def homes(self, entry: Transaction, reading: Reading) -> Iterator[StoredTransaction]:
        """Yield those that the entry could be as well as the one it took."""
        yield from (row for row in rows_named(entry, self._named) if _may_have_moved(entry, row, reading))
        yield from self._equal.get(content(entry, entry.status is _BOOKED), ())


def swap_back(
    incoming: Sequence[Transaction], stored: Sequence[StoredTransaction], claimed: list[Pair], reading: Reading
) -> tuple[list[Pair], list[Transaction]]:
    """Return the pairs found, and the entries left over; `claimed` (by content) is changed in place.

    An entry gets the row of its own id back if the one who took it has a free row (of `stored`) to go to: of its own
    id, or an equal one.
    """
    taker = {row.id: at for at, (_, row) in enumerate(claimed)}
    named = rows_by_name(row for _, row in claimed) if incoming else {}
    free = _Free(stored if named else ())
    found: list[Pair] = []
    taken: set[str] = set()
    remaining: list[Transaction] = []
    for entry in incoming:
        ways = _swaps(entry, named, free, claimed, taker, reading)
        swap = next((way for way in ways if way[1].id not in taken), None)
        if swap is None:
            remaining.append(entry)
            continue
        row, home = swap
        other, _ = claimed[taker[row.id]]
        claimed[taker[row.id]] = (entry, row)
        found.append((other, home))
        taken.add(home.id)
    return found, remaining


def _swaps(
    entry: Transaction,
    named: Named,
    free: _Free,
    claimed: Sequence[Pair],
    taker: Mapping[str, int],
    reading: Reading,
) -> Iterator[tuple[StoredTransaction, StoredTransaction]]:
    """Yield each row of the entry's own id that is taken, with a row that its taker could have instead."""
    for row in rows_named(entry, named):
        other, _ = claimed[taker[row.id]]
        if (entry.status is _BOOKED) == (other.status is _BOOKED) and _may_have_moved(entry, row, reading):
            yield from ((row, home) for home in free.homes(other, reading))


def _may_have_moved(entry: Transaction, row: StoredTransaction, reading: Reading) -> bool:
    """Whether an id of one money says so: one that half agrees by its day alone was given to another (re-issued).

    So was one whose texts conflict.
    """
    return (
        is_same_money(entry, row)
        and compare(wording(entry), wording(row.transaction))[0] is not Likeness.CONFLICTING
        and id_may_claim(entry, row, reading)
    )
