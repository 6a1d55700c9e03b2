"""What a strong id or a link may claim: tiers 1 and 2 of banking.md §4.3."""

from collections.abc import Iterable
from typing import Final

from bankimport.imports.evidence import BOOKED_AFTER, BOOKED_BEFORE, MOVED
from bankimport.imports.extent import Extent, Reading
from bankimport.imports.identity import AliasKey, key_of, strong_keys
from bankimport.imports.likeness import Likeness, compare, wording
from bankimport.models import RowStatus, StoredTransaction, Transaction, TransactionStatus

_BOOKED: Final = TransactionStatus.BOOKED

#: the rows that have had an id; more than one where a bank re-uses ids
Named = dict[AliasKey, list[StoredTransaction]]


def may_become(entry: Transaction, row: StoredTransaction) -> bool:
    """A booked row never goes back to pending."""
    return entry.status is _BOOKED or row.status is not RowStatus.BOOKED


def is_stale_form(entry: Transaction, row: StoredTransaction) -> bool:
    """Return whether a pending entry that names this row is what was booked as it: the bank lists it still."""
    if may_become(entry, row):
        return False
    kept = row.transaction
    in_time = BOOKED_BEFORE <= (kept.day - entry.day).days <= BOOKED_AFTER
    return in_time and entry.currency == kept.currency and (entry.amount == kept.amount or entry.day == kept.day)


def rows_named(entry: Transaction, named: Named) -> Iterable[StoredTransaction]:
    return (row for key in strong_keys(entry) for row in named.get(key, ()))


def rows_linked(entry: Transaction, named: Named) -> Iterable[StoredTransaction]:
    return () if entry.link is None else named.get(key_of(entry.link), ())


def is_same_money(entry: Transaction, row: StoredTransaction) -> bool:
    return (entry.amount, entry.currency) == (row.transaction.amount, row.transaction.currency)


def is_other_kind(entry: Transaction, row: StoredTransaction) -> bool:
    return (entry.status is _BOOKED) != (row.status is RowStatus.BOOKED)


def id_may_claim(entry: Transaction, row: StoredTransaction, reading: Reading) -> bool:
    """Tier 1. A strong id is refused when neither amount nor date agrees: it came back used."""
    if not may_become(entry, row):
        return False
    if reading.extent is Extent.DELTA:
        return True
    kept = row.transaction
    if entry.day == kept.day:
        agrees = True
    else:
        agrees = entry.amount == kept.amount and entry.currency == kept.currency
        if agrees and not reading.proves_absence(row):  # a weekly payment of one amount under a re-used id
            limit = MOVED if row.status is RowStatus.BOOKED else BOOKED_AFTER
            agrees = abs((entry.day - kept.day).days) <= limit
    if agrees and reading.extent is Extent.INCOMPLETE:
        return compare(wording(entry), wording(kept))[0] is not Likeness.CONFLICTING
    return agrees


def link_may_claim(entry: Transaction, row: StoredTransaction) -> bool:
    """Tier 2. A link names the pending form; to a booked row it must agree in amount or date."""
    kept = row.transaction
    if row.status is not RowStatus.BOOKED:
        return entry.currency == kept.currency
    return entry.status is _BOOKED and (entry.amount == kept.amount or entry.day == kept.day)


def rows_by_name(stored: Iterable[StoredTransaction]) -> Named:
    named: Named = {}
    for row in stored:
        for key in strong_keys(row.transaction):
            named.setdefault(key, []).append(row)
    return named
