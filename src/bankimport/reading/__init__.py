"""What banks really write, read strictly: what could mean two things is refused (banking.md §4.12).

`amounts` money and days · `ids` what names an entry · `entries` from what a bank reported to a checked entry, or to the
reason why not · `balances` whether it all adds up.
"""

from bankimport.reading.amounts import Unreadable
from bankimport.reading.balances import BalanceCheck, BalanceVerdict, check_balances
from bankimport.reading.entries import Quarantined, read_transaction

__all__ = [
    "BalanceCheck",
    "BalanceVerdict",
    "Quarantined",
    "Unreadable",
    "check_balances",
    "read_transaction",
]
