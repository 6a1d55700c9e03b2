"""Both ends of a job's events, told from its record: where they begin, and the last one if it is gone."""

from bankimport.events import Event, EventData, JobCancelledEvent, JobCompleted, JobFailed
from bankimport.models import JobStatus
from bankimport.status import JobState
from bankimport.stream.position import Position


def behind(after: str | None, job: JobStatus) -> Position:
    """Return where to begin to follow a job that was seen up to `after` (None: not at all).

    What happened before the job was queued need not be read; the day's other events may be a million.
    """
    beginning = Position(int(job.queued_at.timestamp() * 1000), 0).before()
    return max(Position.parse(after), beginning) if after is not None else beginning


def ending(job: JobStatus) -> Event:
    """Return the terminal event of an ended job. It stands in no stream; its id is the instant of the end."""
    at = job.finished_on or job.queued_at
    data = _data(job)
    return Event(
        id=f"{int(at.timestamp() * 1000)}-0",
        name=data.name,
        org_id=job.org_id,
        job_id=job.id,
        timestamp=at,
        data=data.model_dump(mode="json", exclude_none=True),
    )


def _data(job: JobStatus) -> EventData:
    at = job.finished_on or job.queued_at
    if job.state is JobState.COMPLETED:
        started = job.processed_on or job.queued_at
        result = job.result or {}
        return JobCompleted(
            job_id=job.id,
            type=job.type,
            queued_at=job.queued_at,
            started_at=started,
            completed_at=at,
            duration=round((at - started).total_seconds() * 1000),
            attempts=job.attempts_made + 1,
            accounts_synced=result.get("accountsSynced"),
            transactions_synced=result.get("transactionsSynced"),
            connections_synced=result.get("successfulSyncs"),
        )
    if job.error_code == "cancelled":
        return JobCancelledEvent(job_id=job.id, type=job.type, timestamp=at)
    return JobFailed(
        job_id=job.id, type=job.type, attempts=job.attempts_made, error=job.failed_reason or "failed", timestamp=at
    )
