"""The ledger of unattended requests, and the notes that the runs of a job leave for the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Protocol

from bankimport.models import Scope


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What a bank's quota is counted by: it survives a renewed consent. `stable_key` is the account's, or the
    connection's id for what concerns no single account (its list of accounts, its consent)."""

    bank: str
    stable_key: str
    scope: Scope


class Asks(StrEnum):
    """Who asks a bank without the person being there, and for what."""

    #: a tick of the schedule, and the retries of its job
    PLANNED = "p"
    #: somebody's request for all that is new
    WHOLE = "w"
    #: somebody's request for days of their own choice: it brings nothing of what the schedule reads
    DAYS = "d"


@dataclass(frozen=True, slots=True)
class CountedRead:
    """One request that a bank has counted, or may have: when, by which connection's job, for whom."""

    at: datetime
    asks: Asks
    connection_id: str
    job_id: str


@dataclass(frozen=True, slots=True)
class AccessHistory:
    """What the ledger knows of a key: its reads that still count, oldest first; how many reads of the connection that
    asks have failed in a row; and until when the bank has closed it."""

    reads: tuple[CountedRead, ...] = ()
    failures: int = 0
    closed_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Met:
    """That the ledger has met a connection, and when its list of accounts was read since."""

    listed_at: datetime | None = None


class AccessLedger(Protocol):
    """The unattended requests of the last day, for all workers together. Each call is atomic."""

    async def reserve(
        self, key: AccessKey, read: CountedRead, *, limit: int | None, zone: tzinfo | None, begins: bool
    ) -> datetime | None:
        """Count a request that is about to be made; None if `budget.slot` allows it, else the instant from which it
        does.

        `limit` None counts without a limit. `begins` is false for what belongs to a read already begun, as a further
        page: a read counts as failed from its beginning until `note_success`, so that one cut off by a crash is a
        failure too; what the schedule didn't ask for is one failure in a row at most.
        """

    async def note_success(self, key: AccessKey, connection_id: str) -> None:
        """Note that a read of this connection ended well."""

    async def close(self, key: AccessKey, until: datetime) -> None:
        """Allow no unattended request before `until`; what is closed for longer already stays so."""

    async def history(self, key: AccessKey, connection_id: str, since: datetime) -> AccessHistory:
        """Return what is known of a key, its reads after `since`; the failures are the connection's own."""

    async def met(self, connection_id: str) -> Met | None:
        """Return what is noted of a connection; None if this ledger hasn't met it for two days: it is new, or the
        ledger was emptied."""

    async def meet(self, connection_id: str, met: Met) -> None:
        """Note that the connection was met."""


class JobNotes(Protocol):
    """What the runs of one job have done, account by account, for a run that begins anew after a crash, a deploy or a
    failure. It ends with the job, or after some hours."""

    async def load(self, job_id: str) -> Mapping[str, str]:
        """Return the notes of a job by the account's id."""

    async def put(self, job_id: str, account_id: str, note: str) -> None:
        """Note an account, in the place of what was noted of it before."""
