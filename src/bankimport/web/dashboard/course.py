"""A job's course, told from its events and its record: its runs, the waits between them, and a drawing. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bankimport.events import (
    Event,
    JobCancelledEvent,
    JobCompleted,
    JobFailed,
    JobQueued,
    JobRetrying,
    JobStalled,
    JobStarted,
    SyncFailed,
)
from bankimport.models import JobStatus
from bankimport.status import JobState


@dataclass(frozen=True, slots=True)
class Run:
    """One execution. `end` is `completed`, `failed`, `stalled`, `cancelled`, `over`, or empty while it runs."""

    number: int
    started_at: datetime
    ended_at: datetime | None = None
    end: str = ""
    error: str = ""
    code: str = ""
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """A run on the line of time, in per cent of its width; `wait` is that of the wait before it."""

    run: Run
    x: float
    width: float
    wait: float


def runs_of(events: Sequence[Event], job: JobStatus) -> list[Run]:
    """Return the runs, oldest first; where the events are gone, the one that the record knows."""
    runs: list[Run] = []
    for event in events:
        said = event.typed
        if isinstance(said, JobStarted):
            _end(runs, event.timestamp, "over")
            runs.append(Run(len(runs) + 1, event.timestamp))
        elif not runs:
            continue
        elif isinstance(said, SyncFailed):
            _end(runs, event.timestamp, "failed", said.error, said.error_code)
        elif isinstance(said, JobRetrying):
            runs[-1] = replace(runs[-1], retry_at=said.retry_at)
        elif isinstance(said, JobCompleted | JobFailed | JobStalled | JobCancelledEvent):
            _end(runs, event.timestamp, _ENDS[type(said)])
    return runs or _recorded(job)


_ENDS = {JobCompleted: "completed", JobFailed: "failed", JobStalled: "stalled", JobCancelledEvent: "cancelled"}


def _end(runs: list[Run], at: datetime, end: str, error: str = "", code: str = "") -> None:
    if runs and not runs[-1].end:
        runs[-1] = replace(runs[-1], ended_at=at, end=end, error=error, code=code)


def _recorded(job: JobStatus) -> list[Run]:
    if job.processed_on is None:
        return []
    end = job.state.value if job.state.is_terminal else ("" if job.state is JobState.ACTIVE else "over")
    failed = job.state is JobState.FAILED
    error, code = (job.failed_reason or "", job.error_code or "") if failed else ("", "")
    return [Run(job.attempts_made + (not failed), job.processed_on, job.finished_on, end, error, code)]


def bars(runs: Sequence[Run], job: JobStatus, now: datetime) -> tuple[list[Bar], timedelta]:
    """Return the runs as bars from the question to the end, and how long that is."""
    if not runs:
        return [], timedelta(0)
    begin = min(job.queued_at, runs[0].started_at)
    end = max((run.ended_at or now for run in runs), default=now)
    whole = max(end - begin, timedelta(milliseconds=1))
    drawn: list[Bar] = []
    before = begin
    for run in runs:
        x, upto = (run.started_at - begin) / whole * 100, ((run.ended_at or end) - begin) / whole * 100
        wait = (run.started_at - before) / whole * 100
        drawn.append(Bar(run, round(x, 2), round(max(0.4, upto - x), 2), round(max(0.0, wait), 2)))
        before = run.ended_at or end
    return drawn, whole


#: The events that a person wants to see; progress is a bar, not a line.
TOLD = (JobQueued, JobStarted, SyncFailed, JobRetrying, JobStalled, JobCompleted, JobFailed, JobCancelledEvent)
