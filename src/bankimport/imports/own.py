"""Claims by a bank's own ids and links, where its ids are believed. They never give way to other evidence."""

from collections.abc import Collection, Iterator
from typing import Final

from bankimport.imports.claims import Claims
from bankimport.imports.evidence import Phase, Rank, is_stale, rank_own
from bankimport.imports.extent import Extent
from bankimport.imports.identity import key_of, strong_keys
from bankimport.imports.likeness import wording
from bankimport.imports.pairing import Pair
from bankimport.imports.worth import Named, Worth
from bankimport.models import RowStatus, StoredTransaction, Transaction, TransactionStatus

_BOOKED: Final = TransactionStatus.BOOKED


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
    for key in strong_keys(entry):
        if delta or worth.is_believed(key[0]):
            for row in named.get(key, ()):
                yield row, _delta_rank(entry, row) if delta else rank_own(entry, row, claims.reading)
    for row in () if entry.link is None else named.get(key_of(entry.link), ()):
        if row.status is not RowStatus.BOOKED:
            yield row, rank_own(entry, row, claims.reading)


def _delta_rank(entry: Transaction, row: StoredTransaction) -> Rank | None:
    """Of a bank that tells changes, its ids say all."""
    if row.status is RowStatus.BOOKED and entry.status is not _BOOKED:
        return None
    return Rank(Phase.OWN, abs((entry.day - row.transaction.day).days))


def _stands_inside(entry: Transaction, claims: Claims, taken: Collection[str]) -> bool:
    """Return whether an equal row stands where the entry stands: a row before the window is not what it is, then."""
    if claims.reading.extent is Extent.DELTA:
        return False
    spelling = wording(entry).spelling
    return any(
        (row.transaction.day, row.transaction.amount, row.transaction.currency)
        == (entry.day, entry.amount, entry.currency)
        and row.id not in taken
        and (row.status is RowStatus.BOOKED) == (entry.status is _BOOKED)
        and wording(row.transaction).spelling == spelling
        for row in claims.rows
    )


def _is_unsure(
    entry: Transaction, row: StoredTransaction, claims: Claims, named: Named, taken: Collection[str]
) -> bool:
    """Return whether a read that was cut short may mean another row: of another money, of the same id, or nearer."""
    if claims.reading.extent is not Extent.INCOMPLETE:
        return False
    kept = row.transaction
    if (entry.amount, entry.currency) != (kept.amount, kept.currency):
        return True
    if any(len(named.get(key, ())) > 1 for key in strong_keys(entry)):
        return True
    off = abs((entry.day - kept.day).days)
    return any(
        (other.transaction.amount, other.transaction.currency) == (entry.amount, entry.currency)
        and abs((entry.day - other.transaction.day).days) < off
        and other.id not in taken
        for other in claims.rows
    )


def corrected(claims: Claims, named: Named, worth: Worth) -> list[Pair]:
    """Return the pairs of which a believed id of the same day says that the bank has changed the amount."""
    pairs: list[Pair] = []
    free = {row.id for row in claims.rows}
    for entry in claims.inside():
        keys = [key for key in strong_keys(entry) if worth.is_believed(key[0])]
        for row in (row for key in keys for row in named.get(key, ()) if row.id in free):
            rank = rank_own(entry, row, claims.reading)
            if rank is not None and rank.phase is Phase.CORRECTED:
                free.discard(row.id)
                pairs.append((entry, row))
                break
    return pairs
