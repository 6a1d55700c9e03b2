"""What the routes answer: jobs and connections, and the shapes for the description of the API."""

from datetime import datetime
from typing import Any

from bankimport.models import Alert, JobProgress, JobStatus, QueueHealth, QueueStats
from bankimport.models.model import Model
from bankimport.status import JobState

_ALWAYS = ("progress", "result")


class JobView(Model):
    """One job. What isn't known (yet) is left out, but for `progress` and `result`, which are null then."""

    id: str
    type: str
    state: JobState
    progress: JobProgress | None
    data: dict[str, Any]
    result: dict[str, Any] | None
    failed_reason: str | None = None
    error_code: str | None = None
    attempts_made: int
    queued_at: datetime
    delayed_until: datetime | None = None
    processed_on: datetime | None = None
    finished_on: datetime | None = None
    parent_id: str | None = None
    blocked_by: str | None = None

    @classmethod
    def of(cls, job: JobStatus) -> dict[str, Any]:
        """Return a record as JSON values."""
        fields = {name: getattr(job, name) for name in JobView.model_fields}
        shown = cls.model_validate(fields).model_dump(mode="json", exclude_none=True)
        return {
            field.alias or name: shown.get(field.alias or name)
            for name, field in cls.model_fields.items()
            if (field.alias or name) in shown or name in _ALWAYS
        }


class JobListView(Model):
    """A page of jobs, newest first; without `nextCursor` on the last one."""

    jobs: tuple[JobView, ...]
    next_cursor: str | None = None


class OrganisationHealthView(Model):
    """The queue's health as an organisation may see it: no host, no process, and not why it was paused."""

    is_healthy: bool
    is_paused: bool
    stats: QueueStats
    warnings: tuple[str, ...] = ()
    alerts: tuple[Alert, ...] = ()
    live_workers: int = 0

    @classmethod
    def of(cls, health: QueueHealth) -> "OrganisationHealthView":
        """Return what of the health is for everybody."""
        paused = "the queue is paused"
        warnings = tuple(paused if text.startswith(paused) else text for text in health.warnings)
        return cls(
            is_healthy=health.is_healthy,
            is_paused=health.is_paused,
            stats=health.stats,
            warnings=warnings,
            alerts=health.alerts,
            live_workers=len(health.workers),
        )


class BatchResultView(Model):
    """The result of a `sync-all-org` job."""

    total_connections: int
    successful_syncs: int
    failed_syncs: int


class CleanupResultView(Model):
    """The result of a `cleanup` job: records removed."""

    removed: int


class PlanResultView(Model):
    """The result of a `plan-syncs` job: organisations that were given their sync."""

    organisations: int


class BulkView(Model):
    """How many jobs were changed; with `dryRun` how many would be, counted up to 10,000."""

    count: int
    dry_run: bool


class AcceptedView(Model):
    """A job that was accepted; `Location` is where it can be looked at."""

    job_id: str
    message: str


class FieldProblem(Model):
    """A wrong field: a JSON pointer to it (RFC 6901), and why."""

    pointer: str
    message: str


class ProblemView(Model):
    """Problem details (RFC 9457); `code` is stable and for programs."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[FieldProblem, ...] | None = None
