"""What the routes need of the rest: the application's object, and a memory for repeated requests."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

from aiohttp import web

from bankimport.models import (
    AuditFilter,
    AuditPage,
    AuthorisationBegun,
    AuthorisationEnd,
    AuthorisationStatus,
    ConnectionDetails,
    ConnectionPage,
    JobPage,
    JobStatus,
    JobType,
    PsuContext,
    QueueHealth,
    QueueStats,
)
from bankimport.queue.filters import JobFilter
from bankimport.status import JobState

#: What a request wants to do: read = look; sync = sync, retry, cancel, connect; operate = whatever concerns the whole
#: queue, which is always asked with no organisation.
Action = Literal["read", "sync", "operate"]

#: Says whether the sender of a request may do something in an organisation (None: the whole queue). Only True lets in.
Authorize = Callable[[web.Request, Action, str | None], Awaitable[bool]]

#: Says which person asks for a sync just now, for their bank; None where nobody is there.
Person = Callable[[web.Request], Awaitable[PsuContext | None]]


class Auditing(Protocol):
    """What people did; `BankImport.audit` is one. Its docstrings tell the errors."""

    async def note(
        self,
        action: str,
        *,
        org_id: str | None = None,
        subject: str | None = None,
        who: str | None = None,
        **facts: str | int | bool | None,
    ) -> None:
        """Write down what was done."""

    async def list(self, wanted: AuditFilter | None = None, *, cursor: str | None = None, limit: int = 50) -> AuditPage:
        """Return a page of what people did, the newest first."""


class Connecting(Protocol):
    """How people connect their banks; `BankImport.connections` is one. Its docstrings tell the errors."""

    async def connect(
        self,
        *,
        org_id: str,
        bank: str,
        user: str,
        institution: str | None = None,
        return_to: str | None = None,
        language: str | None = None,
        psu: PsuContext | None = None,
    ) -> AuthorisationBegun:
        """Begin to connect a bank."""

    async def renew(
        self,
        connection_id: str,
        *,
        user: str,
        org_id: str | None = None,
        institution: str | None = None,
        return_to: str | None = None,
        language: str | None = None,
        psu: PsuContext | None = None,
    ) -> AuthorisationBegun:
        """Begin to renew a consent."""

    async def finish(
        self, bank: str, parameters: Mapping[str, str], *, user: str | None, psu: PsuContext | None = None
    ) -> AuthorisationEnd:
        """End what was begun."""

    async def authorisation(self, connection_id: str, *, org_id: str | None = None) -> AuthorisationStatus:
        """Return how the latest authorisation of a connection stands."""

    async def give_up(self, connection_id: str, *, org_id: str | None = None) -> None:
        """End an authorisation that goes on."""

    async def revoke(self, connection_id: str, *, org_id: str | None = None) -> None:
        """Withdraw an access."""


class Service(Protocol):
    """What the routes call; `bankimport.BankImport` is one. Its docstrings tell the errors."""

    @property
    def connections(self) -> Connecting:
        """How people connect their banks."""

    @property
    def audit(self) -> Auditing:
        """What people did."""

    async def schedule_immediate_sync(
        self,
        connection_id: str,
        *,
        org_id: str | None = None,
        force_full_sync: bool = False,
        account_ids: Sequence[str] | None = None,
        start_date: date | None = None,
        end_date: date | None = None,
        triggered_by: str | None = None,
        psu: PsuContext | None = None,
    ) -> str:
        """Ask for the import of one connection now; return the job's id."""

    async def schedule_org_sync(
        self, org_id: str, *, connection_ids: Sequence[str] | None = None, triggered_by: str | None = None
    ) -> str:
        """Ask for the import of an organisation's connections; return the batch's id."""

    async def list_connections(self, org_id: str, *, cursor: str | None = None, limit: int = 50) -> ConnectionPage:
        """Return how an organisation's connections stand."""

    async def get_connection(self, connection_id: str, org_id: str | None = None) -> ConnectionDetails:
        """Return how a connection of the organisation stands, with its accounts."""

    async def get_job_status(self, job_id: str, org_id: str | None = None) -> JobStatus | None:
        """Return a job's record; None if there is none, or it is another organisation's."""

    async def retry_jobs(self, wanted: JobFilter) -> int:
        """Try all failed jobs again that match; return how many there are."""

    async def discard_jobs(self, wanted: JobFilter) -> int:
        """Remove the records of jobs that match, or cancel those that wait; return how many there are."""

    async def count_jobs(self, wanted: JobFilter) -> int:
        """Return how many jobs match."""

    async def list_jobs(
        self,
        org_id: str | None,
        *,
        state: JobState | None = None,
        connection_id: str | None = None,
        type: JobType | None = None,  # noqa: A002  # the contract's name
        error_code: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> JobPage:
        """Return a page of an organisation's jobs, newest first."""

    async def cancel_job(self, job_id: str, org_id: str | None = None) -> None:
        """Cancel a job of the organisation."""

    async def retry_job(self, job_id: str, org_id: str | None = None) -> None:
        """Try a failed job of the organisation again."""

    async def pause_queue(self, *, until: datetime | None = None, reason: str | None = None) -> None:
        """Let nothing start."""

    async def resume_queue(self) -> None:
        """Let jobs start again."""

    async def get_queue_stats(self) -> QueueStats:
        """Return how many jobs are in each state."""

    async def count_consents_ending(self) -> Mapping[int, int]:
        """Return how many consents end within so many days; nothing while the store is away."""

    async def get_queue_health(self) -> QueueHealth:
        """Return the queue's health."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a POST: its status, its JSON text, and the `Location`, if there was one."""

    status: int
    text: str
    location: str | None = None


class Answers(Protocol):
    """Remembers, for 24 hours, what was answered to a POST with an `Idempotency-Key`."""

    async def claim(self, key: str, digest: str) -> Answer | None:
        """Take `key` for the request with this digest, atomically. None: it is yours, `remember` or `forget` it.

        Raises:
            KeyReused: the key stands for another request.
            KeyInUse: the same request is being answered just now.
            Unavailable: Redis can't be reached.
        """

    async def remember(self, key: str, digest: str, answer: Answer) -> None:
        """Keep the answer of the request that has claimed `key`, for 24 hours."""

    async def forget(self, key: str, digest: str) -> None:
        """Give a claim back: the request had no lasting answer and may be sent again."""
