"""Which reported entry is which stored row: one matching, phase after phase, strongest evidence first.

    unchanged   reported as stored under a believed id: most of every read, so it is found first and quickly
    own         protected: a believed id with its money, or of its own pending row, never gives way
    likely      one maximum matching of what is left, by content, id, day and moves; then `weaker` fills what is left
    the edge    what a row just outside of the window may be is put off once, and the second time it has moved
    far         what is then left over on both sides, up to 14 days apart
    became      pending rows that were booked under another id or none

What the evidence is stands in `evidence`; each entry and each row is in at most one pair, whatever their order.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from operator import attrgetter
from typing import Final

from bankimport.imports.claims import Claims, claim_own, corrected
from bankimport.imports.evidence import Phase, is_stale
from bankimport.imports.extent import MISSING_LIMIT, Extent, Reading
from bankimport.imports.pairing import Pair, order, pair
from bankimport.imports.worth import Worth, rows_by_name
from bankimport.models import (
    Doubt,
    DoubtReason,
    IdQuality,
    RowStatus,
    StoredTransaction,
    Transaction,
    TransactionStatus,
    Window,
)

_STRONG: Final = IdQuality.STRONG
#: what makes two reports of an entry the same to the letter
CONTENT: Final = attrgetter("amount", "day", "currency", "counterparty_name", "counterparty_iban", "remittance")
_DATES: Final = attrgetter("booking_date", "value_date")
_STATUS_OF: Final = {TransactionStatus.BOOKED: RowStatus.BOOKED, TransactionStatus.PENDING: RowStatus.PENDING}
#: so many of the oldest rows absent, and nothing older reported: the bank has cut its answer off
_CUT_OFF: Final = 3


def set_unchanged_aside(
    entries: Sequence[Transaction], rows: Sequence[StoredTransaction], worth: Worth
) -> tuple[list[Transaction], list[StoredTransaction]]:
    """Return the entries that are not reported just as they are stored, and the rows that no entry so repeats. Ids that
    name several rows, or that the past reads don't believe, are left to the matching."""
    named = _named_alone(rows)
    left: list[Transaction] = []
    unchanged: set[str] = set()
    for entry in entries:
        for one in entry.ids:
            if one.quality is _STRONG:
                found = named.get((one.namespace, one.value))
                if found is None or not worth.was_believed(one.namespace):
                    continue
                if found.status is _STATUS_OF.get(entry.status):
                    if found.id not in unchanged and is_unchanged(entry, found.transaction):
                        unchanged.add(found.id)
                        worth.agrees(one.namespace)
                        break
                elif entry.status is TransactionStatus.PENDING and is_stale(entry, found):
                    break
        else:
            left.append(entry)
    return left, [row for row in rows if row.id not in unchanged]


def _named_alone(rows: Iterable[StoredTransaction]) -> dict[tuple[str, str], StoredTransaction | None]:
    named: dict[tuple[str, str], StoredTransaction | None] = {}
    for row in rows:
        for one in row.transaction.ids:
            if one.quality is _STRONG:
                key = one.namespace, one.value
                named[key] = None if key in named or row.missing_at_bank else row
    return named


def is_unchanged(entry: Transaction, kept: Transaction) -> bool:
    """Compare what is kept. A new weak id is no change: some banks make one up for every session."""
    return (
        CONTENT(entry) == CONTENT(kept)
        and entry.booking_date == kept.booking_date
        and entry.value_date == kept.value_date
        and all(one in kept.ids for one in entry.ids if one.quality is _STRONG)
    )


def match(
    entries: Iterable[Transaction],
    rows: Iterable[StoredTransaction],
    reading: Reading,
    worth: Worth,
    *,
    doubts: Iterable[Doubt] = (),
    oldest: date | None = None,
) -> Claims:
    """Return who is whom of what was not unchanged.

    `doubts` are the entries that an earlier read has put off; `oldest` is the first day of all that was reported.
    """
    entries = sorted(entries, key=order)
    claims = Claims(reading, list(entries), sorted(rows, key=lambda row: row.id))
    named = rows_by_name(claims.rows)
    ambiguous = claim_own(claims, named, worth)
    if reading.extent is not Extent.COMPLETE:
        nameless = [e for e in claims.entries if reading.extent is Extent.INCOMPLETE or not e.names]
        claims.add(
            pair(Phase.LIKELY, nameless, claims.rows, only_equal=True), known=reading.extent is Extent.INCOMPLETE
        )
        return claims
    doubted: Counter[tuple[object, ...]] = Counter((d.status, d.day, d.amount, d.currency) for d in doubts)
    claims.put_off([entry for entry in ambiguous if not _take(doubted, entry)], DoubtReason.EDGE)
    repeats = [e for e in claims.entries if e.may_repeat and not e.names and not _take(doubted, e)]
    claims.put_off(repeats, DoubtReason.REPEAT)
    claims.add(_rows_kept(repeats, claims))
    _claim(claims, Phase.LIKELY, frozenset(key[0] for key in named if not worth.is_believed(key[0])))
    claims.add(pair(Phase.LIKELY, claims.outside(), claims.rows, only_equal=True))
    _claim(claims, Phase.WEAKER)
    if not reading.is_whole and (oldest is None or reading.window.since < oldest):
        cut = _cut_off(claims, oldest)
        if cut is not None:
            narrower = _narrowed(reading, oldest)
            again = match(entries, rows, narrower, worth, doubts=doubts, oldest=oldest)
            again.cut_before = cut
            return again
    claims.add(corrected(claims, named, worth))
    _decide_the_edge(claims, doubted)
    _claim(claims, Phase.FAR)
    _claim(claims, Phase.BECAME)
    return claims


def _rows_kept(repeats: Sequence[Transaction], claims: Claims) -> list[Pair]:
    """Return the pairs of what was put off: each with an equal row that no other equal entry has, before any move."""
    if not repeats:
        return []
    put_off = {id(entry) for entry in repeats}
    equal = pair(Phase.LIKELY, [*claims.inside(), *repeats], claims.rows, only_equal=True)
    return [each for each in equal if id(each[0]) in put_off]


def _claim(claims: Claims, phase: Phase, doubted: frozenset[str] = frozenset()) -> None:
    """Claim by the evidence of a phase: entries of the days asked for, and rows that the bank would have reported."""
    reading = claims.reading
    absent = reading.takes_part if phase in (Phase.LIKELY, Phase.WEAKER) else reading.proves_absence
    rows = [row for row in claims.rows if absent(row)]
    claims.add(pair(phase, claims.inside(), rows, doubted))


def _decide_the_edge(claims: Claims, doubted: Counter[tuple[object, ...]]) -> None:
    """Put off once what a row from just outside of the window may be; the second time it has moved."""
    reading = claims.reading
    rows = (row for row in claims.rows if row.is_booked and not row.missing_at_bank)
    outside = [row for row in rows if not reading.takes_part(row)]
    for phase in (Phase.LIKELY, Phase.WEAKER):
        at_edge = [e for e in claims.inside() if e.is_booked and reading.is_edge(e.day)]
        pairs = pair(phase, at_edge, outside)
        claims.add([each for each in pairs if _take(doubted, each[0])])
        claimed = {row.id for _, row in pairs}
        outside = [row for row in outside if row.id not in claimed]
        left = {id(entry) for entry in claims.entries}
        claims.put_off([entry for entry, _ in pairs if id(entry) in left], DoubtReason.EDGE)


def _take(doubted: Counter[tuple[object, ...]], entry: Transaction) -> bool:
    """Return whether the entry was put off before; each time is good for one entry."""
    key = entry.status, entry.day, entry.amount, entry.currency
    if doubted[key] <= 0:
        return False
    doubted[key] -= 1
    return True


def _cut_off(claims: Claims, oldest: date | None) -> date | None:
    """Return the first day of an answer that the bank has cut off: its oldest rows are all absent, three or more, not
    all of them for long, and nothing older is reported."""

    def is_old(row: StoredTransaction) -> bool:
        day = row.day
        return row.is_booked and claims.reading.asks_for(day) and (oldest is None or day <= oldest)

    absent = sorted((row.day, row.missing_at_bank) for row in claims.rows if is_old(row))
    present = min((row.day for _, row in claims.pairs if is_old(row)), default=date.max)
    is_new = any(missing < MISSING_LIMIT for _, missing in absent)
    if len(absent) < _CUT_OFF or present < absent[_CUT_OFF - 1][0] or not is_new:
        return None
    return date.max if oldest is None else oldest


def _narrowed(reading: Reading, oldest: date | None) -> Reading:
    """Return what an answer proves that begins with its oldest entry; without one it proves nothing."""
    if oldest is None:
        return replace(reading, extent=Extent.INCOMPLETE)
    return replace(reading, window=Window(oldest, reading.window.until))
