"""How strongly ids, money, days and text speak for an entry being a row: the one table of evidence.

Money before text: but for a believed id, everything is within one amount and currency, and text only orders
candidates. The phases follow each other, and each claims only what those before it have left over:

    own        a believed id with its money, up to 14 days off; or of its own pending row, whatever the amount
    likely     equal content, an id with its money, the same day or up to 3 days off with matching text
    weaker     the same day whatever the text, up to 3 days off with a text that doesn't conflict
    corrected  a believed id of the same day: the bank has changed the amount
    far        up to 14 days off, matching text
    became     a pending row booked 1 day before to 14 days after it
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from bankimport.imports.extent import MOVED, Reading
from bankimport.imports.likeness import Likeness, Wording, compare, is_truncated, wording
from bankimport.models import IdKey, RowStatus, StoredTransaction, Transaction, TransactionStatus

FAR: Final = 14
BOOKED_BEFORE: Final = -1
BOOKED_AFTER: Final = 14


class Phase(Enum):
    """When evidence counts: the head of this module."""

    OWN = "own"
    LIKELY = "likely"
    WEAKER = "weaker"
    CORRECTED = "corrected"
    FAR = "far"
    BECAME = "became"


#: how many days an entry may lie after its row, by phase
REACH: Final = {
    Phase.LIKELY: (-MOVED, MOVED),
    Phase.WEAKER: (-MOVED, MOVED),
    Phase.FAR: (-FAR, FAR),
    Phase.BECAME: (BOOKED_BEFORE, BOOKED_AFTER),
}


class Rank(NamedTuple):
    """What speaks for a pair. Of the pairings of one phase with the most pairs, the one of the least cost is meant."""

    phase: Phase
    cost: int


#: the costs within a phase; equal content costs nothing, and hardly more where a text is truncated
TRUNCATED: Final = 1
_ID: Final = 1_000_000
_SAME_DAY: Final = 2_000_000
_MOVED: Final = 3_000_000
_WORST_TEXT: Final = 1_000
_DAY: Final = 2
#: a row that its user has deleted is taken after those that are shown, one that has ended or is missing after all
DELETED: Final = 30_000_000
ENDED: Final = 100_000_000
#: a cancelled entry after a pending one
_CANCELLED: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Side:
    """An entry or a row, with what comparing it needs. `ids` are those that say something here."""

    transaction: Transaction
    words: Wording
    is_booked: bool
    ids: frozenset[IdKey]
    penalty: int = 0

    @property
    def content(self) -> tuple[object, ...]:
        """What two reports of one entry have in common when nothing changed between them but the spelling."""
        t = self.transaction
        return self.is_booked, t.day, t.amount, t.currency, self.words.spelling


def side_of_entry(entry: Transaction, ids: frozenset[IdKey] = frozenset()) -> Side:
    """Return a reported entry as a side."""
    penalty = _CANCELLED if entry.status is TransactionStatus.CANCELLED else 0
    return Side(entry, wording(entry), entry.is_booked, ids, penalty)


def side_of_row(row: StoredTransaction, ids: frozenset[IdKey] = frozenset()) -> Side:
    """Return a stored row as a side."""
    ended = row.status is RowStatus.REMOVED or row.missing_at_bank > 0
    penalty = ENDED if ended else DELETED if row.deleted_by_user else 0
    return Side(row.transaction, wording(row.transaction), row.is_booked, ids, penalty)


def rank(entry: Side, row: Side) -> Rank | None:
    """Return the strongest evidence for an entry being a row of the same money; None for none."""
    days = (entry.transaction.day - row.transaction.day).days
    like, score = compare(entry.words, row.words)
    text = round((1 - score) * _WORST_TEXT)
    near = _DAY * abs(days) + (days < 0)  # banks move rows to later days rather than to earlier ones
    phase, cost = None, 0
    if entry.is_booked and not row.is_booked:
        if BOOKED_BEFORE <= days <= BOOKED_AFTER and like is not Likeness.CONFLICTING:
            phase, cost = Phase.BECAME, text * 100 + near
    elif entry.is_booked == row.is_booked:
        if days == 0 and entry.words.spelling == row.words.spelling:
            phase = Phase.LIKELY
        elif days == 0 and is_truncated(entry.words, row.words):
            phase, cost = Phase.LIKELY, TRUNCATED
        elif abs(days) <= FAR and like is not Likeness.CONFLICTING and not entry.ids.isdisjoint(row.ids):
            phase, cost = Phase.LIKELY, _ID + text * 100 + near
        elif abs(days) <= MOVED and like is Likeness.MATCHING:
            phase, cost = Phase.LIKELY, (_MOVED if days else _SAME_DAY) + text * 100 + near
        elif days == 0 or (abs(days) <= MOVED and like is Likeness.WEAK):
            phase, cost = Phase.WEAKER, (_MOVED if days else _SAME_DAY) + text * 100 + near
        elif abs(days) <= FAR and like is Likeness.MATCHING:
            phase, cost = Phase.FAR, near * _WORST_TEXT + text
    return None if phase is None else Rank(phase, cost + entry.penalty + row.penalty)


def rank_own(entry: Transaction, row: StoredTransaction, reading: Reading) -> Rank | None:
    """Return the evidence of a believed id of the entry that the row has had; None for none."""
    if row.is_booked and not entry.is_booked:
        return None  # a booked row never becomes pending again
    if compare(wording(entry), wording(row.transaction))[0] is Likeness.CONFLICTING:
        return None
    days = (entry.day - row.day).days
    near = _DAY * abs(days) + (days < 0)
    if entry.is_booked and not row.is_booked:
        own = BOOKED_BEFORE <= days <= BOOKED_AFTER
        return Rank(Phase.OWN, _MOVED + near) if own and reading.takes_part(row) else None
    if entry.money == row.money:
        reach = FAR if reading.takes_part(row) else MOVED
        return Rank(Phase.OWN, near) if abs(days) <= reach else None
    return Rank(Phase.CORRECTED, near) if days == 0 else None


def is_stale(entry: Transaction, row: StoredTransaction) -> bool:
    """Return whether a pending entry whose id names this booked row is its pending form: the bank lists it still."""
    return row.is_booked and may_become(entry, row.transaction)


def may_become(pending: Transaction, lasting: Transaction) -> bool:
    """Return whether the day and the text allow an entry to be the pending form of another of the same id."""
    near = BOOKED_BEFORE <= (lasting.day - pending.day).days <= BOOKED_AFTER
    return near and compare(wording(pending), wording(lasting))[0] is not Likeness.CONFLICTING
