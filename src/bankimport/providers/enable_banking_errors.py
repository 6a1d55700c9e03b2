"""What an error of Enable Banking means: `{code, message, error, detail}`, of which `error` decides."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
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
    UnattendedRefused,
    Unsupported,
)
from bankimport.models import Scope
from bankimport.providers.http import Reply
from bankimport.providers.quota import retry_after

_Make = Callable[[Scope], JobError]

#: A bank's own limit comes without a time; it is the quota of a day, and is asked again at the tick after the next.
_QUOTA: Final = timedelta(hours=6)


def _again(reason: str, *, suspicious: bool = False) -> _Make:
    return lambda scope: ReauthRequired(reason, scope=scope, suspicious=suspicious)


def _ours(scope: Scope) -> JobError:
    return CredentialError(scope=scope)


def _our(what: str) -> _Make:
    return lambda scope: CredentialError(what, scope=scope)


def _passing(scope: Scope) -> JobError:
    return Transient("the bank did not answer Enable Banking", scope=scope)


def _one_account(scope: Scope) -> JobError:
    return AccountUnavailable(scope=scope)


def _unsupported(sentence: str) -> _Make:
    return lambda scope: Unsupported(sentence, scope=scope)


CODES: Final[Mapping[str, _Make]] = {
    "EXPIRED_SESSION": _again("expired"),
    "CLOSED_SESSION": _again("revoked"),
    "REVOKED_SESSION": _again("revoked"),
    "SESSION_DOES_NOT_EXIST": _again("revoked"),
    "WRONG_SESSION_STATUS": _again("invalid", suspicious=True),
    "ASPSP_PSU_ACTION_REQUIRED": _again("action"),
    "WRONG_CREDENTIALS_PROVIDED": _again("action"),
    "AUTHORIZATION_NOT_PROVIDED": _again("authorisation"),
    "ALREADY_AUTHORIZED": _again("authorisation"),
    "EXPIRED_AUTHORIZATION_CODE": _again("authorisation"),
    "WRONG_AUTHORIZATION_CODE": _again("authorisation"),
    "NO_ACCOUNTS_ADDED": _again("no-accounts"),
    "ASPSP_ERROR": _passing,
    "ASPSP_TIMEOUT": _passing,
    "WRONG_CONTINUATION_KEY": lambda scope: Transient("the bank's pages have changed meanwhile", scope=scope),
    "WRONG_TRANSACTIONS_PERIOD": lambda scope: PeriodRejected(),
    "WRONG_DATE_INTERVAL": lambda scope: PeriodRejected(),
    "DATE_FROM_IN_FUTURE": lambda scope: PeriodRejected(),
    "DATE_TO_WITHOUT_DATE_FROM": lambda scope: PeriodRejected(),
    "ACCOUNT_DOES_NOT_EXIST": _one_account,
    "ASPSP_ACCOUNT_NOT_ACCESSIBLE": _one_account,
    "INVALID_ACCOUNT_ID": _one_account,
    "UNAUTHORIZED_ACCESS": _ours,
    "ACCESS_DENIED": _ours,
    "UNAUTHORIZED_IP": _our("Enable Banking refuses our address: it is not on the application's list"),
    "INVALID_HOST": _ours,
    "REDIRECT_URI_NOT_ALLOWED": _our("our callback's address is not registered with the application"),
    "WRONG_ASPSP_PROVIDED": _unsupported("Enable Banking doesn't know this bank"),
    "PSU_HEADER_INVALID": _unsupported("the bank refuses what the person's browser says of itself"),
}


def error_of(reply: Reply, scope: Scope, now: datetime, *, is_attended: bool) -> JobError:
    """Return the error of a reply that is no success."""
    body: Mapping[str, Any] = reply.body if isinstance(reply.body, dict) else {}
    code = body.get("error")
    wait = retry_after(reply.headers, now)
    if code == "ASPSP_RATE_LIMIT_EXCEEDED":
        wait = _QUOTA if wait is None else wait
        return RateLimited(scope=scope, retry_after=wait, retry_at=now + wait)
    if reply.status == 429:
        return RateLimited(scope=scope, retry_after=wait, retry_at=None if wait is None else now + wait)
    if code == "PSU_HEADER_NOT_PROVIDED":
        if not is_attended:
            return UnattendedRefused(scope=scope)
        return Unsupported("the bank wants more headers of the person than there are", scope=scope)
    if isinstance(code, str) and code in CODES:
        return CODES[code](scope)
    if reply.status >= 500 or reply.status == 408:
        return Transient(f"the bank answered {reply.status}", scope=scope, retry_after=wait)
    if reply.status in (401, 403):  # without a code it is about our application
        return CredentialError("Enable Banking refuses our application: not active, or its key is wrong", scope=scope)
    is_of_account = code != "TRANSACTION_DOES_NOT_EXIST"
    if reply.status == 404 and is_of_account and scope in (Scope.BALANCES, Scope.TRANSACTIONS):
        return AccountUnavailable(scope=scope)
    return BankRejected(reply.status, scope=scope)
