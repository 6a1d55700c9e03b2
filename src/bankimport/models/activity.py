"""What is asked of the banks and how they answer, over time."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from bankimport.models.connections import ConnectionHealth
from bankimport.models.model import Model


class RequestOutcome(StrEnum):
    """What became of one request to a bank."""

    #: the bank did what it was asked for
    ANSWERED = "answered"
    #: no connection, or no answer in time
    NO_ANSWER = "no-answer"
    #: 5xx
    FAILED = "failed"
    #: a success that can't be read
    UNREADABLE = "unreadable"
    #: 401 or 403, or a certificate of ours that is not accepted
    REFUSED = "refused"
    #: 429
    LIMITED = "limited"
    #: any other status: the bank understood and said no
    REJECTED = "rejected"

    @classmethod
    def of_status(cls, status: int) -> "RequestOutcome":
        """Return what a status says; whether the answer can be read is seen later."""
        if status < 300:
            return cls.ANSWERED
        if status >= 500:
            return cls.FAILED
        return {401: cls.REFUSED, 403: cls.REFUSED, 429: cls.LIMITED}.get(status, cls.REJECTED)

    @property
    def is_trouble(self) -> bool:
        """Whether a bank that answers nothing else is one that fails."""
        return self in (self.NO_ANSWER, self.FAILED, self.UNREADABLE, self.REFUSED)


class Period(StrEnum):
    """How far back figures go: by the minute, by the hour, and by the quarter of a day."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


class BankStep(Model):
    """The requests of a stretch of time."""

    since: datetime
    requests: int
    errors: int


class BankActivity(Model):
    """A bank of the host's by its configured name: what was asked of it in a period, and how it answers now."""

    name: str
    #: whether this process has it; else stored connections name it
    configured: bool
    requests: int
    #: by what became of them, but for those that were answered
    errors: Mapping[RequestOutcome, int]
    #: how long answers took, read from a histogram whose steps are 1.4 times apart; None without an answer
    typical: timedelta | None = None
    slow: timedelta | None = None
    #: reads that the bank's quota didn't allow yet, and that were deferred
    deferred: int
    steps: tuple[BankStep, ...]
    answered_at: datetime | None = None
    #: since when nothing but errors comes back, how many in a row, and what the last was
    failing_since: datetime | None = None
    failures_in_a_row: int = 0
    last_error: RequestOutcome | None = None
    #: of all organisations; empty where the store can't count them
    connections: Mapping[ConnectionHealth, int]

    @property
    def failed_requests(self) -> int:
        """How many were not answered well."""
        return sum(self.errors.values())

    @property
    def is_failing(self) -> bool:
        """Whether it fails: one or two errors are no outage."""
        return self.failing_since is not None and self.failures_in_a_row >= 3
