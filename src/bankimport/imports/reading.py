"""From what a bank reported to a checked entry, or to a reason why not (banking.md §4.8).

A row that can't be read is quarantined and counted; the rest goes on. No reason carries a value of the row.
"""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from bankimport.imports.amounts import Unreadable, read_amount, read_day
from bankimport.imports.identity import usable_id, usable_ids
from bankimport.models import ReportedTransaction, Transaction
from bankimport.models.maker import maker

#: the longest texts that are kept, in characters
NAME_LIMIT: Final = 256
REMITTANCE_LIMIT: Final = 4096
_CREDIT: Final = frozenset({"CRDT", "CREDIT", "C"})
_DEBIT: Final = frozenset({"DBIT", "DEBIT", "D"})
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_made = maker(Transaction)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An entry that was not imported; `reason` is a short constant such as `amount-format`."""

    reason: str


def read_transaction(reported: ReportedTransaction, account_currency: str | None) -> Transaction | Quarantined:
    """Return the entry with its amount signed, its day decided and its texts bounded; or why it can't be read."""
    try:
        amount = _signed(read_amount(reported.amount), reported.indicator)
        currency = _currency(reported.currency, account_currency)
        booking, value = read_day(reported.booking_date), read_day(reported.value_date)
        day = booking or value or read_day(reported.transaction_date)
        if day is None:
            raise Unreadable("date-missing")
    except Unreadable as error:
        return Quarantined(error.reason)
    return _transaction(reported, amount, currency, day, booking, value)


def _transaction(
    reported: ReportedTransaction, amount: Decimal, currency: str, day: date, booking: date | None, value: date | None
) -> Transaction:
    iban = clean_text(reported.counterparty_iban, 64)
    return _made(  # a long history is a million of these
        reported.status,
        day,
        amount,
        currency,
        booking,
        value,
        usable_ids(reported.ids),
        None if reported.link is None else usable_id(reported.link),
        clean_text(reported.counterparty_name, NAME_LIMIT),
        None if iban is None else iban.replace(" ", "").upper()[:34],
        clean_text(reported.remittance, REMITTANCE_LIMIT),
        reported.raw,
    )


def _signed(amount: Decimal, indicator: object) -> Decimal:
    """Return the amount with the indicator's sign, where there is an indicator."""
    if indicator is None or indicator == "":
        return amount
    word = indicator.strip().upper() if isinstance(indicator, str) else ""
    if word in _CREDIT:
        return abs(amount)
    if word in _DEBIT:
        return -abs(amount) if amount else amount
    raise Unreadable("indicator")


def _currency(value: object, account_currency: str | None) -> str:
    """Return the ISO 4217 code; `XXX` or none is the account's."""
    if isinstance(value, str) and value != "XXX" and _CURRENCY.fullmatch(value):
        return value
    for candidate in (value, account_currency):
        if candidate is None or candidate == "":
            continue
        code = candidate.strip().upper() if isinstance(candidate, str) else ""
        if not _CURRENCY.fullmatch(code):
            raise Unreadable("currency-format")
        if code != "XXX":
            return code
    raise Unreadable("currency-unknown")


def clean_text(value: object, limit: int) -> str | None:
    """Return a text without control characters, on one line and at most `limit` long; None for an empty one.

    Several lines are joined; what is neither text nor a number is no text.
    """
    if isinstance(value, str) and len(value) <= limit and value.isprintable():
        if value and "  " not in value and value[0] != " " and value[-1] != " ":
            return value  # as nearly all are
    elif isinstance(value, list | tuple):
        value = " ".join(part for part in value[:64] if isinstance(part, str))
    elif isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**18 else None
    if not isinstance(value, str) or not value:
        return None
    text = value[: 4 * limit]
    if not text.isprintable():
        # lone surrogates, NUL and direction marks can't be stored or mislead; they are not printable
        text = "".join(c if c.isprintable() else " " for c in text)
    if "  " in text or text[:1] == " " or text[-1:] == " ":
        text = " ".join(text.split())
    return text[:limit].rstrip() or None
