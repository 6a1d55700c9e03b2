"""How a job says how far it is, and what it may ask of its run. The queue implements it; jobs use it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from bankimport.events import EventData
from bankimport.models import JobProgress, PsuContext, Stage

#: At most four writes a second a job, but every change of stage is written.
INTERVAL = timedelta(milliseconds=250)
#: An estimate means something once this much is done, and has taken this long.
ESTIMATE_FROM_PERCENT = 5
ESTIMATE_AFTER = timedelta(seconds=2)


class ProgressMeter:
    """Decides what of a run's steps is written: percent never falls, and writes are throttled.

    Pure but for its memory: `elapsed` is the time since the run began. A step that comes too soon is held, and written
    once its time has come unless a later one has taken its place: a bar must not stand at what was over long ago.
    """

    def __init__(self) -> None:
        self._last: JobProgress | None = None
        self._held: JobProgress | None = None
        self._written = timedelta(0)

    def step(
        self,
        stage: Stage,
        message: str,
        percent: int,
        elapsed: timedelta,
        *,
        accounts_processed: int | None = None,
        transactions_processed: int | None = None,
    ) -> JobProgress | None:
        """Return the progress to write; None if it is too soon after the last."""
        last = self._held or self._last
        reached = max(0, min(100, percent), last.percent if last else 0)
        progress = JobProgress(
            stage=stage,
            message=message,
            percent=reached,
            accounts_processed=accounts_processed,
            transactions_processed=_not_less(transactions_processed, last),
            estimated_time_remaining=estimate(reached, elapsed),
        )
        if self._last is not None and self._last.stage == stage and elapsed - self._written < INTERVAL:
            self._held = progress
            return None
        return self._write(progress, elapsed)

    def due_in(self, elapsed: timedelta) -> timedelta | None:
        """Return how long it is until the step that is held may be written; None if there is none."""
        return max(timedelta(0), self._written + INTERVAL - elapsed) if self._held is not None else None

    def held(self, elapsed: timedelta) -> JobProgress | None:
        """Return the step that is held if it may be written now."""
        if self._held is None or elapsed - self._written < INTERVAL:
            return None
        return self._write(self._held, elapsed)

    def _write(self, progress: JobProgress, elapsed: timedelta) -> JobProgress:
        self._last, self._held, self._written = progress, None, elapsed
        return progress


def _not_less(processed: int | None, last: JobProgress | None) -> int | None:
    """Return how many entries were processed: no fewer than was said before, though a retry begins anew."""
    before = last.transactions_processed if last else None
    return processed if before is None else max(processed or 0, before)


def estimate(percent: int, elapsed: timedelta) -> int | None:
    """Return the milliseconds that remain at the speed so far; None until that means something."""
    if percent < ESTIMATE_FROM_PERCENT or elapsed < ESTIMATE_AFTER:
        return None
    return round(1000 * elapsed.total_seconds() * (100 - percent) / percent)


@dataclass(frozen=True, slots=True)
class IfFailed:
    """What a run leaves if it fails: `result` goes into the record of a job that has failed for good. No retry begins
    before `retry_in`; None: none could do anything, so that the job has failed for good."""

    result: Mapping[str, Any]
    retry_in: timedelta | None = timedelta(0)

    def bound(self, delay: timedelta | None) -> timedelta | None:
        """Return the wait for the next retry, None for none, where the policy says `delay`."""
        return None if delay is None or self.retry_in is None else max(delay, self.retry_in)


class JobRun(Protocol):
    """One run of a job, as the job sees it."""

    job_id: str
    org_id: str
    #: grows with every run of any job; goes with the store's writes
    fence: int
    #: the person who asks just now, if one does
    psu: PsuContext | None
    #: set by the job before it raises
    if_failed: IfFailed | None

    async def advance(
        self,
        stage: Stage,
        message: str,
        percent: int,
        *,
        accounts_processed: int | None = None,
        transactions_processed: int | None = None,
    ) -> None:
        """Tell how far the run is. Cheap to call often: writes are throttled, percent never falls.

        Raises:
            LeaseLost: the run is another worker's now.
            JobCancelled: somebody cancelled the job.
        """

    def ensure_owned(self) -> None:
        """Check, without I/O, that this run may still write; call it before each write of the store.

        Raises:
            LeaseLost: the lease ended without a renewal, or is another worker's.
            JobCancelled: somebody cancelled the job.
        """

    async def emit(self, event: EventData, *, org_id: str | None = None) -> None:
        """Put an event of the import into the stream (`bank.consents.expiring`, `bank.connection.reauth_required`).

        It goes to the run's own organisation, or to `org_id`: a run for all organisations has none of its own, and
        nobody of those it tells may look at its job, so that such an event names none.
        """
