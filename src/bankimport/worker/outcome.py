"""What a handler gives back to its runner: the result for the record, and what the world is told."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bankimport.commands import Command, PlanSyncs
from bankimport.events import EventData
from bankimport.models import JobType
from bankimport.progress import JobRun
from bankimport.queue.queue import Enqueue
from bankimport.queue.run import Run


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that ended well. `counts` go into `bank.job.completed` (`accountsSynced`, …); `events` precede it;
    `children` make the job a batch that waits for them; `follow_ups` are enqueued once it has ended."""

    result: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    events: Sequence[EventData] = ()
    children: Sequence[Command] | None = None
    follow_ups: Sequence[Enqueue] = ()


Handler = Callable[[Command, Run], Awaitable[Outcome]]
Handlers = Mapping[JobType, Handler]

#: Plans one tick's organisations and returns how many they are; `schedules` does it.
PlanOrganisations = Callable[[PlanSyncs, JobRun], Awaitable[int]]
