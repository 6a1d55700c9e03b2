"""From what a bank reported to a checked entry, or to a reason why not (banking.md §4.12).

A row that can't be read is quarantined and counted; the rest goes on. No reason carries a value of the row.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from bankimport.models import ReportedTransaction, Transaction, TransactionStatus
from bankimport.models.maker import maker
from bankimport.reading.amounts import Unreadable, read_day, read_signed
from bankimport.reading.ids import usable_id, usable_ids

#: the longest texts that are kept, in characters
NAME_LIMIT: Final = 256
REMITTANCE_LIMIT: Final = 4096
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_made = maker(Transaction)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An entry that was not imported; `reason` is a short constant such as `amount-format`."""

    reason: str


def read_transaction(
    reported: ReportedTransaction, account_currency: str | None, today: date | None = None, page: int = 0
) -> Transaction | Quarantined:
    """Return the entry with its amount signed, its day decided and its texts bounded; or why it can't be read.

    `today` is the day it was read, which is that of a pending entry without a date; `page` where it stood.
    """
    try:
        amount = read_signed(reported.amount, reported.indicator)
        currency = read_currency(reported.currency, account_currency)
        booking, value = _day(reported.booking_date), _day(reported.value_date)
        day = booking or value or _day(reported.transaction_date)
        if booking is None or value is None:
            booking, value = booking or _day(reported.booking_date_time), value or _day(reported.value_date_time)
        if reported.day is not None:
            day = _day(reported.day) or day
        day = day or booking or value or _without_date(reported, today)
    except Unreadable as error:
        return Quarantined(error.reason)
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
        page,
        False,
    )


def _day(value: object) -> date | None:
    """Return the day; None too if it can't be read: another date may be good."""
    try:
        return None if value is None else read_day(value)
    except Unreadable:
        return None


def _without_date(reported: ReportedTransaction, today: date | None) -> date:
    if reported.status is TransactionStatus.PENDING and today is not None:
        return today
    for value in (reported.booking_date, reported.value_date, reported.transaction_date):
        read_day(value)  # says what is wrong with it
    raise Unreadable("date-missing")


def read_currency(value: object, account_currency: str | None) -> str:
    """Return the ISO 4217 code; `XXX` or none is the account's.

    Raises:
        Unreadable: it is none, or neither says one.
    """
    if isinstance(value, str) and value != "XXX" and _CURRENCY.fullmatch(value):
        return value  # as nearly all are
    for code in (value, account_currency):
        text = code.strip().upper() if isinstance(code, str) else code
        if text is None or text in ("", "XXX"):
            continue
        if not isinstance(text, str) or not _CURRENCY.fullmatch(text):
            raise Unreadable("currency-format")
        return text
    raise Unreadable("currency-unknown")


def clean_text(value: object, limit: int) -> str | None:
    """Return a text without control characters, on one line and at most `limit` long; None for an empty one.

    Several lines are joined; what is neither text nor a number is no text.
    """
    if isinstance(value, str) and 0 < len(value) <= limit and value.isprintable() and value[0] != " " != value[-1]:
        if "  " not in value:
            return value  # as nearly all are
    elif isinstance(value, list | tuple):
        value = " ".join(part for part in value[:64] if isinstance(part, str))
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        value = str(value)
    if not isinstance(value, str):
        return None
    text = value[: 4 * limit]
    if not text.isprintable():
        # lone surrogates, NUL and direction marks can't be stored or mislead; they are not printable
        text = "".join(c if c.isprintable() else " " for c in text)
    if "  " in text or text[:1] == " " or text[-1:] == " ":  # few are
        text = " ".join(text.split())
    return text[:limit].rstrip() or None
