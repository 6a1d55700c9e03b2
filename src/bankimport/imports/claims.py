"""Who is whom so far, while a read is decided."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from bankimport.imports.extent import Reading
from bankimport.imports.pairing import Pair
from bankimport.models import Doubt, DoubtReason, StoredTransaction, Transaction


@dataclass(slots=True)
class Claims:
    """Who is whom so far: pairs, what nobody has claimed, and what was put off. `reading` is what the read proves;
    `cut_before` the first day of an answer that the bank has cut off."""

    reading: Reading
    entries: list[Transaction] = field(default_factory=list)
    rows: list[StoredTransaction] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    doubts: dict[int, Doubt] = field(default_factory=dict)
    cut_before: date | None = None

    def add(self, pairs: Sequence[Pair], *, known: bool = False) -> None:
        """Note pairs: their entries and rows are no longer left over. What is `known` changes nothing."""
        if not known:
            self.pairs += pairs
        entries, rows = {id(entry) for entry, _ in pairs}, {row.id for _, row in pairs}
        self.entries = [entry for entry in self.entries if id(entry) not in entries]
        self.rows = [row for row in self.rows if row.id not in rows]
        for one in entries:
            self.doubts.pop(one, None)

    def put_off(self, entries: Iterable[Transaction], reason: DoubtReason) -> None:
        """Leave entries to a later read."""
        for entry in entries:
            self.doubts[id(entry)] = Doubt(reason, entry.status, entry.day, entry.amount, entry.currency)
        self.entries = [entry for entry in self.entries if id(entry) not in self.doubts]

    def inside(self) -> list[Transaction]:
        """Return the entries left over of the days asked for."""
        return [entry for entry in self.entries if self.reading.asks_for(entry.day)]

    def outside(self) -> list[Transaction]:
        """Return the entries left over of other days."""
        return [entry for entry in self.entries if not self.reading.asks_for(entry.day)]
