"""What a handler gives back to its runner: the result for the record, and what the world is told."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bankimport.commands import Command, PlanSyncs
from bankimport.errors import JobError, Unavailable
from bankimport.events import EventData
from bankimport.models import JobType
from bankimport.progress import JobRun
from bankimport.queue.queue import Enqueue
from bankimport.queue.run import Run

CountsAs = Literal["ok", "bad", "deferred"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that ended well. `counts` go into `bank.job.completed` (`accountsSynced`, …); `events` precede it;
    `children` make the job a batch that waits for them; `follow_ups` are enqueued as it ends; `counts_as` is what it is
    in its batch: `bad` if not all that was asked for was done."""

    result: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    events: Sequence[EventData] = ()
    children: Sequence[Command] | None = None
    follow_ups: Sequence[Enqueue] = ()
    counts_as: CountsAs = "ok"


Handler = Callable[[Command, Run], Awaitable[Outcome]]
Handlers = Mapping[JobType, Handler]

#: Plans one tick's organisations and returns how many they are; `schedules` does it.
PlanOrganisations = Callable[[PlanSyncs, JobRun], Awaitable[int]]


def describe(error: BaseException) -> tuple[str, str]:
    """Return message and code of an error for its record; only our own texts are known to hold nothing secret."""
    if isinstance(error, JobError):
        return str(error), error.code
    if isinstance(error, Unavailable):
        return str(error), error.code
    if isinstance(error, TimeoutError | ConnectionError | OSError):
        return f"a connection failed ({type(error).__name__})", "transient"
    return f"an unexpected error ({type(error).__name__})", "unexpected"
