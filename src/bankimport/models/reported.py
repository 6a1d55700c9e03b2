"""What a bank reports, as a provider hands it on: unchecked; the import checks it, row by row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bankimport.models.bank import BankId, TransactionStatus


@dataclass(frozen=True, slots=True)
class UnreadableBalance:
    """A balance that can't be read; it costs no other. `reason` is a short constant such as `amount-missing`."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReportedTransaction:
    """One entry as the bank sent it: untrusted, of any type. Dates and amounts are still text or numbers."""

    status: TransactionStatus
    amount: object = field(repr=False)
    currency: object = None
    indicator: object = None  # "CRDT" or "DBIT" where the amount has no sign of its own
    booking_date: object = None
    value_date: object = None
    transaction_date: object = None
    booking_date_time: object = None  # instants: each stands in where its date can't be read
    value_date_time: object = None
    day: object = None  # the date that goes before all others, where the provider is told so (`day_field`)
    ids: tuple[BankId, ...] = ()
    link: BankId | None = None  # an explicit reference to the pending entry that this one replaces
    counterparty_name: object = field(default=None, repr=False)
    counterparty_iban: object = field(default=None, repr=False)
    remittance: object = field(default=None, repr=False)
    raw: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Quota:
    """What a bank says is left of its quota for one account: so many reads until it begins anew at `resets_at`."""

    remaining: int
    resets_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a window. `cursor` continues after it; None on the last page. The end of the iteration without
    an exception, after a page with no cursor, is the proof that the window was read completely. `quota` is what its
    answer's headers said; when nothing is left the account isn't read unattended until it begins anew."""

    transactions: tuple[ReportedTransaction, ...]
    cursor: str | None = None
    quota: Quota | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """A change list since a cursor (Plaid's model): a change during paging starts over."""

    added: tuple[ReportedTransaction, ...] = ()
    modified: tuple[ReportedTransaction, ...] = ()
    removed: tuple[BankId, ...] = ()
    cursor: str | None = None
    has_more: bool = False
    quota: Quota | None = None
