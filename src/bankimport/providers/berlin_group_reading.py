"""What a Berlin Group answer says of a consent and its accounts, as our values."""

from collections.abc import Mapping
from typing import Any, Final

from bankimport.errors import MalformedData
from bankimport.models import AccountReference, BankAccount, Consent, ConsentStatus, Scope
from bankimport.providers.answers import a_list, an_object, text_of
from bankimport.reading.amounts import Unreadable, read_day

#: in small letters, since some banks write them in capitals
_STATUSES: Final = {
    "valid": ConsentStatus.VALID,
    "expired": ConsentStatus.EXPIRED,
    "received": ConsentStatus.PENDING,
    "partiallyauthorised": ConsentStatus.PENDING,
    "rejected": ConsentStatus.REVOKED,
    "revokedbypsu": ConsentStatus.REVOKED,
    "terminatedbytpp": ConsentStatus.REVOKED,
}
#: what names an account beyond its consent
_REFERENCES: Final = ("iban", "bban", "pan", "maskedPan", "msisdn")


def consent_of(body: Any) -> Consent:
    """Return the consent of `GET /v1/consents/{id}`. 9999-12-31 means the bank's maximum (banking.md §1)."""
    status = _STATUSES.get((text_of(an_object(body, Scope.CONSENT), "consentStatus") or "").casefold())
    if status is None:
        raise MalformedData("the bank's consent has no status we know", scope=Scope.CONSENT)
    try:
        valid_until = read_day(body.get("validUntil"))
    except Unreadable:
        raise MalformedData("the bank's consent has no date we can read", scope=Scope.CONSENT) from None
    return Consent(status, valid_until)


def accounts_of(body: Any) -> list[BankAccount]:
    """Return the accounts of `GET /v1/accounts`, each with all that names it."""
    rows = a_list(an_object(body, Scope.ACCOUNTS), "accounts", Scope.ACCOUNTS)
    return [_account(an_object(row, Scope.ACCOUNTS)) for row in rows]


def _account(row: Mapping[str, Any]) -> BankAccount:
    resource = text_of(row, "resourceId")
    if not resource or len(resource) > 512:
        raise MalformedData("an account of the bank has no resource id", scope=Scope.ACCOUNTS)
    currency = text_of(row, "currency")
    iban = text_of(row, "iban")
    return BankAccount(
        provider_id=resource,
        currency=currency[:8] if currency else None,
        iban="".join(c for c in iban.upper() if c.isalnum() or c == "*")[:34] if iban else None,
        name=(text_of(row, "name") or text_of(row, "product") or "")[:256] or None,
        kind=(text_of(row, "cashAccountType") or "")[:64] or None,
        references=tuple(AccountReference(kind, text) for kind in _REFERENCES if (text := text_of(row, kind))),
    )
