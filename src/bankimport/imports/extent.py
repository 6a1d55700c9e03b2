"""What a read proves: only a completely read window proves absence, and its edge proves less."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Final

from bankimport.models import IdKey, StoredTransaction, Window

#: so many days a row may move from one read to the next
MOVED: Final = 3
_EDGE: Final = timedelta(days=MOVED)
#: `missing_at_bank` counts up to here: one more complete read that lacks a row changes nothing
MISSING_LIMIT: Final = 2


class Extent(Enum):
    """How far a read came."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    DELTA = "delta"


@dataclass(frozen=True, slots=True)
class Reading:
    """The window that was read, and how completely.

    `unreadable` are the ids of entries that were reported and could not be read: their rows are not gone.
    `is_whole`: the bank was asked for what is older than its oldest entry, too.
    """

    window: Window
    extent: Extent = Extent.COMPLETE
    unreadable: frozenset[IdKey] = frozenset()
    is_whole: bool = False

    def asks_for(self, day: date) -> bool:
        """Return whether the day is one of those asked for."""
        return self.window.holds(day)

    def is_edge(self, day: date) -> bool:
        """Return whether the day is asked for, and a row there may have come from outside or gone there."""
        since, until = self.window.since, self.window.until
        return self.asks_for(day) and (day - since < _EDGE or (until is not None and until - day < _EDGE))

    def takes_part(self, row: StoredTransaction) -> bool:
        """Return whether the row would have been reported if the bank still had it: one of the days asked for, or
        pending, since banks list all that is pending now, whatever its date."""
        if self.window.until is None and not row.is_booked:
            return True
        return self.asks_for(row.day)

    def proves_absence(self, row: StoredTransaction) -> bool:
        """Return whether the bank no longer has the row as it is stored, now that no entry is it."""
        if self.extent is not Extent.COMPLETE or not self.takes_part(row):
            return False
        if row.is_booked and self.is_edge(row.day):
            return False
        return not (self.unreadable and any(bank_id.key in self.unreadable for bank_id in row.transaction.ids))
