"""How a connection stands, as a page for its person needs it: nothing secret, and no account's full number."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from bankimport.models.accounts import Undecided
from bankimport.models.model import Model
from bankimport.status import ConnectionStatus


class ConnectionHealth(StrEnum):
    """How a connection is, for a list of many: the first that is true, in this order."""

    DISCONNECTED = "disconnected"
    BEING_CONNECTED = "being-connected"
    NEEDS_RENEWAL = "needs-renewal"
    ERROR = "error"
    ENDS_SOON = "ends-soon"
    NEW = "new"
    BEHIND = "behind"
    UP_TO_DATE = "up-to-date"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFilter:
    """What the connections that are meant have in common; None: any."""

    org_id: str | None = None
    bank: str | None = None
    health: ConnectionHealth | None = None


class ConnectionSummary(Model):
    """One access to one bank. `explanation` is for a person; `syncable` is whether the schedule reads it."""

    id: str
    org_id: str
    bank: str
    #: which bank, where the provider has many
    institution: str | None = None
    status: ConnectionStatus
    status_reason: str | None = None
    explanation: str
    syncable: bool
    #: the consent's last day
    consent_valid_until: date | None = None
    last_sync_at: datetime | None = None
    next_sync_at: datetime | None = None
    created_at: datetime | None = None


class ReadsToday(Model):
    """The unattended reads of an account's transactions in the last 24 hours; without `allowed` any number is."""

    used: int
    allowed: int | None = None
    #: when each of the reads no longer counts, the earliest first
    frees_at: tuple[datetime, ...] = ()


class CoveredDays(Model):
    """Days that were read completely, both included."""

    since: date
    until: date


class AccountDetails(Model):
    """One account: the last four digits of its number, what was read completely, and what may be read."""

    id: str
    name: str | None = None
    kind: str | None = None
    currency: str | None = None
    iban_end: str | None = None
    covered_since: date | None = None
    covered_until: date | None = None
    #: all that was read completely on two days, the oldest first
    coverage: tuple[CoveredDays, ...] = ()
    #: what was read completely on one day so far; what lies between these and `coverage` is a gap
    read_once: tuple[CoveredDays, ...] = ()
    attended_only: bool = False
    #: whether the bank's latest list has it; else it is kept, and nothing is asked for it
    listed: bool = True
    #: why it couldn't be told, when it was new, from one that had left the list; somebody decides
    undecided: Undecided | None = None
    #: the accounts of this connection that it may be said to be
    could_be: tuple[str, ...] = ()
    reads_today: ReadsToday


class ConnectionDetails(ConnectionSummary):
    """One access to one bank, with its accounts."""

    accounts: tuple[AccountDetails, ...] = ()


class ConnectionPage(Model):
    """A page of connections, in the order of their ids; without `nextCursor` on the last one."""

    connections: tuple[ConnectionSummary, ...]
    next_cursor: str | None = None
