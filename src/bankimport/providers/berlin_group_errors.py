"""What a Berlin Group error means: its `tppMessages` (NextGenPSD2 1.3, "Message codes") as our errors."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from bankimport.errors import (
    AccountUnavailable,
    BankRejected,
    CredentialError,
    JobError,
    PeriodRejected,
    RateLimited,
    ReauthRequired,
    Transient,
)
from bankimport.models import Scope
from bankimport.providers.http import Reply
from bankimport.providers.quota import retry_after

_Make = Callable[[Scope], JobError]

_OURS: Final = (
    "CERTIFICATE_INVALID",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_BLOCKED",
    "CERTIFICATE_REVOKE",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_MISSING",
    "SIGNATURE_INVALID",
    "SIGNATURE_MISSING",
    "KID_MISSING",
    "ROLE_INVALID",
    "CORPORATE_ID_INVALID",
)


def _reauth(reason: str, *, suspicious: bool = False) -> _Make:
    return lambda scope: ReauthRequired(reason, scope=scope, suspicious=suspicious)


#: by message code, wherever it stands
_BY_CODE: Final[Mapping[str, _Make]] = {
    **dict.fromkeys(_OURS, lambda scope: CredentialError(scope=scope)),
    "CONSENT_EXPIRED": _reauth("expired"),
    "CONSENT_INVALID": _reauth("invalid", suspicious=True),
    "CONSENT_UNKNOWN": _reauth("revoked"),
    "TOKEN_EXPIRED": _reauth("expired", suspicious=True),
    "TOKEN_INVALID": _reauth("invalid", suspicious=True),
    "TOKEN_UNKNOWN": _reauth("invalid", suspicious=True),
    "PSU_CREDENTIALS_INVALID": _reauth("action"),
    "SERVICE_BLOCKED": _reauth("blocked"),
    "PERIOD_INVALID": lambda scope: PeriodRejected(),
}
_GONE: Final = frozenset({"RESOURCE_UNKNOWN", "RESOURCE_EXPIRED", "RESOURCE_BLOCKED"})
_OF_ONE_ACCOUNT: Final = frozenset({Scope.BALANCES, Scope.TRANSACTIONS})


def error_of(reply: Reply, scope: Scope, now: datetime) -> JobError:
    """Return the error of a reply that is no success."""
    codes = _codes(reply.body)
    if reply.status == 429 or "ACCESS_EXCEEDED" in codes:
        return _limited(reply, scope, now)
    if reply.status >= 500 or reply.status == 408:
        return Transient(f"the bank answered {reply.status}", scope=scope, retry_after=retry_after(reply.headers, now))
    for code, make in _BY_CODE.items():  # in the table's order: a fault of ours goes before the person's
        if code in codes:
            return make(scope)
    if codes & _GONE or reply.status == 404:
        return _gone(scope, reply.status)
    if reply.status == 401:  # a bare one: confirmed before a connection is marked (banking.md §3)
        return ReauthRequired("refused", scope=scope, suspicious=True)
    return BankRejected(reply.status, scope=scope)


def _gone(scope: Scope, status: int) -> JobError:
    if scope in _OF_ONE_ACCOUNT:
        return AccountUnavailable(scope=scope)
    return ReauthRequired("revoked", scope=scope) if scope is Scope.CONSENT else BankRejected(status, scope=scope)


def _codes(body: Any) -> frozenset[str]:
    """Return all codes of an error: of its `tppMessages`, or of the problem details that may come instead."""
    if not isinstance(body, dict):
        return frozenset()
    messages: list[Any] = [body]
    for name in ("tppMessages", "additionalErrors"):
        listed = body.get(name)
        messages += listed[:50] if isinstance(listed, list) else [listed]
    codes = (message.get("code") for message in messages if isinstance(message, dict))
    return frozenset(code for code in codes if isinstance(code, str))


def _limited(reply: Reply, scope: Scope, now: datetime) -> RateLimited:
    wait = retry_after(reply.headers, now)
    return RateLimited(scope=scope, retry_after=wait, retry_at=None if wait is None else now + wait)
