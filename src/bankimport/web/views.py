"""What the routes answer: jobs as design §4 shows them, and the shapes for the description of the API."""

from datetime import datetime
from typing import Any

from bankimport.models import JobProgress, JobStatus
from bankimport.models.model import Model
from bankimport.status import JobState

_ALWAYS = ("progress", "result")


class JobView(Model):
    """One job. Without `failedReason`, `processedOn` and `finishedOn` as long as there are none."""

    id: str
    state: JobState
    progress: JobProgress | None
    data: dict[str, Any]
    result: dict[str, Any] | None
    failed_reason: str | None = None
    attempts_made: int
    queued_at: datetime
    processed_on: datetime | None = None
    finished_on: datetime | None = None

    @classmethod
    def of(cls, job: JobStatus, **more: Any) -> dict[str, Any]:
        """Return a record as JSON values."""
        fields = {name: getattr(job, name) for name in JobView.model_fields}
        shown = cls.model_validate({**fields, **more}).model_dump(mode="json")
        return {name: value for name, value in shown.items() if value is not None or name in _ALWAYS}


class ListedJobView(JobView):
    """One job of a list: with its type."""

    type: str


class JobListView(Model):
    """A page of jobs, newest first; without `nextCursor` on the last one."""

    jobs: tuple[ListedJobView, ...]
    next_cursor: str | None = None


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
