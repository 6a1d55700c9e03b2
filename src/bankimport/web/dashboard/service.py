"""What the pages need of the rest; `bankimport.BankImport` is one. Its docstrings tell the errors."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from bankimport.models import (
    ConnectionDetails,
    ConnectionFilter,
    ConnectionHealth,
    ConnectionPage,
    JobPage,
    JobStatus,
    JobType,
    QueueHealth,
    ScheduleStatus,
)
from bankimport.queue.filters import JobFilter
from bankimport.settings import Settings
from bankimport.status import JobState
from bankimport.web.service import Auditing


@runtime_checkable
class Operations(Protocol):
    """What an operator looks at and does."""

    settings: Settings

    @property
    def audit(self) -> Auditing:
        """What people did."""

    async def get_queue_health(self) -> QueueHealth:
        """Return the queue's health."""

    async def get_schedules(self) -> Sequence[ScheduleStatus]:
        """Return when the schedules were due, and are due next."""

    async def get_job_status(self, job_id: str, org_id: str | None = None) -> JobStatus | None:
        """Return a job's record."""

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
        """Return a page of jobs."""

    async def count_jobs(self, wanted: JobFilter) -> int:
        """Return how many jobs a filter means."""

    async def retry_jobs(self, wanted: JobFilter) -> int:
        """Try failed jobs again."""

    async def discard_jobs(self, wanted: JobFilter) -> int:
        """Remove records of jobs that have ended, or cancel those that wait."""

    async def retry_job(self, job_id: str, org_id: str | None = None) -> None:
        """Try a job again."""

    async def cancel_job(self, job_id: str, org_id: str | None = None) -> None:
        """Cancel a job."""

    async def discard_job(self, job_id: str) -> None:
        """Remove the record of a job that has ended, or cancel one that waits."""

    async def pause_queue(self, *, until: datetime | None = None, reason: str | None = None) -> None:
        """Let nothing start."""

    async def resume_queue(self) -> None:
        """Let jobs start again."""

    async def find_connections(
        self, wanted: ConnectionFilter, *, cursor: str | None = None, limit: int = 50
    ) -> ConnectionPage:
        """Return a page of connections of all organisations."""

    async def count_connections(self, wanted: ConnectionFilter) -> Mapping[ConnectionHealth, int]:
        """Return how many connections there are of each health."""

    async def get_connection(self, connection_id: str, org_id: str | None = None) -> ConnectionDetails:
        """Return how a connection stands, with its accounts."""

    async def schedule_immediate_sync(
        self, connection_id: str, *, org_id: str | None = None, triggered_by: str | None = None
    ) -> str:
        """Ask for the import of one connection now."""
