"""The import as pure decisions: values in, values out; no clock, no random, no I/O (banking.md §4).

`accounts` which account is which ·
`window` which days · `identity` what its ids are worth · `matching` and
`reconciliation` which entry is which row, and what changes · `balance` whether it all adds up.
"""

from bankimport.imports.balance import BalanceCheck, BalanceVerdict, check_balances
from bankimport.imports.extent import Extent, Reading
from bankimport.imports.portions import reconcile
from bankimport.imports.reconciliation import Decision, window_to_load
from bankimport.imports.window import automatic_window, covered, merged, plan_window, shrunk

__all__ = [
    "BalanceCheck",
    "BalanceVerdict",
    "Decision",
    "Extent",
    "Reading",
    "automatic_window",
    "check_balances",
    "covered",
    "merged",
    "plan_window",
    "reconcile",
    "shrunk",
    "window_to_load",
]
