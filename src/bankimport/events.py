"""What comes out: every event, frozen and in the past tense, in one discriminated union.

An event's `data` has exactly the fields of its model, in camelCase; later versions may add some. A reader skips a
name that it does not know.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import PlainSerializer, ValidationError

from bankimport.models import JobProgress, Model

#: An aware instant, in JSON as ISO 8601 in UTC with milliseconds and `Z`.
Instant = Annotated[
    datetime,
    PlainSerializer(
        lambda at: at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"), return_type=str
    ),
]


class EventData(Model):
    """What all events share: a name, fixed for the class."""

    name: ClassVar[str]


class SyncCompleted(EventData):
    """A connection was imported; `transactionsSynced` are the new and the changed ones."""

    name: ClassVar[str] = "bank.sync.completed"
    connection_id: str
    accounts_synced: int
    transactions_synced: int
    timestamp: Instant


class BatchCompleted(EventData):
    """All children of a `sync-all-org` have ended, however they ended."""

    name: ClassVar[str] = "bank.batch.completed"
    org_id: str
    total_connections: int
    successful_syncs: int
    failed_syncs: int
    timestamp: Instant


class ConsentsExpiring(EventData):
    """Consents of one organisation end soon; `connections` are their ids."""

    name: ClassVar[str] = "bank.consents.expiring"
    count: int
    connections: tuple[str, ...]
    timestamp: Instant


class SyncFailed(EventData):
    """A run failed; it may be tried again."""

    name: ClassVar[str] = "bank.sync.failed"
    job_id: str
    type: str
    error: str
    timestamp: Instant
    attempt: int
    will_retry: bool
    error_code: str


class JobCompleted(EventData):
    """A job ended well. `duration` in ms; `attempts` counts all its runs, `attemptsMade` of the job the failed ones."""

    name: ClassVar[str] = "bank.job.completed"
    job_id: str
    type: str
    queued_at: Instant
    started_at: Instant
    completed_at: Instant
    duration: int
    attempts: int
    accounts_synced: int | None = None
    transactions_synced: int | None = None
    connections_synced: int | None = None
    success: bool = True


class JobFailed(EventData):
    """A job ended badly, for good."""

    name: ClassVar[str] = "bank.job.failed"
    job_id: str
    type: str
    attempts: int
    error: str
    timestamp: Instant


class JobQueued(EventData):
    """A job was accepted."""

    name: ClassVar[str] = "bank.job.queued"
    job_id: str
    type: str
    timestamp: Instant


class JobStarted(EventData):
    """A run of a job began."""

    name: ClassVar[str] = "bank.job.started"
    job_id: str
    type: str
    timestamp: Instant


class JobRetrying(EventData):
    """A job will run again at `retryAt`, after a failed run or by somebody's wish."""

    name: ClassVar[str] = "bank.job.retrying"
    job_id: str
    type: str
    attempts_made: int
    retry_at: Instant
    timestamp: Instant


class JobStalled(EventData):
    """The worker of a job died or froze; the job waits again."""

    name: ClassVar[str] = "bank.job.stalled"
    job_id: str
    type: str
    stalls: int
    timestamp: Instant


class JobCancelledEvent(EventData):
    """A job was cancelled, for good."""

    name: ClassVar[str] = "bank.job.cancelled"
    job_id: str
    type: str
    timestamp: Instant


class ProgressAdvanced(EventData, JobProgress):
    """A run got on."""

    name: ClassVar[str] = "bank.job.progress"
    job_id: str
    type: str


class ReauthRequiredEvent(EventData):
    """A person has to authorise a connection again."""

    name: ClassVar[str] = "bank.connection.reauth_required"
    connection_id: str
    reason: str
    timestamp: Instant


class ConnectionRevoked(EventData):
    """An access was withdrawn, `by` its `person` here or at the `bank`: nothing is read by it any more."""

    name: ClassVar[str] = "bank.connection.revoked"
    connection_id: str
    by: str
    timestamp: Instant


class QueuePaused(EventData):
    """Nothing starts any more."""

    name: ClassVar[str] = "bank.queue.paused"
    until: Instant | None = None
    reason: str | None = None
    timestamp: Instant


class QueueResumed(EventData):
    """Jobs start again."""

    name: ClassVar[str] = "bank.queue.resumed"
    timestamp: Instant


class QueueAlert(EventData):
    """An alert on the queue's health, or on a group's (`consumer-behind:<group>`), began (`active`) or is over."""

    name: ClassVar[str] = "bank.queue.alert"
    code: str
    message: str
    value: float
    threshold: float
    active: bool
    timestamp: Instant


class StreamGap(EventData):
    """Events after `after` and before `firstId` are no longer held: the follower has missed some."""

    name: ClassVar[str] = "bank.stream.gap"
    after: str
    first_id: str | None
    timestamp: Instant


EVENTS: dict[str, type[EventData]] = {
    model.name: model
    for model in (
        SyncCompleted,
        BatchCompleted,
        ConsentsExpiring,
        SyncFailed,
        JobCompleted,
        JobFailed,
        JobQueued,
        JobStarted,
        JobRetrying,
        JobStalled,
        JobCancelledEvent,
        ProgressAdvanced,
        ReauthRequiredEvent,
        ConnectionRevoked,
        QueuePaused,
        QueueResumed,
        QueueAlert,
        StreamGap,
    )
}

PROGRESS = ProgressAdvanced.name
_PREFIX, _OF_A_JOB = "bank.", "bank.job."

#: Exactly one of these ends every job.
TERMINAL = frozenset({JobCompleted.name, JobFailed.name, JobCancelledEvent.name})


def full_name(short: str) -> str:
    """Return the name that an entry of a stream has short: what all names begin with is left out, and `job.` too."""
    return (_PREFIX if "." in short else _OF_A_JOB) + short


class Event(Model):
    """The envelope. `id` is the entry's id in the stream (`<ms>-<seq>`) and resumes a follower; ids of events and of
    progress are of one order. `org_id` is empty for what concerns the whole queue."""

    id: str
    name: str
    org_id: str = ""
    job_id: str | None = None
    timestamp: Instant
    data: dict[str, Any]

    @classmethod
    def told(cls, entry_id: str, name: str, org_id: str, job_id: str, text: bytes | str) -> "Event":
        """Return the event of an entry of a stream, in which what its entry says is not said twice.

        Raises:
            ValueError, OverflowError, RecursionError: it is none that the queue wrote.
        """
        at = datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1000, UTC)
        data = _with_its_job(job_id, text if isinstance(text, str) else text.decode())
        if name == JobCompleted.name:
            data = _with_instants(data, at)
        if name != PROGRESS:
            data["timestamp"] = _text(at)
        return cls(id=entry_id, name=name, org_id=org_id, job_id=job_id or None, timestamp=at, data=data)

    @property
    def typed(self) -> EventData | None:
        """The data as its model; None for a name or a shape this version does not know."""
        model = EVENTS.get(self.name)
        if model is None:
            return None
        try:
            return model.model_validate(self.data)
        except ValidationError:
            return None


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _with_its_job(job_id: str, text: str) -> dict[str, Any]:
    """Return the data of an entry: a JSON object, or what has a job's type: that in a line, and the further fields."""
    if text.startswith("{"):
        return dict(json.loads(text))
    kind, _, fields = text.partition("\n")
    if not kind[:1].isidentifier():
        raise ValueError("neither an object nor the type of a job")
    return {"jobId": job_id, "type": kind, **json.loads(f"{{{fields}}}")}


def _with_instants(data: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Return what an entry says of a job's end; its spans (ms) are spelled out as instants."""
    spans = [data.pop("early", 0), data.get("duration"), data.pop("waited", None)]
    if not all(isinstance(span, int) for span in spans):
        raise ValueError("spans are numbers")
    completed, started, queued = (at - timedelta(milliseconds=sum(spans[: number + 1])) for number in range(3))
    who: dict[str, Any] = {name: data.pop(name) for name in ("jobId", "type") if name in data}
    spelled = {"queuedAt": _text(queued), "startedAt": _text(started), "completedAt": _text(completed)}
    return {**who, **spelled, "attempts": 1, "success": True, **data}


def event_of(entry: bytes, name: bytes, org_id: bytes, job_id: bytes, data: bytes) -> Event:
    """Return the envelope of an entry of a stream."""
    return Event.told(entry.decode(), full_name(name.decode()), org_id.decode(), job_id.decode(), data)
