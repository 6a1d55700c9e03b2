"""What a bank's callback means, whoever calls it: nothing that it brings is believed until it has been compared.

A callback is public. It is called twice (a reload), late (the person had lunch), by a stranger, by another user to whom
the address was sent, without its state (some banks forget it where the person cancels), or never.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from bankimport.imports.accounts import View
from bankimport.models import Authorisation, AuthorisationOutcome, AuthorisationStep, BankAccount, Callback

#: so long a person may take; no state lives longer
LIFETIME: Final = timedelta(hours=1)
#: who began to ask the bank and hasn't ended it by then, has died
CLAIM: Final = timedelta(minutes=2)
#: where the person authorises in the bank's own app, the bank is asked so often
POLL: Final = timedelta(seconds=3)

_O: Final = AuthorisationOutcome
#: errors of OAuth (RFC 6749 §4.1.2.1, RFC 6749 §5.2) and of GoCardless, by whose doing they are
_PERSON: Final = frozenset({"access_denied", "usercancelledsession", "user_cancelled", "cancelled", "consent_declined"})
_OURS: Final = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_scope",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_response_type",
    }
)
#: with these words a bank says in its `access_denied` that it is the bank who refuses
_BANKS_WORDS: Final = re.compile(
    r"contact|locked|blocked|not (eligible|available|supported|enabled)|unavailable|technical|internal", re.IGNORECASE
)


class Action(StrEnum):
    """What is done about a callback."""

    #: nothing of it is ours to act on: tell the person no more than that
    REFUSE = "refuse"
    #: an error that names no authorisation: nothing is known but that it did not work
    TELL = "tell"
    #: it is over: the same answer once more
    REPEAT = "repeat"
    #: another request is asking the bank just now
    WAIT = "wait"
    #: it ends here, without asking the bank
    END = "end"
    #: the bank is asked what came of it
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why, in a word for the log and the status."""

    action: Action
    outcome: AuthorisationOutcome | None = None
    reason: str = ""


def hashed(state: str) -> str:
    """Return what is stored of a state: it has 256 random bits, so that a plain hash can't be turned back."""
    return hashlib.sha256(state.encode(errors="replace")).hexdigest()


def decide(found: Authorisation | None, callback: Callback, *, bank: str, user: str | None, now: datetime) -> Decision:
    """Return what a callback means. `found` is the authorisation of its state, `user` who is there just now."""
    if found is None:
        if callback.is_failure and not callback.state:
            return Decision(Action.TELL, outcome_of(callback), "no-state")
        return Decision(Action.REFUSE, reason="unknown-state")
    if found.bank != bank:
        return Decision(Action.REFUSE, reason="other-bank")
    if user is None or not hmac.compare_digest(found.user.encode(), user.encode()):
        return Decision(Action.REFUSE, reason="other-user")
    if found.step is AuthorisationStep.ENDED:
        return Decision(Action.REPEAT, found.outcome, found.reason or "")
    if found.step is AuthorisationStep.FINISHING and found.claimed_at is not None and now < found.claimed_at + CLAIM:
        return Decision(Action.WAIT)
    if now >= found.expires_at:
        return Decision(Action.END, _O.FAILED, "too-late")
    if callback.error:
        return Decision(Action.END, outcome_of(callback), _word(outcome_of(callback)))
    return Decision(Action.ASK)


def has_died(found: Authorisation, now: datetime) -> bool:
    """Return whether its time is over, and nobody is asking the bank: it ended without having been ended."""
    is_asked = found.step is AuthorisationStep.FINISHING and now < (found.claimed_at or found.created_at) + CLAIM
    return found.step is not AuthorisationStep.ENDED and now >= found.expires_at and not is_asked


def outcome_of(callback: Callback) -> AuthorisationOutcome:
    """Return whose doing an error is: the person's, the bank's or ours.

    `access_denied` is nearly always the person's, but for banks that say so when they refuse the person.
    """
    code = callback.error.strip().casefold()
    if code in _PERSON or not code:
        told = callback.parameters.get("error_description", "")[:500]
        return _O.BANK_FAILED if _BANKS_WORDS.search(told) else _O.CANCELLED
    return _O.FAILED if code in _OURS else _O.BANK_FAILED


def _word(outcome: AuthorisationOutcome) -> str:
    return {_O.CANCELLED: "person", _O.BANK_FAILED: "bank"}.get(outcome, "refused-us")


def same_login(listed: Sequence[BankAccount], others: Iterable[tuple[str, Sequence[BankAccount]]]) -> str | None:
    """Return the first of other connections that has an account of the list: the person is connected already."""
    keys = {key for account in listed for key in View(account).keys}
    for connection_id, accounts in others:
        if any(account.is_listed and not keys.isdisjoint(View(account).keys) for account in accounts):
            return connection_id
    return None
