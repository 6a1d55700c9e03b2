"""How real banks write what the standard leaves open, or against it: each habit changes a row or an answer."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from bankimport.sandbox.misbehaviour import Kind

Row = dict[str, Any]

_DEBITS: Final = ("DBIT", "debit", "D", "dbit")
_CREDITS: Final = ("CRDT", "credit", "C", "crdt")


def _text(row: Row) -> str:
    return str(row.pop("remittanceInformationUnstructured"))


def _structured(row: Row) -> None:
    text = _text(row)
    row |= {"remittanceInformationUnstructured": "", "remittanceInformationStructuredArray": [{"reference": text}]}


def _array(row: Row) -> None:
    row["remittanceInformationUnstructuredArray"] = _text(row).split(" ")


def _additional(row: Row) -> None:
    row |= {"additionalInformation": _text(row), "remittanceInformationUnstructuredArray": [""]}


def _unreadable_booking_date(row: Row) -> None:
    """The booking date is no date; the value date is."""
    if "bookingDate" in row:
        row |= {"valueDate": row["bookingDate"], "bookingDate": "see value date"}


def _instants(row: Row, suffix: str) -> None:
    for name in ("bookingDate", "valueDate"):
        if name in row:
            row[f"{name}Time"] = f"{row.pop(name)}T23:30:00{suffix}"


def _slashes(row: Row) -> None:
    for name in ("bookingDate", "valueDate"):
        if name in row:
            row[name] = row[name].replace("-", "/")


def _undated(row: Row) -> None:
    if "bookingDate" not in row:
        row.pop("valueDate", None)


def _amount(row: Row, write: Callable[[str], object]) -> None:
    row["transactionAmount"] |= {"amount": write(row["transactionAmount"]["amount"])}


def _german(text: str) -> str:
    return f"{float(text):,.2f}".translate(str.maketrans(",.", ".,"))


def _turned(text: str) -> str:
    return text.removeprefix("-") if text.startswith("-") else f"-{text}"


def _turned_pending(row: Row) -> None:
    if "bookingDate" not in row:
        _amount(row, _turned)


def _indicator(row: Row) -> None:
    amount = row["transactionAmount"]["amount"]
    words = _DEBITS if amount.startswith("-") else _CREDITS
    row["creditDebitIndicator"] = words[len(row["remittanceInformationUnstructured"]) % len(words)]
    _amount(row, lambda text: text.removeprefix("-"))


def _billed(row: Row) -> None:
    """The amount is in a foreign currency; the one that was billed stands in the text."""
    amount = row["transactionAmount"]["amount"]
    row["remittanceInformationUnstructured"] = f"{_text(row)} billingAmount: {amount}"
    row["transactionAmount"] = {"currency": "SEK", "amount": f"{float(amount) * 11:.2f}"}


def _currency(row: Row, write: Callable[[str], str]) -> None:
    row["transactionAmount"] |= {"currency": write(row["transactionAmount"]["currency"])}


def _elsewhere(row: Row) -> None:
    row["proprietaryBankTransactionCode"] = row.pop("transactionId")


#: what changes a row
ROWS: Final[Mapping[Kind, Callable[[Row], None]]] = {
    Kind.SHARED_IDS: lambda row: row.update(transactionId=str(len(row["remittanceInformationUnstructured"]))),
    Kind.NOT_PROVIDED_IDS: lambda row: row.update(transactionId="NOTPROVIDED", entryReference="0"),
    Kind.IDS_ELSEWHERE: _elsewhere,
    Kind.NUMBERED_IDS: lambda row: row.update(transactionId=int(row["transactionId"], 16) % 10**15),
    Kind.UNREADABLE_BOOKING_DATES: _unreadable_booking_date,
    Kind.INSTANTS: lambda row: _instants(row, "Z"),
    Kind.INSTANTS_WITHOUT_ZONE: lambda row: _instants(row, ""),
    Kind.SLASHED_DATES: _slashes,
    Kind.UNDATED_PENDING: _undated,
    Kind.NUMBERS: lambda row: _amount(row, float),
    Kind.GERMAN_AMOUNTS: lambda row: _amount(row, _german),
    Kind.INDICATORS: _indicator,
    Kind.INVERTED: lambda row: _amount(row, _turned),
    Kind.INVERTED_PENDING: _turned_pending,
    Kind.BILLED_IN_TEXT: _billed,
    Kind.CURRENCY_XXX: lambda row: _currency(row, lambda _: "XXX"),
    Kind.LOWER_CURRENCY: lambda row: _currency(row, str.lower),
    Kind.STRUCTURED_TEXT: _structured,
    Kind.TEXT_ARRAY: _array,
    Kind.ADDITIONAL_TEXT: _additional,
}


def rewritten(body: Row, kinds: list[Kind]) -> Row:
    """Return the answer of the transactions as a bank of these habits writes it."""
    report = body["transactions"]
    for kind in kinds:
        for name in ("booked", "pending"):
            if kind is Kind.SHOWN_TWICE:
                report[name] = [shown for row in report[name] for shown in _twice(row)]
            if kind is Kind.UNREADABLE_ROW and name == "booked":
                report[name].append({"transactionId": "unreadable", "transactionAmount": {"currency": "EUR"}})
            for row in report[name] if kind in ROWS else ():
                ROWS[kind](row)
        link = report.get("_links", {}).get("next")
        if link and kind is Kind.NEXT_ON_TOP:
            body["_links"] = {"next": report["_links"].pop("next")}
        if link and kind is Kind.NEXT_AS_TEXT:
            report["_links"]["next"] = link["href"]
    return body


def _twice(row: Row) -> list[Row]:
    """A bank that shows a payment as H… and again as P…."""
    return [{**row, "transactionId": f"{letter}{row['transactionId']}"} for letter in "HP"]


def with_unreadable_balance(balances: list[Row], kinds: list[Kind]) -> list[Row]:
    """Return the balances, with one more that has no amount where a switch says so."""
    if Kind.UNREADABLE_BALANCE in kinds:
        return [{"balanceType": "expected", "balanceAmount": {"currency": "EUR"}}, *balances]
    return balances
