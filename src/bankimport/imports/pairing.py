"""The matching of one phase: entries and rows of one money, as many pairs as the evidence allows, the strongest first.

Entries (and rows) that are equal in content and in the ids that say something are one node with a count. Equal content
is paired at once; only where something is left over on both sides are edges made, one by one, as the search comes.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Final, TypeVar

from bankimport.imports.assignment import Assignment
from bankimport.imports.evidence import REACH, TRUNCATED, Phase, Side, rank, side_of_entry, side_of_row
from bankimport.models import IdKey, Money, StoredTransaction, Transaction, TransactionStatus

Pair = tuple[Transaction, StoredTransaction]
T = TypeVar("T", Transaction, StoredTransaction)
#: with more candidates than this, an entry is compared with those of its spelling and with so many of the nearest
_CANDIDATES: Final = 64
_KINDS: Final = {TransactionStatus.BOOKED: 0, TransactionStatus.PENDING: 1, TransactionStatus.CANCELLED: 2}


def order(t: Transaction) -> tuple[object, ...]:
    """Return its place in an order of entries that is the same whatever the order of the pages; of equal ones what may
    be a repeat comes last."""
    texts = t.counterparty_name or "", t.counterparty_iban or "", t.remittance or ""
    return _KINDS[t.status], t.day, t.currency, t.amount, texts, sorted(i.key for i in t.ids), t.may_repeat


def pair(
    phase: Phase,
    entries: Iterable[Transaction],
    rows: Iterable[StoredTransaction],
    doubted: frozenset[str] = frozenset(),
    *,
    only_equal: bool = False,
) -> list[Pair]:
    """Return the pairs of this phase. `doubted` are the namespaces whose ids are not believed: they say a little.
    `only_equal` leaves all evidence but equal content aside."""
    asking: defaultdict[tuple[Money, bool], list[Transaction]] = defaultdict(list)
    groups: defaultdict[tuple[Money, bool], list[StoredTransaction]] = defaultdict(list)
    for row in rows:
        groups[row.money, row.is_booked].append(row)
    for entry in entries:
        key = entry.money, entry.is_booked and phase is not Phase.BECAME
        if key in groups:
            asking[key].append(entry)
    return [
        found
        for key, group in asking.items()
        for found in _Group(phase, group, groups[key], doubted, only_equal=only_equal).pairs()
    ]


class _Group:
    """Entries and rows of one money."""

    def __init__(
        self,
        phase: Phase,
        entries: Sequence[Transaction],
        rows: Sequence[StoredTransaction],
        doubted: frozenset[str],
        *,
        only_equal: bool,
    ) -> None:
        self._phase, self._only_equal = phase, only_equal
        ours = {key for row in rows for key in row.names if key[0] in doubted} if doubted else set()
        ids = frozenset(key for entry in entries for key in entry.names if key in ours) if ours else frozenset()
        self._entries, self._entry_sides = _nodes(
            (side_of_entry(entry, ids.intersection(entry.names) if ids else ids), entry) for entry in entries
        )
        self._rows, self._row_sides = _nodes(
            (side_of_row(row, ids.intersection(row.names) if ids else ids), row) for row in rows
        )
        self._days = [side.transaction.day for side in self._row_sides]
        self._entry_days = [side.transaction.day for side in self._entry_sides]
        self._by_spelling: defaultdict[object, list[int]] = defaultdict(list)
        self._by_id: defaultdict[IdKey, list[int]] = defaultdict(list)
        for at, side in enumerate(self._row_sides):
            self._by_spelling[side.words.spelling].append(at)
            for key in side.ids:
                self._by_id[key].append(at)

    def pairs(self) -> Iterator[Pair]:
        """Yield the pairs: of the same nodes, whichever entries and rows."""
        supply, demand = list(map(len, self._entries)), list(map(len, self._rows))
        paired = self._equal(supply, demand) if self._phase is Phase.LIKELY else {}
        left = sum(supply) - sum(paired.values()), sum(demand) - sum(paired.values())
        if all(left):
            paired = Assignment(supply, demand, self._edges, paired).solve()
        entries, rows = [node[::-1] for node in self._entries], [list(node) for node in self._rows]
        for (entry, row), units in sorted(paired.items()):
            for _ in range(units):
                yield entries[entry].pop(), rows[row].pop()

    def _equal(self, supply: Sequence[int], demand: Sequence[int]) -> dict[tuple[int, int], int]:
        """Pair what is equal in content, before all others what has an id in common as well."""
        rows: defaultdict[object, list[int]] = defaultdict(list)
        for at, side in enumerate(self._row_sides):
            if not side.penalty:
                rows[side.content].append(at)
        left, free = list(supply), list(demand)
        paired: dict[tuple[int, int], int] = {}
        for by_id in (True, False):
            for entry, side in enumerate(self._entry_sides):
                if side.penalty:
                    continue
                for row in rows.get(side.content, ()):
                    units = min(left[entry], free[row])
                    if units and not (by_id and side.ids.isdisjoint(self._row_sides[row].ids)):
                        paired[entry, row] = paired.get((entry, row), 0) + units
                        left[entry] -= units
                        free[row] -= units
        return paired

    def _edges(self, entry: int) -> list[tuple[int, int]]:
        side = self._entry_sides[entry]
        edges = []
        for at in self._candidates(entry, side):
            found = rank(side, self._row_sides[at])
            equal = found is not None and found.cost - self._row_sides[at].penalty <= TRUNCATED
            if found is not None and found.phase is self._phase and (equal or not self._only_equal):
                edges.append((at, found.cost))
        return edges

    def _candidates(self, entry: int, side: Side) -> Iterable[int]:
        day, (before, after) = side.transaction.day, REACH[self._phase]
        low, high = self._at(day, -after), self._at(day, 1 - before)
        named = {at for key in side.ids for at in self._by_id[key]}
        if high - low <= _CANDIDATES:
            return sorted(named.union(range(low, high))) if named else range(low, high)
        # of many on one day each entry looks at others, or they would all want the same few
        middle = self._at(day, 0) + entry - bisect_left(self._entry_days, day)
        middle = max(low, min(middle, high - _CANDIDATES // 2))
        nearest = range(max(low, middle - _CANDIDATES // 2), min(high, middle + _CANDIDATES // 2))
        alike = (at for at in self._by_spelling[side.words.spelling] if low <= at < high)
        return sorted(named.union(nearest, alike))

    def _at(self, day: date, days: int) -> int:
        """Return the first row node on or after a day that many days later."""
        try:
            return bisect_left(self._days, day + timedelta(days=days))
        except OverflowError:
            return 0 if days < 0 else len(self._days)


def _nodes(items: Iterable[tuple[Side, T]]) -> tuple[list[list[T]], list[Side]]:
    """Return the items by node, in an order that is always the same, and the side of each node."""
    nodes: dict[tuple[object, ...], list[T]] = {}
    sides: dict[tuple[object, ...], Side] = {}
    for side, item in items:
        key = (side.transaction.day, side.words.spelling, side.penalty, tuple(sorted(side.ids)))
        nodes.setdefault(key, []).append(item)
        sides[key] = side
    keys = sorted(nodes)
    return [sorted(nodes[key], key=_place) for key in keys], [sides[key] for key in keys]


def _place(item: Transaction | StoredTransaction) -> tuple[object, ...]:
    return (item.id,) if isinstance(item, StoredTransaction) else order(item)
