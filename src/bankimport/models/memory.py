"""What the reads of one account have taught us, kept beside its rows: which days are known, what its ids are worth, and
what is doubtful."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from bankimport.models.bank import Interval, TransactionStatus


@dataclass(frozen=True, slots=True)
class DayRead:
    """Days that were read completely on one day, `on`, and on no other so far; both ends included."""

    since: date
    until: date
    on: date


@dataclass(frozen=True, slots=True)
class IdWorth:
    """How the ids of a namespace have done in the past reads, each weighing 0.9 of the one after it.

    `is_shared`: one of them has named different entries within one read.
    """

    agreed: float = 0.0
    disagreed: float = 0.0
    is_shared: bool = False


class DoubtReason(StrEnum):
    """Why an entry was put off: it may repeat the end of the page before, or be a row from just outside the window."""

    REPEAT = "repeat"
    EDGE = "edge"


@dataclass(frozen=True, slots=True)
class Doubt:
    """An entry that was put off once. It is told by its day and money, as a second read will show it."""

    reason: DoubtReason
    status: TransactionStatus
    day: date
    amount: Decimal = field(repr=False)
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of an account from its reads. `coverage` are the days read completely on two days, `once` those
    read completely on one; `history` is what the bank really serves, where it has refused more."""

    coverage: tuple[Interval, ...] = ()
    once: tuple[DayRead, ...] = ()
    worth: Mapping[str, IdWorth] = field(default_factory=dict)
    doubts: tuple[Doubt, ...] = ()
    history: timedelta | None = None


@dataclass(frozen=True, slots=True)
class AccountState:
    """What the store knows of an account's imports: the `version` that a write compares, what the reads have taught, a
    delta's cursor."""

    version: int = 0
    memory: Memory = field(default_factory=Memory)
    cursor: str | None = None
    attended_only: bool = False

    @property
    def coverage(self) -> tuple[Interval, ...]:
        """The days read completely on two days."""
        return self.memory.coverage
