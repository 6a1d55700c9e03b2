"""What a job looks like from outside: its options, its progress, its record, and the queue's numbers."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from bankimport.models.model import Model, StrictModel
from bankimport.status import JobState

ID_PATTERN = r"^[A-Za-z0-9_.:-]{1,128}$"
#: what stands where a connection's id does in addresses of ours: no connection can be called so
CONNECTION_WORDS = frozenset({"events", "jobs", "page", "queue", "sync"})

#: Every id in a path, a body or a job: 1 to 128 letters, digits and `_ . : -`.
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
#: Ids as a question means them: neither their order nor one twice makes another question.
IN_ORDER = AfterValidator(lambda ids: tuple(sorted(set(ids))))


#: Who asked, in the host's words: an id, an e-mail address. Printable ASCII without blanks.
Asker = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]


class JobType(StrEnum):
    """The kinds of work the queue knows."""

    SYNC_CONNECTION = "sync-connection"
    SYNC_ALL_ORG = "sync-all-org"
    REFRESH_CONSENTS = "refresh-consents"
    CLEANUP = "cleanup"
    PLAN_SYNCS = "plan-syncs"


class Stage(StrEnum):
    """The stages of a run, in their order."""

    STARTING = "starting"
    SYNCING_ACCOUNTS = "syncing_accounts"
    SYNCING_TRANSACTIONS = "syncing_transactions"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"


class SyncOptions(StrictModel):
    """What the caller of a sync may choose; the body of `POST …/bank-connections/{id}/sync`.

    `start_date` and `end_date` are days at the bank, both included. Two requests with equal options ask the same
    question, whoever triggered them.
    """

    force_full_sync: bool = False
    account_ids: Annotated[tuple[Id, ...], Field(max_length=1000), IN_ORDER] | None = None
    start_date: date | None = None
    end_date: date | None = None
    triggered_by: Asker | None = None


class JobProgress(Model):
    """How far a run is. `percent` is 0 to 100 and never falls within a run; the estimate is in milliseconds."""

    stage: Stage
    message: str
    percent: Annotated[int, Field(ge=0, le=100)]
    accounts_processed: int | None = None
    transactions_processed: int | None = None
    estimated_time_remaining: int | None = None


class JobStatus(Model):
    """The record of a job. `attempts_made` counts failed runs; instants are aware and in UTC."""

    id: str
    type: str
    org_id: str
    state: JobState
    progress: JobProgress | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    result: dict[str, Any] | None = None
    failed_reason: str | None = None
    error_code: str | None = None
    attempts_made: int = 0
    queued_at: datetime
    #: when it becomes due, while it is delayed
    delayed_until: datetime | None = None
    processed_on: datetime | None = None
    finished_on: datetime | None = None
    #: the batch it belongs to
    parent_id: str | None = None
    #: the job that has to end before this one can start
    blocked_by: str | None = None


class JobPage(Model):
    """A page of jobs, newest first; `next_cursor` is None on the last one."""

    jobs: tuple[JobStatus, ...]
    next_cursor: str | None = None


class ScheduleStatus(Model):
    """When a schedule was due last and is due next; `last_job` is what its last due time made, None if it was missed
    or its record is gone. `last_start` is when the last organisation of the next tick starts."""

    name: str
    hours: tuple[int, ...]
    enabled: bool
    last_at: datetime
    next_at: datetime
    last_start: datetime | None = None
    last_job: JobStatus | None = None


class QueueStats(Model):
    """How many jobs are in each state. While the queue is paused, what waits is counted as `paused`."""

    waiting: int = 0
    active: int = 0
    completed: int = 0
    failed: int = 0
    delayed: int = 0
    paused: int = 0
    waiting_children: int = 0
    cancelled: int = 0


class Alert(Model):
    """One reason for ill health: what was measured, the limit, and since when."""

    code: str
    message: str
    value: float
    threshold: float
    since: datetime


class WorkerInfo(Model):
    """One live worker process, from its heartbeat."""

    id: str
    host: str
    pid: int
    running: int
    version: str
    seen_at: datetime
    #: by how much its event loop was late last, in ms
    lag_ms: int = 0
    #: the code of what it can't reach, such as `store-unavailable`; empty if nothing is wrong
    trouble: str = ""


class QueueHealth(Model):
    """The health of the whole queue: `is_healthy` is false exactly while there is an alert."""

    is_healthy: bool
    is_paused: bool
    stats: QueueStats
    warnings: tuple[str, ...] = ()
    alerts: tuple[Alert, ...] = ()
    workers: tuple[WorkerInfo, ...] = ()
    #: when the next job to start began to wait; None if none does. For the metrics, and no part of the JSON
    oldest_runnable_at: SkipJsonSchema[Annotated[datetime | None, Field(exclude=True)]] = None
