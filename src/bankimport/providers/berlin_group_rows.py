"""Entries and balances in Berlin Group's JSON, which GoCardless speaks too, as our values (banking.md §4.12).

Rows stay as reported and are checked by the import; what is decided here is where in a row a fact may stand.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from bankimport.models import (
    Balance,
    BankAccount,
    BankId,
    IdQuality,
    ReportedTransaction,
    Scope,
    TransactionStatus,
    UnreadableBalance,
)
from bankimport.providers.answers import a_list, an_object, text_of
from bankimport.providers.options import ReadingOptions
from bankimport.reading.amounts import Unreadable, read_day, read_signed
from bankimport.reading.entries import read_currency

_RAW_LIMIT: Final = 32_768
#: where a text may stand; the first group that has one is taken
_TEXTS: Final = (
    ("remittanceInformationUnstructured", "remittanceInformationUnstructuredArray"),
    ("remittanceInformationStructured", "remittanceInformationStructuredArray"),
    ("additionalInformation", "transactionDetails"),
)
#: what banks write where there is no text
_NO_TEXTS: Final = frozenset({"", "NOTPROVIDED", "NOT PROVIDED"})
_LONGEST_NO_TEXT: Final = max(map(len, _NO_TEXTS))
_PLAIN: Final = frozenset("-0123456789")
_NUMBER: Final = r"\s*([+-]?[0-9][0-9.,' ]*)"


class RowReader:
    """Reads the entries of one bank, by its options."""

    def __init__(self, options: ReadingOptions, quality: IdQuality, id_fields: tuple[str, ...], day_field: str | None):
        self._options, self._quality = options, quality
        self._id_fields = options.id_fields or id_fields
        self._day_field = day_field
        words = options.billed_amount_after
        self._billed = None if words is None else re.compile(re.escape(words) + _NUMBER, re.ASCII)

    def page(self, report: Any, account: BankAccount) -> tuple[ReportedTransaction, ...]:
        """Return the rows of a report with `booked` and `pending`; `information` (standing orders) is none of ours."""
        if report == []:  # what some languages write for an empty object
            return ()
        report = an_object(report, Scope.TRANSACTIONS)
        rows: list[ReportedTransaction] = []
        for name, status in (("booked", TransactionStatus.BOOKED), ("pending", TransactionStatus.PENDING)):
            for row in a_list(report, name, Scope.TRANSACTIONS, needed=False):
                reported = self.entry(row if isinstance(row, dict) else {}, status, account)
                if reported is not None:
                    rows.append(reported)
        return tuple(rows)

    def entry(
        self,
        row: Mapping[str, Any],
        status: TransactionStatus,
        account: BankAccount,
        *,
        raw: Mapping[str, Any] | None = None,
    ) -> ReportedTransaction | None:
        """Return an entry as reported; None for one that the bank shows a second time. `raw` is the row in the bank's
        own words, where they are others: fields that an option names are theirs."""
        raw = row if raw is None else raw
        ids = () if self._options.ignore_ids else self._ids(raw)
        skipped = self._options.skip_ids
        if skipped and any(bank_id.value.startswith(skipped) for bank_id in ids):
            return None
        text = remittance_of(row)
        amount, currency, indicator = self._money(row, status, account, text)
        side = "creditor" if _leaves(amount, indicator) else "debtor"
        other = row.get(f"{side}Account")
        return ReportedTransaction(
            status=status,
            amount=amount,
            currency=currency,
            indicator=indicator,
            booking_date=row.get("bookingDate"),
            value_date=row.get("valueDate"),
            transaction_date=row.get("transactionDate") or row.get("acceptorTransactionDateTime"),
            booking_date_time=row.get("bookingDateTime"),
            value_date_time=row.get("valueDateTime"),
            day=None if self._day_field is None else raw.get(self._day_field),
            ids=ids,
            counterparty_name=row.get(f"{side}Name"),
            counterparty_iban=other.get("iban") if isinstance(other, dict) else None,
            remittance=text,
            raw=raw if _is_small(raw) or len(json.dumps(raw, default=str)) <= _RAW_LIMIT else None,
        )

    def _ids(self, row: Mapping[str, Any]) -> tuple[BankId, ...]:
        """Every id is optional; an end-to-end id is the payer's and may name many transactions."""
        found = [BankId(name, value, self._quality) for name in self._id_fields if (value := text_of(row, name))]
        if "endToEndId" not in self._id_fields and (value := text_of(row, "endToEndId")):
            found.append(BankId("endToEndId", value, IdQuality.WEAK))
        return tuple(found)

    def _money(
        self, row: Mapping[str, Any], status: TransactionStatus, account: BankAccount, text: str | None
    ) -> tuple[object, object, object]:
        """Return amount, currency and indicator, the sign turned where this bank turns it."""
        money = row.get("transactionAmount")
        money = money if isinstance(money, dict) else {"amount": money}
        amount, currency, indicator = money.get("amount"), money.get("currency"), row.get("creditDebitIndicator")
        billed = self._billed and self._billed.search(text or "")
        if billed:
            minus = "-" if billed[1][0].isdigit() and _leaves(amount, indicator) else ""
            amount, currency, indicator = minus + billed[1].rstrip(" .,'"), None, None
        if self._options.inverts(account, status):
            with suppress(Unreadable):  # the import says why
                amount, indicator = -read_signed(amount, indicator), None
        return amount, currency, indicator


def next_link(body: Mapping[str, Any]) -> str | None:
    """Return the link to the next page, wherever it stands: in the report or beside it, as an object or a bare text."""
    for holder in (body.get("transactions"), body.get("cardTransactions"), body):
        links = holder.get("_links") if isinstance(holder, dict) else None
        link = links.get("next") if isinstance(links, dict) else None
        href = link.get("href") if isinstance(link, dict) else link
        if isinstance(href, str) and href.strip():
            return href.strip()
    return None


def remittance_of(row: Mapping[str, Any]) -> str | None:
    """Return the text of an entry, from wherever it may stand; an array often repeats what stands beside it."""
    plain = row.get("remittanceInformationUnstructured")
    plain = plain.strip() if isinstance(plain, str) else ""
    if len(plain) > _LONGEST_NO_TEXT and "remittanceInformationUnstructuredArray" not in row:
        return plain  # as nearly all are
    for places in _TEXTS:
        found: list[str] = []
        for name in places:
            before = " ".join(found)
            found += [text for text in dict.fromkeys(_texts(row.get(name))) if text not in before]
        if found:
            return " ".join(found)
    return None


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for each in value[:64]:
            yield from _texts(each)
    elif isinstance(value, dict):
        yield from _texts(value.get("reference"))
    elif isinstance(value, str | int) and not isinstance(value, bool):
        text = str(value).strip()
        if text.upper() not in _NO_TEXTS:
            yield text


def _is_small(row: Mapping[str, Any]) -> bool:
    """Return whether a row is surely no longer than we keep, without writing it out: a character is twelve at most."""
    size = 0
    for name, value in row.items():
        inner = value if isinstance(value, dict) else {name: value}
        for key, each in inner.items():
            size += 12 * len(key) + 100
            if isinstance(each, str):
                size += 12 * len(each)
            elif each is not None and not isinstance(each, int | Decimal):
                return False
    return size <= _RAW_LIMIT


def _leaves(amount: object, indicator: object) -> bool:
    if indicator is None and isinstance(amount, str) and amount[-1:].isdigit() and amount[:1] in _PLAIN:
        return amount[0] == "-"  # as nearly all are
    try:
        return read_signed(amount, indicator) < 0
    except Unreadable:
        return False


def balances_of(body: Any, account: BankAccount, now: datetime) -> list[Balance | UnreadableBalance]:
    """Return the balances of an answer that has a list of them; one that can't be read costs no other."""
    rows = a_list(an_object(body, Scope.BALANCES), "balances", Scope.BALANCES)
    return [_balance(row if isinstance(row, dict) else {}, account, now) for row in rows]


def _balance(row: Mapping[str, Any], account: BankAccount, now: datetime) -> Balance | UnreadableBalance:
    money = row.get("balanceAmount")
    money = money if isinstance(money, dict) else {"amount": money}
    try:
        amount: Decimal = read_signed(money.get("amount"), row.get("creditDebitIndicator"))
        currency = read_currency(money.get("currency"), account.currency)
    except Unreadable as error:
        return UnreadableBalance(error.reason)
    try:
        day = read_day(row.get("referenceDate"))
    except Unreadable:
        day = None
    return Balance((text_of(row, "balanceType") or "unknown")[:64], amount, currency, day, now)
