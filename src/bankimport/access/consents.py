"""What a consent means for its connection: its status, and who is told when.

A consent that ends soon makes its connection `REQUIRES_REAUTH`, yet it is synced until the consent really ends
(design §8). The reason on the connection remembers the last day and the threshold told, `consent-ending:2026-12-01:7`,
so each threshold of each consent is told once, and a renewal is seen by the day that no longer fits.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Protocol

from bankimport.models import BankConnection, Consent, ConsentStatus
from bankimport.status import ConnectionStatus

ENDING: Final = "consent-ending"
EXPIRED: Final = "expired"
REVOKED: Final = "revoked"
#: Days before the end at which the organisation is told again, besides the first warning.
REMINDERS: Final = (3, 1)
_NEVER: Final = date(9999, 12, 31)


class Marked(Protocol):
    """A connection, or what is shown of one."""

    @property
    def status(self) -> ConnectionStatus:
        """The state of the access."""

    @property
    def status_reason(self) -> str | None:
        """Why it is in that state."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a connection is to be. `tell` is true when its organisation has to hear of an ending consent now."""

    status: ConnectionStatus
    reason: str | None = None
    tell: bool = False


def has_ended(valid_until: date | None, today: date) -> bool:
    """Return whether the consent's last day is over. No day, or 9999-12-31, means the bank's maximum."""
    return valid_until is not None and valid_until < today


def was_refused(connection: Marked) -> bool:
    """Return whether the bank has called the consent expired, revoked or in need of the person: it isn't asked again
    by a schedule, unlike one that only ends soon."""
    reason = connection.status_reason or ENDING
    return connection.status is ConnectionStatus.REQUIRES_REAUTH and not reason.startswith(ENDING)


def is_syncable(connection: BankConnection, today: date) -> bool:
    """Return whether the schedule syncs this connection: `ACTIVE`, `ERROR`, and `REQUIRES_REAUTH` as long as its
    consent is valid (which one that the bank called expired or revoked is not)."""
    if connection.status is ConnectionStatus.REQUIRES_REAUTH:
        return not was_refused(connection) and not has_ended(connection.consent_valid_until, today)
    return connection.status in (ConnectionStatus.ACTIVE, ConnectionStatus.ERROR)


def standing(connection: BankConnection, consent: Consent, *, today: date, warning: timedelta) -> Standing:
    """Return what the consent, as the bank told it today, makes of the connection."""
    last_day = consent.valid_until
    if consent.status is ConsentStatus.REVOKED:
        return Standing(ConnectionStatus.REQUIRES_REAUTH, REVOKED)
    if consent.status is ConsentStatus.EXPIRED or has_ended(last_day, today):
        return Standing(ConnectionStatus.REQUIRES_REAUTH, EXPIRED)
    if consent.status is ConsentStatus.PENDING:  # being authorised just now: the person is at it
        return Standing(connection.status, connection.status_reason)
    if last_day is None or last_day == _NEVER or last_day - today > warning:
        return _renewed(connection)
    reason = f"{ENDING}:{last_day}:{_threshold((last_day - today).days, warning.days)}"
    return Standing(ConnectionStatus.REQUIRES_REAUTH, reason, tell=reason != connection.status_reason)


def _renewed(connection: BankConnection) -> Standing:
    if connection.status is ConnectionStatus.REQUIRES_REAUTH:
        return Standing(ConnectionStatus.ACTIVE)
    return Standing(connection.status, connection.status_reason)


def _threshold(days_left: int, warning: int) -> int:
    return min(days for days in (warning, *REMINDERS) if days >= days_left)


def after_success(connection: BankConnection) -> Standing | None:
    """Return what a sync that went well makes of the connection; None to leave it as it is.

    A warning that the consent ends stays, unless the consent has been renewed since.
    """
    if connection.status is ConnectionStatus.ACTIVE:
        return None
    reason = connection.status_reason or ""
    if connection.status is ConnectionStatus.REQUIRES_REAUTH and reason.startswith(ENDING):
        told_of = reason.split(":")[1:2]
        if told_of == [str(connection.consent_valid_until)]:
            return None
    return Standing(ConnectionStatus.ACTIVE)
