"""How a connection is, in one word: a pure decision, which a SQL store makes in its query as well."""

from datetime import date, datetime, timedelta
from typing import Final, Protocol

from bankimport.access.consents import Marked, has_ended, was_refused
from bankimport.models import ConnectionHealth
from bankimport.status import ConnectionStatus

#: Three reads a day are planned: after so long one is missed.
BEHIND: Final = timedelta(hours=26)
#: From so many days before its end a consent is to be renewed: the last days count.
SOON: Final = timedelta(days=14)


class Examined(Marked, Protocol):
    """What is looked at; `BankConnection` and `ConnectionSummary` have it."""

    @property
    def consent_valid_until(self) -> date | None:
        """The consent's last day."""

    @property
    def last_sync_at(self) -> datetime | None:
        """When it was read with success."""


def health_of(connection: Examined, now: datetime) -> ConnectionHealth:
    """Return how a connection is."""
    last_day, today = connection.consent_valid_until, now.date()
    if connection.status is ConnectionStatus.DISCONNECTED:
        return ConnectionHealth.DISCONNECTED
    if connection.status is ConnectionStatus.PENDING:
        return ConnectionHealth.BEING_CONNECTED
    if has_ended(last_day, today) or was_refused(connection):
        return ConnectionHealth.NEEDS_RENEWAL
    if connection.status is ConnectionStatus.ERROR:
        return ConnectionHealth.ERROR
    if connection.status is ConnectionStatus.REQUIRES_REAUTH or (last_day is not None and last_day <= today + SOON):
        return ConnectionHealth.ENDS_SOON
    if connection.last_sync_at is None:
        return ConnectionHealth.NEW
    return ConnectionHealth.BEHIND if connection.last_sync_at < now - BEHIND else ConnectionHealth.UP_TO_DATE
