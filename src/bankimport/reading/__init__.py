"""What banks really write, read strictly: what could mean two things is refused (banking.md §4.12).

`amounts` money and days · `entries` from what a bank reported to a checked entry, or to the reason why not.
"""

from bankimport.reading.amounts import Unreadable
from bankimport.reading.entries import Quarantined, read_transaction

__all__ = ["Quarantined", "Unreadable", "read_transaction"]
