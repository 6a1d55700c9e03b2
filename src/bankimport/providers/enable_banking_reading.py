"""What Enable Banking's answers say, as our values. An entry is put into Berlin Group's shape, and read as one."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from bankimport.errors import MalformedData
from bankimport.models import (
    AccountReference,
    Balance,
    BankAccount,
    Consent,
    ConsentStatus,
    Institution,
    ReportedTransaction,
    Scope,
    TransactionStatus,
    UnreadableBalance,
)
from bankimport.providers import berlin_group_rows
from bankimport.providers.answers import a_list, an_object, text_of
from bankimport.providers.berlin_group_reading import accounts_of
from bankimport.providers.berlin_group_rows import RowReader
from bankimport.reading.amounts import Unreadable, read_day

_SESSIONS: Final = {
    "AUTHORIZED": ConsentStatus.VALID,
    "EXPIRED": ConsentStatus.EXPIRED,
    "CLOSED": ConsentStatus.REVOKED,
    "REVOKED": ConsentStatus.REVOKED,
    "CANCELLED": ConsentStatus.REVOKED,
    "INVALID": ConsentStatus.REVOKED,
    "PENDING_AUTHORIZATION": ConsentStatus.PENDING,
    "RETURNED_FROM_BANK": ConsentStatus.PENDING,
}
#: SCHD is a plan and no entry yet
_STATUSES: Final = {
    "BOOK": TransactionStatus.BOOKED,
    "PDNG": TransactionStatus.PENDING,
    "HOLD": TransactionStatus.PENDING,
    "CNCL": TransactionStatus.CANCELLED,
    "RJCT": TransactionStatus.CANCELLED,
}
#: of the numbers of an account
_SCHEMES: Final = {"IBAN": "iban", "BBAN": "bban", "CPAN": "maskedPan"}
#: ISO 20022's codes, by the names that Berlin Group gives them
_BALANCES: Final = {
    "CLAV": "closingAvailable",
    "CLBD": "closingBooked",
    "FWAV": "forwardAvailable",
    "INFO": "information",
    "ITAV": "interimAvailable",
    "ITBD": "interimBooked",
    "OPAV": "openingAvailable",
    "OPBD": "openingBooked",
    "PRCD": "previouslyClosedBooked",
    "XPCD": "expected",
}


def consent_of(session: Mapping[str, Any]) -> Consent:
    """Return the consent that a session is."""
    status = _SESSIONS.get((text_of(session, "status") or "").upper())
    if status is None:
        raise MalformedData("the session has no status we know", scope=Scope.CONSENT)
    access = session.get("access")
    try:
        valid_until = read_day(access.get("valid_until")) if isinstance(access, dict) else None
    except Unreadable:
        raise MalformedData("the session has no date we can read", scope=Scope.CONSENT) from None
    return Consent(status, valid_until)


def members_of(session: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the accounts of a session, each with its `uid` and its hashes."""
    listed = session.get("accounts_data") or session.get("accounts") or []
    if not isinstance(listed, list):
        raise MalformedData("the session has no list of accounts", scope=Scope.ACCOUNTS)
    return [{"uid": each} if isinstance(each, str) else an_object(each, Scope.ACCOUNTS) for each in listed]


def account_of(member: Mapping[str, Any], details: Mapping[str, Any]) -> BankAccount:
    """Return an account from what the session and the details say of it."""
    uid = text_of(member, "uid")
    number = details.get("account_id")
    number = number if isinstance(number, dict) else {}
    row = {
        "resourceId": uid,
        "iban": number.get("iban"),
        "currency": details.get("currency"),
        "name": text_of(details, "name") or text_of(details, "details"),
        "product": details.get("product"),
        "cashAccountType": details.get("cash_account_type"),
    }
    [account] = accounts_of({"accounts": [row]})
    return replace(account, references=(*account.references, *_references(member), *_references(details)))


def _references(row: Mapping[str, Any]) -> Iterator[AccountReference]:
    """Yield what names an account over sessions: its hashes, of which one may change and another stay, and numbers."""
    hashes = row.get("identification_hashes")
    for named in (row.get("identification_hash"), *(hashes if isinstance(hashes, list) else ())):
        if isinstance(named, str) and named:
            yield AccountReference("identification_hash", named)
    for number in _dicts(row.get("all_account_ids")):
        kind, value = _SCHEMES.get(text_of(number, "scheme_name") or ""), text_of(number, "identification")
        if kind and value:
            yield AccountReference(kind, value)


def page_of(body: Any, reader: RowReader, account: BankAccount) -> tuple[tuple[ReportedTransaction, ...], str | None]:
    """Return the entries of one page and the continuation key; an empty page may carry one."""
    body = an_object(body, Scope.TRANSACTIONS)
    rows: list[ReportedTransaction] = []
    for row in a_list(body, "transactions", Scope.TRANSACTIONS):
        row = row if isinstance(row, dict) else {}
        status = _status(row)
        reported = None if status is None else reader.entry(_berlin_group(row), status, account, raw=row)
        if reported is not None:
            rows.append(reported)
    return tuple(rows), text_of(body, "continuation_key") or None


def _status(row: Mapping[str, Any]) -> TransactionStatus | None:
    """Return the status; None for what is only scheduled. Another word is booked if there is a booking date."""
    word = (text_of(row, "status") or "").upper()
    if word == "SCHD":
        return None
    other = TransactionStatus.BOOKED if row.get("booking_date") else TransactionStatus.PENDING
    return _STATUSES.get(word, other if row else TransactionStatus.BOOKED)


def _berlin_group(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row in Berlin Group's words."""
    parties: dict[str, Any] = {}
    for side in ("creditor", "debtor"):
        party = row.get(side)
        parties[f"{side}Name"] = party.get("name") if isinstance(party, dict) else None
        parties[f"{side}Account"] = row.get(f"{side}_account")
    return {
        "transactionAmount": row.get("transaction_amount"),
        "creditDebitIndicator": row.get("credit_debit_indicator"),
        "bookingDate": row.get("booking_date"),
        "valueDate": row.get("value_date"),
        "transactionDate": row.get("transaction_date"),
        "remittanceInformationUnstructuredArray": row.get("remittance_information"),
        "remittanceInformationStructured": row.get("reference_number"),
        "additionalInformation": row.get("note"),
        **parties,
    }


def balances_of(body: Any, account: BankAccount, now: datetime) -> list[Balance | UnreadableBalance]:
    """Return the balances, under Berlin Group's names of their types."""
    rows = a_list(an_object(body, Scope.BALANCES), "balances", Scope.BALANCES)
    renamed = [_balance(row) if isinstance(row, dict) else row for row in rows]
    return berlin_group_rows.balances_of({"balances": renamed}, account, now)


def _balance(row: Mapping[str, Any]) -> dict[str, Any]:
    kind = (text_of(row, "balance_type") or "").upper()
    return {
        "balanceType": _BALANCES.get(kind, kind),
        "balanceAmount": row.get("balance_amount"),
        "creditDebitIndicator": row.get("credit_debit_indicator"),
        "referenceDate": row.get("reference_date"),
    }


def institutions_of(body: Any) -> list[Institution]:
    """Return the banks of `GET /aspsps`; a line without a name or country is left out."""
    found: list[Institution] = []
    for row in a_list(an_object(body, Scope.CONSENT), "aspsps", Scope.CONSENT):
        row = row if isinstance(row, dict) else {}
        name, country = text_of(row, "name"), text_of(row, "country")
        if not name or not country:
            continue
        seconds = row.get("maximum_consent_validity")
        longest = timedelta(seconds=min(seconds, 180 * 86_400)) if isinstance(seconds, int) and seconds > 0 else None
        methods = [text_of(each, "name") for each in _dicts(row.get("auth_methods"))]
        headers = row.get("required_psu_headers")
        found.append(
            Institution(
                id=f"{country[:2].upper()}:{name[:250]}",
                name=name[:256],
                country=country[:2].upper(),
                longest_consent=longest,
                required_headers=tuple(h for h in headers if isinstance(h, str)) if isinstance(headers, list) else (),
                methods=tuple(method for method in methods if method),
            )
        )
    return found


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
