"""The import as pure decisions: values in, values out; no clock, no random, no I/O (banking.md §4).

`accounts` which account is which · `window` which days · `repeats` each entry once · `worth` what ids are worth ·
`matching` by `evidence`, own ids first (`claims`), in `pairing` by money, which entry is which row · `reconciliation`
what changes · `portions` all of it, for reads of any size.
"""

from bankimport.imports.extent import Extent, Reading
from bankimport.imports.portions import reconcile
from bankimport.imports.reconciliation import Decision, window_to_load
from bankimport.imports.window import automatic_window, covered, merged, plan_window, shrunk

__all__ = [
    "Decision",
    "Extent",
    "Reading",
    "automatic_window",
    "covered",
    "merged",
    "plan_window",
    "reconcile",
    "shrunk",
    "window_to_load",
]
