"""What is reported just as it is stored, under its own id: most of every read, so it is found first and quickly."""

from collections.abc import Sequence
from typing import Final

from bankimport.imports.identity import AliasKey
from bankimport.models import IdQuality, RowStatus, StoredTransaction, Transaction, TransactionStatus

_STRONG: Final = IdQuality.STRONG
_STATUS_OF: Final = {TransactionStatus.BOOKED: RowStatus.BOOKED, TransactionStatus.PENDING: RowStatus.PENDING}


def set_unchanged_aside(
    incoming: Sequence[Transaction], stored: Sequence[StoredTransaction]
) -> tuple[list[Transaction], set[str]]:
    """Return the entries that are not reported exactly as stored, and the ids of the rows that are: nothing changes
    there. Ids that name several rows are left to weaker evidence.
    """
    named: dict[AliasKey, StoredTransaction | None] = {}
    for row in stored:
        for one in row.transaction.ids:
            if one.quality is _STRONG:
                key = one.namespace, one.value
                named[key] = None if key in named or row.missing_at_bank else row
    left: list[Transaction] = []
    unchanged: set[str] = set()
    for entry in incoming:
        for one in entry.ids:
            if one.quality is _STRONG:
                found = named.get((one.namespace, one.value))
                if (
                    found is not None
                    and found.status is _STATUS_OF.get(entry.status)
                    and found.id not in unchanged
                    and is_unchanged(entry, found.transaction)
                ):
                    unchanged.add(found.id)
                    break
        else:
            left.append(entry)
    return left, unchanged


def is_unchanged(entry: Transaction, kept: Transaction) -> bool:
    """Compare what is kept. A new weak id is no change: some banks make one up for every session."""
    return (
        entry.amount == kept.amount
        and entry.day == kept.day
        and entry.currency == kept.currency
        and entry.booking_date == kept.booking_date
        and entry.value_date == kept.value_date
        and entry.counterparty_name == kept.counterparty_name
        and entry.counterparty_iban == kept.counterparty_iban
        and entry.remittance == kept.remittance
        and all(one in kept.ids for one in entry.ids if one.quality is _STRONG)
    )
