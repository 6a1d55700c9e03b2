"""What a read proves: only a completely read window proves absence (banking.md §4.2)."""

from dataclasses import dataclass
from enum import Enum

from bankimport.imports.identity import AliasKey, key_of
from bankimport.models import RowStatus, StoredTransaction, Window


class Extent(Enum):
    """What a read proves. Only a completely read window proves absence (banking.md §4.2)."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    DELTA = "delta"


@dataclass(frozen=True, slots=True)
class Reading:
    """The window that was read, and how completely. `unreadable` are the ids of entries that were reported and could
    not be read: their rows are not gone."""

    window: Window
    extent: Extent = Extent.COMPLETE
    unreadable: frozenset[AliasKey] = frozenset()

    def proves_absence(self, row: StoredTransaction) -> bool:
        """Return whether the row would have been reported if it still existed as it is stored.

        A pending row from before an open window counts too: banks list what is pending now, whatever its date.
        """
        if self.extent is not Extent.COMPLETE:
            return False
        if self.unreadable and any(key_of(bank_id) in self.unreadable for bank_id in row.transaction.ids):
            return False
        day, window = row.transaction.day, self.window
        if day < window.since:
            return window.until is None and row.status is not RowStatus.BOOKED
        return window.until is None or day <= window.until
