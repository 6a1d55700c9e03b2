"""What a Berlin Group answer says, as our values; rows stay as reported, and are checked by the import."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from bankimport.errors import MalformedData
from bankimport.imports.amounts import Unreadable, read_amount, read_day
from bankimport.models import (
    Balance,
    BankAccount,
    BankId,
    Consent,
    ConsentStatus,
    IdQuality,
    ReportedTransaction,
    Scope,
    TransactionStatus,
)

_STATUSES: Final = {
    "valid": ConsentStatus.VALID,
    "expired": ConsentStatus.EXPIRED,
    "received": ConsentStatus.PENDING,
    "partiallyAuthorised": ConsentStatus.PENDING,
    "rejected": ConsentStatus.REVOKED,
    "revokedByPsu": ConsentStatus.REVOKED,
    "terminatedByTpp": ConsentStatus.REVOKED,
}
#: what names an account beyond its consent, best first
_REFERENCES: Final = ("iban", "bban", "pan", "maskedPan", "msisdn")
_RAW_LIMIT: Final = 32_768


def consent_of(body: Any) -> Consent:
    """Return the consent of `GET /v1/consents/{id}`. 9999-12-31 means the bank's maximum (banking.md §1)."""
    status = _STATUSES.get(_text(_object(body, Scope.CONSENT), "consentStatus") or "")
    if status is None:
        raise MalformedData("the bank's consent has no status we know", scope=Scope.CONSENT)
    try:
        valid_until = read_day(body.get("validUntil"))
    except Unreadable:
        raise MalformedData("the bank's consent has no date we can read", scope=Scope.CONSENT) from None
    return Consent(status, valid_until)


def accounts_of(body: Any) -> list[BankAccount]:
    """Return the accounts of `GET /v1/accounts`."""
    rows = _list(_object(body, Scope.ACCOUNTS), "accounts", Scope.ACCOUNTS)
    return _told_apart([_account(_object(row, Scope.ACCOUNTS)) for row in rows])


def _told_apart(accounts: list[BankAccount]) -> list[BankAccount]:
    """Return the accounts in their order, each with a key of its own: pots and cards may share their account's number.

    The first by kind and name keeps the number's own key, so it stays where others come and go; a resource id listed
    twice is one account.
    """
    groups: dict[str, dict[str, BankAccount]] = {}
    for account in accounts:
        groups.setdefault(account.stable_key, {}).setdefault(account.provider_id, account)
    keys: dict[tuple[str, str], str] = {}
    for key, group in groups.items():
        alike: Counter[str] = Counter()
        for account in sorted(group.values(), key=lambda a: (a.kind or "", a.name or "", a.provider_id)):
            what = f"{account.kind or ''}\0{account.name or ''}"
            text = f"{key}\0{what}\0{alike[what]}"
            keys[key, account.provider_id] = (
                hashlib.blake2b(text.encode(), digest_size=20).hexdigest() if alike else key
            )
            alike[what] += 1
    return [replace(account, stable_key=keys[account.stable_key, account.provider_id]) for account in accounts]


def _account(row: Mapping[str, Any]) -> BankAccount:
    resource = _text(row, "resourceId")
    if not resource or len(resource) > 512:
        raise MalformedData("an account of the bank has no resource id", scope=Scope.ACCOUNTS)
    currency = _text(row, "currency")
    iban = _text(row, "iban")
    return BankAccount(
        provider_id=resource,
        stable_key=stable_key(row, resource),
        currency=currency[:8] if currency else None,
        iban=iban.replace(" ", "").upper()[:34] if iban else None,
        name=(_text(row, "name") or _text(row, "product") or "")[:256] or None,
        kind=(_text(row, "cashAccountType") or "")[:64] or None,
    )


def stable_key(row: Mapping[str, Any], resource: str) -> str:
    """Return a name of the account that survives a renewed consent and tells nobody its number.

    It is made of the account's reference (an IBAN, else a BBAN, a card's number, a telephone number) and its currency;
    an account with none of them is only as stable as the bank's resource id.
    """
    for field in _REFERENCES:
        reference = _text(row, field)
        if reference:
            text = f"{field}\0{reference.replace(' ', '').upper()}\0{_text(row, 'currency') or ''}"
            break
    else:
        text = f"resourceId\0{resource}"
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


def balances_of(body: Any, now: datetime) -> list[Balance]:
    """Return the balances of `GET /v1/accounts/{id}/balances`."""
    rows = _list(_object(body, Scope.BALANCES), "balances", Scope.BALANCES)
    return [_balance(_object(row, Scope.BALANCES), now) for row in rows]


def _balance(row: Mapping[str, Any], now: datetime) -> Balance:
    money = _object(row.get("balanceAmount"), Scope.BALANCES)
    try:
        return Balance(
            balance_type=(_text(row, "balanceType") or "unknown")[:64],
            amount=read_amount(money.get("amount")),
            currency=(_text(money, "currency") or "")[:8],
            reference_date=read_day(row.get("referenceDate")),
            fetched_at=now,
        )
    except Unreadable:
        raise MalformedData("a balance of the bank can't be read", scope=Scope.BALANCES) from None


def transactions_of(body: Any, quality: IdQuality) -> tuple[tuple[ReportedTransaction, ...], str | None]:
    """Return the rows of one page of `GET /v1/accounts/{id}/transactions`, and the link to the next, if there is one.

    `information` (standing orders) is none of ours.
    """
    report = _object(_object(body, Scope.TRANSACTIONS).get("transactions"), Scope.TRANSACTIONS)
    rows: list[ReportedTransaction] = []
    for name, status in (("booked", TransactionStatus.BOOKED), ("pending", TransactionStatus.PENDING)):
        listed = _list(report, name, Scope.TRANSACTIONS, needed=False)
        rows += [_transaction(row if isinstance(row, dict) else {}, status, quality) for row in listed]
    return tuple(rows), _next(report)


def _next(report: Mapping[str, Any]) -> str | None:
    links = report.get("_links")
    link = links.get("next") if isinstance(links, dict) else None
    href = link.get("href") if isinstance(link, dict) else link  # some banks send the bare text
    return href if isinstance(href, str) and href else None


def _transaction(row: Mapping[str, Any], status: TransactionStatus, quality: IdQuality) -> ReportedTransaction:
    money = row.get("transactionAmount")
    money = money if isinstance(money, dict) else {}
    amount = money.get("amount")
    leaves = str(amount).strip().startswith("-") or row.get("creditDebitIndicator") == "DBIT"
    side = "creditor" if leaves else "debtor"
    other = row.get(f"{side}Account")
    return ReportedTransaction(
        status=status,
        amount=amount,
        currency=money.get("currency"),
        indicator=row.get("creditDebitIndicator"),
        booking_date=row.get("bookingDate"),
        value_date=row.get("valueDate"),
        transaction_date=row.get("transactionDate"),
        ids=_ids(row, quality),
        counterparty_name=row.get(f"{side}Name"),
        counterparty_iban=other.get("iban") if isinstance(other, dict) else None,
        remittance=_remittance(row),
        raw=_raw(row),
    )


def _ids(row: Mapping[str, Any], quality: IdQuality) -> tuple[BankId, ...]:
    """Every id is optional; an end-to-end id is the payer's and may name many transactions."""
    named = (("transactionId", quality), ("entryReference", quality), ("endToEndId", IdQuality.WEAK))
    found = ((namespace, _text(row, namespace), worth) for namespace, worth in named)
    return tuple(BankId(namespace, value, worth) for namespace, value, worth in found if value)


def _remittance(row: Mapping[str, Any]) -> str | None:
    texts: list[str] = []
    for name in ("remittanceInformationUnstructured", "remittanceInformationUnstructuredArray"):
        value = row.get(name)
        texts += [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    if not texts:
        structured = row.get("remittanceInformationStructured") or row.get("additionalInformation")
        structured = structured.get("reference") if isinstance(structured, dict) else structured
        texts = [structured] if isinstance(structured, str) else []
    return " ".join(dict.fromkeys(texts)) or None


def _raw(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return row if len(json.dumps(row, default=str)) <= _RAW_LIMIT else None


def _text(row: Mapping[str, Any], name: str) -> str | None:
    """Return a text of the row without what is not printable: it could be neither sent back nor stored. Banks that
    send amounts as numbers do so with ids."""
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    return (value if value.isprintable() else "".join(c for c in value if c.isprintable())).strip()


def _object(value: Any, scope: Scope) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedData("the bank's answer is not of the shape that was agreed", scope=scope)
    return value


def _list(value: Mapping[str, Any], name: str, scope: Scope, *, needed: bool = True) -> list[Any]:
    listed = value.get(name)
    if listed is None and not needed:  # left out, or null
        return []
    if not isinstance(listed, list):
        raise MalformedData("the bank's answer is not of the shape that was agreed", scope=scope)
    return listed
