"""How a connection stands, as a page for its person needs it: nothing secret, and no account's full number."""

from datetime import date, datetime

from bankimport.models.model import Model
from bankimport.status import ConnectionStatus


class ConnectionSummary(Model):
    """One access to one bank. `explanation` is for a person; `syncable` is whether the schedule reads it."""

    id: str
    org_id: str
    bank: str
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


class AccountDetails(Model):
    """One account: the last four digits of its number, what was read completely, and what may be read."""

    id: str
    name: str | None = None
    kind: str | None = None
    currency: str | None = None
    iban_end: str | None = None
    covered_since: date | None = None
    covered_until: date | None = None
    attended_only: bool = False
    reads_today: ReadsToday


class ConnectionDetails(ConnectionSummary):
    """One access to one bank, with its accounts."""

    accounts: tuple[AccountDetails, ...] = ()


class ConnectionPage(Model):
    """A page of connections, in the order of their ids; without `nextCursor` on the last one."""

    connections: tuple[ConnectionSummary, ...]
    next_cursor: str | None = None
