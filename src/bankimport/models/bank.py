"""Banking in our words: connections, accounts, and what we keep.

Plain slotted dataclasses, not pydantic models: a first import carries a million of them. Nothing here prints a
person's data in its `repr`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import Any

from bankimport.status import ConnectionStatus


@dataclass(frozen=True, slots=True)
class BankConnection:
    """One person's or company's access to one bank: a PSD2 consent. `bank` names a configured provider."""

    id: str
    org_id: str
    bank: str
    status: ConnectionStatus = ConnectionStatus.ACTIVE
    status_reason: str | None = None
    consent_id: str | None = field(default=None, repr=False)
    consent_valid_until: date | None = None
    credentials: Mapping[str, Any] | None = field(default=None, repr=False)
    last_sync_at: datetime | None = None
    next_sync_at: datetime | None = None
    #: when the bank was last asked without the person, however that ended
    asked_at: datetime | None = None
    created_at: datetime | None = None
    #: which bank, where the provider has many: what a renewal asks for again
    institution: str | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """A balance as reported; `balance_type` is Berlin Group's (`closingBooked`, `interimAvailable`, …)."""

    balance_type: str
    amount: Decimal = field(repr=False)
    currency: str = ""
    reference_date: date | None = None
    fetched_at: datetime | None = None


#: namespace and value: what an id is looked up by, within one account
IdKey = tuple[str, str]
Money = tuple[Decimal, str]


class IdQuality(StrEnum):
    """What a bank's transaction id is worth: `STRONG` names one transaction for ever, `WEAK` only orders candidates."""

    STRONG = "strong"
    WEAK = "weak"


@dataclass(frozen=True, slots=True)
class BankId:
    """An alias of a row: an id of the bank's in a namespace (`transactionId`, `entryReference`, …)."""

    namespace: str
    value: str
    quality: IdQuality = IdQuality.STRONG

    @property
    def key(self) -> IdKey:
        """What it is looked up by; its quality is no part of it."""
        return self.namespace, self.value


class TransactionStatus(StrEnum):
    """What a bank says of an entry. `CANCELLED` covers CNCL and RJCT: it ends a pending one and is never stored."""

    PENDING = "pending"
    BOOKED = "booked"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Transaction:
    """One entry, read and checked. `amount` is signed: money in is positive. `day` is the first date that could be
    read: booking, value, transaction, then the instants; of a pending entry without any, the day it was read. `page` is
    where in the read it stood, and `may_repeat` that it equals the end of the page before: neither is stored."""

    status: TransactionStatus
    day: date
    amount: Decimal = field(repr=False)
    currency: str = ""
    booking_date: date | None = None
    value_date: date | None = None
    ids: tuple[BankId, ...] = ()
    link: BankId | None = None
    counterparty_name: str | None = field(default=None, repr=False)
    counterparty_iban: str | None = field(default=None, repr=False)
    remittance: str | None = field(default=None, repr=False)
    raw: Mapping[str, Any] | None = field(default=None, repr=False)
    page: int = 0
    may_repeat: bool = False

    @property
    def is_booked(self) -> bool:
        """Whether the bank has booked it."""
        return self.status is TransactionStatus.BOOKED

    @property
    def money(self) -> Money:
        """Amount and currency."""
        return self.amount, self.currency

    @property
    def names(self) -> list[IdKey]:
        """The keys of the ids that name this one entry."""
        return [(i.namespace, i.value) for i in self.ids if i.quality is IdQuality.STRONG]

    @property
    def lookups(self) -> list[BankId]:
        """What its row may be found by in the store: the ids that name this one entry, its own and its link."""
        ids = self.ids if self.link is None else (*self.ids, self.link)
        return [i for i in ids if i.quality is IdQuality.STRONG]


@dataclass(frozen=True, slots=True)
class Window:
    """Days to read, both included. `until` None means: whatever the bank has, tomorrow's bookings too."""

    since: date
    until: date | None = None

    def holds(self, day: date) -> bool:
        """Return whether it is one of these days."""
        return self.since <= day and (self.until is None or day <= self.until)


class ConsentStatus(StrEnum):
    """Berlin Group's `consentStatus`, reduced to what we act on."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent as the bank sees it now. `valid_until` is its last day; None means the bank's own maximum."""

    status: ConsentStatus
    valid_until: date | None = None


class Scope(StrEnum):
    """What a read touches; banks count quotas by it."""

    CONSENT = "consent"
    ACCOUNTS = "accounts"
    BALANCES = "balances"
    TRANSACTIONS = "transactions"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a bank can do and allows. `unattended_limit` reads in 24 h per account and scope (RTS (EU) 2018/389
    Art. 36(5)(b): four); None for a contract that allows any number. `quota_scopes` are those that the bank counts. A
    bank that counts calendar days does so in `quota_zone`; None for one that counts any 24 hours."""

    max_history: timedelta = timedelta(days=90)
    fresh_sca: timedelta = timedelta(minutes=15)
    statuses: frozenset[TransactionStatus] = frozenset({TransactionStatus.BOOKED, TransactionStatus.PENDING})
    id_quality: IdQuality = IdQuality.WEAK
    quota_scopes: frozenset[Scope] = frozenset({Scope.ACCOUNTS, Scope.BALANCES, Scope.TRANSACTIONS})
    unattended_limit: int | None = 4
    quota_zone: tzinfo | None = None
    pages_count: bool = False  # whether each page counts as an access of its own
    unattended_allowed: bool = True
    delta: bool = False


@dataclass(frozen=True, slots=True)
class PsuContext:
    """The person who asks just now (PSU, payment service user). Only ever built from a real request; never stored
    beyond its job, never invented. A private or loopback address is none."""

    ip: str = field(repr=False)
    user_agent: str | None = field(default=None, repr=False)
    at: datetime | None = None


class RowStatus(StrEnum):
    """The status of a stored row; `REMOVED` is a pending one that never came."""

    PENDING = "pending"
    BOOKED = "booked"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A row of the store, as reconciliation needs it. `missing_at_bank` counts complete reads that lacked it."""

    id: str
    status: RowStatus
    transaction: Transaction
    missing_at_bank: int = 0
    deleted_by_user: bool = False

    @property
    def is_booked(self) -> bool:
        """Whether it is kept as booked."""
        return self.status is RowStatus.BOOKED

    @property
    def day(self) -> date:
        """The day of its entry."""
        return self.transaction.day

    @property
    def money(self) -> Money:
        """Amount and currency of its entry."""
        return self.transaction.money

    @property
    def names(self) -> list[IdKey]:
        """The keys of the ids that name this one row."""
        return self.transaction.names


@dataclass(frozen=True, slots=True)
class Interval:
    """Days that were read completely, both ends included."""

    since: date
    until: date
