"""What an error of GoCardless Bank Account Data means: `{summary, detail, status_code, type?}`, told apart by words."""

import re
from collections.abc import Mapping
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
)
from bankimport.models import Scope
from bankimport.providers.http import Reply
from bankimport.providers.quota import quota_of, retry_after

#: the daily limit of an account and scope, where no header says when it begins anew
_QUOTA: Final = timedelta(hours=6)
_SECONDS: Final = re.compile(r"\b([0-9]{1,6}) seconds?\b")
_USED_UP: Final = "the usage limit of our contract with GoCardless is reached (402): raise it with them, or wait"
_ADDRESS: Final = "GoCardless refuses our address: our key may not be used from there"
_UNKNOWN: Final = "GoCardless knows no such secret: secret_id or secret_key is wrong, or was revoked"
_OF_ONE_ACCOUNT: Final = frozenset({Scope.BALANCES, Scope.TRANSACTIONS})


class TokenRefused(Transient):
    """The access token is refused: it is dropped, and the next request is made with a new one."""

    def __init__(self, *, scope: Scope | None = None) -> None:
        super().__init__("GoCardless refuses the access token; the next try has a new one", scope=scope)


def error_of(reply: Reply, scope: Scope, now: datetime) -> JobError:
    """Return the error of a reply that is no success."""
    said = _words(reply.body)
    if reply.status == 429:
        return _limited(reply, said, scope, now)
    if "eua" in said or "end user agreement" in said or "accessexpired" in said:
        return ReauthRequired("expired" if "expired" in said else "invalid", scope=scope)
    if reply.status >= 500 or reply.status == 408:
        return Transient(f"the bank answered {reply.status}", scope=scope, retry_after=retry_after(reply.headers, now))
    if reply.status == 400 and isinstance(reply.body, dict) and ("date_from" in reply.body or "date_to" in reply.body):
        return PeriodRejected()
    return _refused(reply.status, said, scope)


def _refused(status: int, said: str, scope: Scope) -> JobError:
    if status == 402:
        return CredentialError(_USED_UP, scope=scope)
    if "ip address" in said:
        return CredentialError(_ADDRESS, scope=scope)
    if "no active account found" in said:
        return CredentialError(_UNKNOWN, scope=scope)
    if status == 401 and "token" in said:
        return TokenRefused(scope=scope)
    if scope in _OF_ONE_ACCOUNT or scope is Scope.ACCOUNTS:
        if status in (403, 404, 409) or "accountinactive" in said:
            return AccountUnavailable(scope=scope)
    elif status == 404:
        return ReauthRequired("revoked", scope=scope)
    if status == 401:
        return ReauthRequired("refused", scope=scope, suspicious=True)
    return BankRejected(status, scope=scope)


def _limited(reply: Reply, said: str, scope: Scope, now: datetime) -> RateLimited:
    """A burst of our own is told in seconds; the limit of a day by the headers of the account."""
    wait = retry_after(reply.headers, now)
    quota = quota_of(reply.headers, now)
    told = _SECONDS.search(said)
    if wait is None and quota is not None and quota.remaining == 0:
        wait = quota.resets_at - now
    if wait is None and told is not None:
        wait = min(timedelta(seconds=int(told[1])), timedelta(hours=24))
    wait = _QUOTA if wait is None else wait
    return RateLimited(scope=scope, retry_after=wait, retry_at=now + wait)


def _words(body: Any) -> str:
    """Return what the body says, in lower case, to be searched and never to be shown."""
    if not isinstance(body, Mapping):
        return ""
    texts = [body.get(name) for name in ("summary", "detail", "type", "error")]
    flat = [each for text in texts for each in (text if isinstance(text, list) else [text])]
    return " ".join(text.lower()[:1000] for text in flat[:20] if isinstance(text, str))
