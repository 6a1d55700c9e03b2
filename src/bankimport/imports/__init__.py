"""The import as pure decisions: values in, values out; no clock, no random, no I/O (banking.md §4 and §5).

`window` which days · `reading` what a bank said, checked · `identity` what its ids are worth · `matching` and
`reconciliation` which entry is which row, and what changes.
"""

from bankimport.imports.matching import Claims, Extent, Reading, claim_exact, claim_rest
from bankimport.imports.reading import Quarantined, read_transaction
from bankimport.imports.reconciliation import changes, insertable, reconcile, window_to_load
from bankimport.imports.window import automatic_window, covered, merged, plan_window, shrunk

__all__ = [
    "Claims",
    "Extent",
    "Quarantined",
    "Reading",
    "automatic_window",
    "changes",
    "claim_exact",
    "claim_rest",
    "covered",
    "insertable",
    "merged",
    "plan_window",
    "read_transaction",
    "reconcile",
    "shrunk",
    "window_to_load",
]
