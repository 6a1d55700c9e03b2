"""Who is whom so far, while a read is decided; and what is claimed first, by a bank's own ids and links, where its ids
are believed: such claims never give way to other evidence."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from bankimport.imports.evidence import Phase, Rank, is_stale, rank_own, side_of_entry, side_of_row
from bankimport.imports.extent import Extent, Reading
from bankimport.imports.pairing import Pair
from bankimport.imports.worth import Named, Worth
from bankimport.models import Doubt, DoubtReason, StoredTransaction, Transaction, TransactionStatus


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


def claim_own(claims: Claims, named: Named, worth: Worth) -> list[Transaction]:
    """Claim by ids that are believed and by links, the nearest first; and drop the pending form of what is booked.

    Return the ambiguous entries: their id names a row before the window, and an equal row stands where they do.
    """
    reading = claims.reading
    found: list[tuple[bool, int, int, StoredTransaction]] = []
    settled: set[int] = set()
    for at, entry in enumerate(claims.entries):
        for row, rank in _ranked(entry, claims, named, worth):
            if rank is not None and rank.phase is Phase.OWN:
                found.append((not reading.takes_part(row), rank.cost, at, row))
            elif entry.status is TransactionStatus.PENDING and is_stale(entry, row):
                settled.add(at)
    pairs: list[Pair] = []
    taken: set[str] = set()
    ambiguous: list[Transaction] = []
    for outside, _, at, row in sorted(found, key=lambda each: (*each[:3], each[3].id)):
        entry = claims.entries[at]
        if at in settled or row.id in taken:
            continue
        if outside and _stands_inside(entry, claims, taken):
            ambiguous.append(entry)
            continue
        if _is_unsure(entry, row, claims, named, taken):
            continue
        taken.add(row.id)
        settled.add(at)
        pairs.append((entry, row))
    claims.entries = [entry for at, entry in enumerate(claims.entries) if at not in settled]
    claims.add(pairs)
    return ambiguous


def _ranked(
    entry: Transaction, claims: Claims, named: Named, worth: Worth
) -> Iterator[tuple[StoredTransaction, Rank | None]]:
    """Yield the rows that the entry's believed ids and its link name, with what speaks for them."""
    delta = claims.reading.extent is Extent.DELTA
    for key in entry.names:
        if delta or worth.is_believed(key[0]):
            for row in named.get(key, ()):
                yield row, _delta_rank(entry, row) if delta else rank_own(entry, row, claims.reading)
    for row in () if entry.link is None else named.get(entry.link.key, ()):
        if not row.is_booked:
            yield row, rank_own(entry, row, claims.reading)


def _delta_rank(entry: Transaction, row: StoredTransaction) -> Rank | None:
    """Of a bank that tells changes, its ids say all."""
    if row.is_booked and not entry.is_booked:
        return None
    return Rank(Phase.OWN, abs((entry.day - row.day).days))


def _stands_inside(entry: Transaction, claims: Claims, taken: Collection[str]) -> bool:
    """Return whether an equal row stands where the entry stands: a row before the window is not what it is, then."""
    if claims.reading.extent is Extent.DELTA:
        return False
    content = side_of_entry(entry).content
    same = (row for row in claims.rows if (row.day, row.money) == (entry.day, entry.money) and row.id not in taken)
    return any(side_of_row(row).content == content for row in same)


def _is_unsure(
    entry: Transaction, row: StoredTransaction, claims: Claims, named: Named, taken: Collection[str]
) -> bool:
    """Return whether a read that was cut short may mean another row: of another money, of the same id, or nearer."""
    if claims.reading.extent is not Extent.INCOMPLETE:
        return False
    if entry.money != row.money:
        return True
    if any(len(named.get(key, ())) > 1 for key in entry.names):
        return True
    off = abs(entry.day - row.day)
    return any(
        each.money == entry.money and abs(entry.day - each.day) < off and each.id not in taken for each in claims.rows
    )


def corrected(claims: Claims, named: Named, worth: Worth) -> list[Pair]:
    """Return the pairs of which a believed id of the same day says that the bank has changed the amount."""
    pairs: list[Pair] = []
    free = {row.id for row in claims.rows}
    for entry in claims.inside():
        keys = [key for key in entry.names if worth.is_believed(key[0])]
        for row in (row for key in keys for row in named.get(key, ()) if row.id in free):
            rank = rank_own(entry, row, claims.reading)
            if rank is not None and rank.phase is Phase.CORRECTED:
                free.discard(row.id)
                pairs.append((entry, row))
                break
    return pairs
