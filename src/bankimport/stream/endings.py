"""The end of a job told from its record, for a follower who comes after its events are gone."""

from bankimport.events import Event, EventData, JobCancelledEvent, JobCompleted, JobFailed
from bankimport.models import JobStatus
from bankimport.status import JobState


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
