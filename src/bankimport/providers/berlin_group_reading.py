"""What a Berlin Group answer says of a consent and its accounts, as our values."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from bankimport.errors import MalformedData
from bankimport.imports.amounts import Unreadable, read_day
from bankimport.models import BankAccount, Consent, ConsentStatus, Scope
from bankimport.providers.answers import a_list, an_object, text_of

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


def consent_of(body: Any) -> Consent:
    """Return the consent of `GET /v1/consents/{id}`. 9999-12-31 means the bank's maximum (banking.md §1)."""
    status = _STATUSES.get(text_of(an_object(body, Scope.CONSENT), "consentStatus") or "")
    if status is None:
        raise MalformedData("the bank's consent has no status we know", scope=Scope.CONSENT)
    try:
        valid_until = read_day(body.get("validUntil"))
    except Unreadable:
        raise MalformedData("the bank's consent has no date we can read", scope=Scope.CONSENT) from None
    return Consent(status, valid_until)


def accounts_of(body: Any) -> list[BankAccount]:
    """Return the accounts of `GET /v1/accounts`."""
    rows = a_list(an_object(body, Scope.ACCOUNTS), "accounts", Scope.ACCOUNTS)
    return _told_apart([_account(an_object(row, Scope.ACCOUNTS)) for row in rows])


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
    resource = text_of(row, "resourceId")
    if not resource or len(resource) > 512:
        raise MalformedData("an account of the bank has no resource id", scope=Scope.ACCOUNTS)
    currency = text_of(row, "currency")
    iban = text_of(row, "iban")
    return BankAccount(
        provider_id=resource,
        stable_key=stable_key(row, resource),
        currency=currency[:8] if currency else None,
        iban=iban.replace(" ", "").upper()[:34] if iban else None,
        name=(text_of(row, "name") or text_of(row, "product") or "")[:256] or None,
        kind=(text_of(row, "cashAccountType") or "")[:64] or None,
    )


def stable_key(row: Mapping[str, Any], resource: str) -> str:
    """Return a name of the account that survives a renewed consent and tells nobody its number.

    It is made of the account's reference (an IBAN, else a BBAN, a card's number, a telephone number) and its currency;
    an account with none of them is only as stable as the bank's resource id.
    """
    for field in _REFERENCES:
        reference = text_of(row, field)
        if reference:
            text = f"{field}\0{reference.replace(' ', '').upper()}\0{text_of(row, 'currency') or ''}"
            break
    else:
        text = f"resourceId\0{resource}"
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()
