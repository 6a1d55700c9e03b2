"""One run of a job on this worker: its lease, its progress, its interruption."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from bankimport.errors import JobCancelled, LeaseLost, RunInterrupted
from bankimport.events import EventData
from bankimport.models import JobProgress, PsuContext, Stage
from bankimport.progress import IfFailed, ProgressMeter
from bankimport.queue.transitions import Transitions

#: Steps within so many seconds of each other travel together.
_TOGETHER = 0.05
#: A job that stalled so often is started alone (`SUSPECT` of `lua/lib/lanes.lua`).
_SUSPECT = 2
#: The lease of what was claimed behind a wait, until the worker has said that it has it (likewise of `leases.lua`).
_UNHEARD = 5.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """What the claim script says of a job that this worker may start."""

    job_id: str
    type: str
    org_id: str
    data: dict[str, Any]
    #: what arq wrote for a function of the host's own; a job of ours has none
    payload: bytes
    attempts: int
    fence: int
    queued_ms: int
    psu: PsuContext | None = field(repr=False)
    stalls: int = 0

    @classmethod
    def parse(cls, row: list[bytes]) -> "Claim":
        """Return the claim of a row of the script's answer."""
        job_id, kind, org_id, data, payload, attempts, fence, queued, psu, stalls = row
        return cls(
            job_id=job_id.decode(),
            type=kind.decode(),
            org_id=org_id.decode(),
            data=_command(data),
            payload=payload,
            attempts=int(attempts),
            fence=int(fence),
            queued_ms=int(queued),
            psu=_person(psu),
            stalls=int(stalls or 0),
        )


def _command(text: bytes) -> dict[str, Any]:
    """Return a record's command; one that can't be read is none of any job's, which fails for it."""
    try:
        values = json.loads(text.decode())  # of bytes it would guess the encoding first
    except ValueError:
        values = None
    return values if isinstance(values, dict) else {"unreadable": True}


def _person(text: bytes) -> PsuContext | None:
    if not text:
        return None
    person = json.loads(text)
    return PsuContext(person["ip"], person.get("user_agent"), datetime.fromisoformat(person["at"]))


class Run:
    """The queue's `JobRun`. `task` is the asyncio task in which the job's code runs.

    The lease counts from `asked_at` (monotonic seconds), when the claim was asked for: its answer may come late. It is
    short while the claim is `unheard`.
    """

    def __init__(
        self,
        claim: Claim,
        transitions: Transitions,
        lease: timedelta,
        worker_id: str,
        asked_at: float,
        *,
        unheard: bool = False,
    ) -> None:
        self.claim = claim
        self.job_id = claim.job_id
        self.org_id = claim.org_id
        self.fence = claim.fence
        self.psu = claim.psu
        self.if_failed: IfFailed | None = None
        self.worker_id = worker_id
        self.unheard = unheard
        self.settled = False
        #: whether it keeps its place beyond its end, for what a host does then
        self.lingers = False
        self.interruption: RunInterrupted | None = None
        self.task: asyncio.Task[Any] | None = None
        #: arq's context, where the host's own code asks for it
        self.context: dict[Any, Any] = {}
        #: the next run of the same job on this worker, which waits for the end of this one
        self.successor: Run | None = None
        self._transitions = transitions
        self._lease = lease.total_seconds()
        self._owned_until = asked_at + (min(self._lease, _UNHEARD) if unheard else self._lease)
        self._started = time.monotonic()
        self._meter = ProgressMeter()
        self._later: asyncio.TimerHandle | None = None
        self._untold: list[str] = []
        self._flush: asyncio.TimerHandle | None = None
        #: a bound logger decides at once what isn't told; the module's is made anew for each line
        self.log = _log.bind()
        #: the last word of the job's own code, told with its end
        self.last_word = ""

    @property
    def is_suspect(self) -> bool:
        """Whether it runs alone: twice before, its worker died."""
        return self.claim.stalls >= _SUSPECT

    @property
    def is_over(self) -> bool:
        """Whether its lease has ended by this host's clock."""
        return time.monotonic() > self._owned_until

    def start(self, task: "asyncio.Task[Any] | None") -> None:
        """Note that the job's own code begins, in this task."""
        self._started = time.monotonic()
        self.task = task

    async def advance(
        self,
        stage: Stage,
        message: str,
        percent: int,
        *,
        accounts_processed: int | None = None,
        transactions_processed: int | None = None,
    ) -> None:
        """See `JobRun`. The write itself is not awaited: it goes out in order with what follows it."""
        self.ensure_owned()
        if stage is Stage.COMPLETED:
            self.last_word = message
            return
        progress = self._meter.step(
            stage,
            message,
            percent,
            self._elapsed(),
            accounts_processed=accounts_processed,
            transactions_processed=transactions_processed,
        )
        if progress is not None:
            self._tell(progress)
        else:
            self._tell_later()

    def _elapsed(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self._started)

    def _tell(self, progress: JobProgress) -> None:
        """Steps that come shortly after one another travel together, and those of a job that ends with its end."""
        self.log.debug("job.progress", stage=progress.stage.value, percent=progress.percent)
        self._untold.append(progress.model_dump_json(exclude_none=True)[1:-1])
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(_TOGETHER, self.flush)

    def take_untold(self) -> list[str]:
        """Return the steps that are not on their way yet; they are the caller's to tell."""
        untold, self._untold = self._untold, []
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        return untold

    def flush(self) -> None:
        """Tell the steps now. The write is not awaited: it goes out in order with what follows it."""
        steps = self.take_untold()
        if steps and not self.settled:
            self._transitions.advance_progress.send(self.job_id, str(self.fence), steps).add_done_callback(self._heard)

    def _tell_later(self) -> None:
        wait = self._meter.due_in(self._elapsed())
        if wait is not None and self._later is None:
            self._later = asyncio.get_running_loop().call_later(wait.total_seconds(), self._tell_held)

    def _tell_held(self) -> None:
        self._later = None
        if self.settled or self.interruption is not None:
            return  # the job's last word is said, or not this run's to say
        progress = self._meter.held(self._elapsed())
        if progress is not None:
            self._tell(progress)
        else:
            self._tell_later()

    def _heard(self, answer: "asyncio.Future[Any]") -> None:
        if answer.cancelled() or answer.exception() is not None:
            return  # progress that could not be written is told again by the next step
        if answer.result() == b"lost":
            self.interrupt(LeaseLost(self.job_id))
        elif answer.result() == b"cancelled":
            self.interrupt(JobCancelled(self.job_id))

    def ensure_owned(self) -> None:
        """See `JobRun`. No I/O: the worker's beat renews the lease, and a frozen host finds its own clock advanced."""
        if self.interruption is None and self.is_over:
            self.interruption = LeaseLost(self.job_id)
        if self.interruption is not None:
            raise self.interruption
        if self.task is not None and self.task.cancelling():  # asked for, but lost: 3.11's `wait_for` swallows some
            raise asyncio.CancelledError

    def renewed(self, asked_at: float) -> None:
        """Note that the lease was renewed by a beat sent at `asked_at` (monotonic seconds)."""
        self._owned_until = max(self._owned_until, asked_at + self._lease)

    def interrupt(self, reason: RunInterrupted) -> None:
        """Stop the run where it is."""
        if self.interruption is None and not self.settled:
            self.interruption = reason
            if self.task is not None:
                self.task.cancel()

    async def emit(self, event: EventData, *, org_id: str | None = None) -> None:
        """See `JobRun`."""
        to = self.org_id if org_id is None else org_id
        job_id = self.job_id if to == self.org_id else ""
        await self._transitions.emit_event(event.name, to, job_id, fields_of(event))


def fields_of(event: EventData) -> str:
    """Return an event's data as a JSON object without its braces and timestamp, which the script adds."""
    exclude = {"timestamp"} if "timestamp" in type(event).model_fields else None
    return event.model_dump_json(exclude=exclude, exclude_none=True)[1:-1]
