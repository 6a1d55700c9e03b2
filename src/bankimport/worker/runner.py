"""How a claimed job is run: every exception is caught and classified, and every run ends in one script (house 8).

arq itself starts none of them: it counts pick-ups as tries, knows no lease, runs again only what raises `Retry` or is
cancelled, and takes its own time-out for a cancel (arq.md 3, 4); and it took a quarter of a worker's time.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import TypeVar

import structlog
from arq.worker import Retry

from bankimport.commands import COMMANDS, Command
from bankimport.errors import JobCancelled, JobTimeout, RunInterrupted, Unavailable
from bankimport.logs import frames_of
from bankimport.models import JobType
from bankimport.queue.gate import Gate
from bankimport.queue.queue import Enqueue, Queue
from bankimport.queue.run import Run, fields_of
from bankimport.queue.transitions import Ended
from bankimport.redis.instants import duration_ms
from bankimport.redis.packing import pack_json
from bankimport.retry import POLICIES, RetryPolicy, is_classified
from bankimport.telemetry import BANK, lease_held
from bankimport.worker.job_hooks import JobHooks, Work
from bankimport.worker.outcome import Handlers, Outcome, describe
from bankimport.worker.run_log import RunLog, span_of, story_of

log = structlog.get_logger(__name__)
#: Under which of its numbers arq would count an end.
_ARQS_WORD = {
    **dict.fromkeys(("completed", "fanned-out"), "complete"),
    **dict.fromkeys(("failed", "cancelled"), "failed"),
    **dict.fromkeys(("retried", "given-back"), "retried"),
}
T = TypeVar("T")

#: A batch's children are made by so many at a time: a script of them holds Redis up for some ms.
CHILDREN = 100
#: How long the end of a run is written anew while Redis is away, and the pause between: a full server refuses at once.
_PATIENCE = 60.0
_PAUSE = 0.5
#: How long a stopping worker tries to give a job back; without Redis its lease lapses all the same (arq.md 25).
_LAST_WORD = 1.0
#: How long a run that could not reach something counts as trouble, in seconds.
_TROUBLED = 60.0


class Runner:
    """Runs the jobs of one worker."""

    def __init__(self, queue: Queue, gate: Gate, handlers: Handlers) -> None:
        self._queue = queue
        self._gate = gate
        self._handlers = handlers
        settings = queue.settings
        self._limit = settings.job_timeout
        self._policies: Mapping[JobType, RetryPolicy] = {
            kind: policy.scaled(settings.retry_delay_scale) for kind, policy in POLICIES.items()
        }
        gate.hooks.run = self.run
        #: a host's, and arq's context
        self.job_hooks = JobHooks()
        #: what jobs of a name do
        self._works: dict[str, Work] = {}
        for kind in handlers:
            self.serve(kind.value, self._limited)
        #: what the last run could not reach, for the heartbeat, and when that was (monotonic s)
        self._trouble, self._trouble_at = "", 0.0

    def serve(self, name: str, work: Work) -> None:
        """Let this worker claim jobs of a name, and run them so."""
        self._works[name] = work
        self._gate.hooks.functions.add(name)

    async def run(self, run: Run) -> None:
        """Run a claimed job, and write what becomes of it.

        Raises:
            CancelledError: the worker stops; the job was given back.
        """
        run.start(asyncio.current_task())
        run.lingers = self.job_hooks.lingers
        story = story_of(run)
        with lease_held(), span_of(run):
            try:
                await self._attempt(run, self.job_hooks.around(self._works[run.claim.type]), story)
            finally:
                self._gate.ended[_ARQS_WORD.get(story.outcome, "")] += 1
            await self.job_hooks.after(run)

    async def _attempt(self, run: Run, work: Work, story: RunLog) -> None:
        try:
            run.ensure_owned()  # its claim was answered late, or it waited for the end of an older run
            outcome = await work(run)
        except asyncio.CancelledError:
            asked = run.task is not None and run.task.cancelling() > 0
            if run.interruption is not None:
                if asked and run.task is not None:
                    run.task.uncancel()
                await self._interrupted(run, run.interruption, story)
            elif asked:
                await self._give_back(run, story)
                raise
            else:  # nobody stopped it: something that it waited for was cancelled
                await self._failed(run, RuntimeError("the job's own code was cancelled from within"), story)
        except RunInterrupted as error:
            await self._interrupted(run, error, story)
        except Exception as error:  # whatever a job raises ends in its record
            await self._failed(run, error, story)
        else:
            await self._completed(run, outcome, story)

    async def _limited(self, run: Run) -> Outcome:
        kind = JobType(run.claim.type)
        command: Command = COMMANDS[kind].restore(run.claim.data, run.org_id)
        try:
            async with asyncio.timeout(self._limit.total_seconds()) as limit:
                return await self._handlers[kind](command, run)
        except TimeoutError:
            if limit.expired():
                raise JobTimeout(self._limit) from None
            raise

    async def _completed(self, run: Run, outcome: Outcome, story: RunLog) -> None:
        self._trouble = ""
        transitions, fence = self._queue.transitions, str(run.fence)
        if outcome.children is not None:
            answer = await self._fan_out(run, [_child(command) for command in outcome.children])
        else:
            counts = "".join(f',"{name}":{value}' for name, value in outcome.counts.items())
            events = [(event.name, fields_of(event)) for event in outcome.events]
            follow_ups = [wanted.row() for wanted in outcome.follow_ups]
            packed = pack_json(outcome.result)
            steps = run.take_untold()
            answer = await self._write(
                run,
                lambda: transitions.complete_job.soon(
                    run.job_id, fence, packed, counts, run.last_word, outcome.counts_as, steps, events, follow_ups
                ),
            )
        if answer is Ended.LOST:
            story.ended("lost")
        else:
            story.ended("fanned-out" if outcome.children is not None else "completed", result=outcome.result)

    async def _fan_out(self, run: Run, children: list[dict[str, str]]) -> Ended | None:
        """Make a batch's children by the slice; after a crash in between, the next run finds those that were made."""
        fan_out = self._queue.transitions.fan_out_batch
        answer: Ended | None = None
        for number, start in enumerate(range(0, max(1, len(children)), CHILDREN)):
            last = start + CHILDREN >= len(children)
            send = partial(fan_out.soon, run.job_id, str(run.fence), children[start : start + CHILDREN], number, last)
            answer = await self._write(run, send)
            if answer is not Ended.MORE:
                break
        return answer

    async def _failed(self, run: Run, error: Exception, story: RunLog) -> None:
        delay = self._delay(run, error)
        message, code = describe(error)
        self._trouble, self._trouble_at = code, time.monotonic()
        if not is_classified(error) and not isinstance(error, Retry):
            log.error("job.unexpected_error", error=type(error).__name__, frames=frames_of(error.__traceback__))
        wait = -1 if delay is None else duration_ms(delay)
        answer = await self._write_failed(run, message, code, wait, was_cancelled=False)
        outcome = (
            {Ended.LOST: "lost", Ended.DELAYED: "retried"}.get(answer, "failed") if answer is not None else "failed"
        )
        story.ended(outcome, error_code=code)

    def trouble(self) -> str:
        """Return the code of what runs of the last minute could not reach; empty if nothing."""
        return self._trouble if time.monotonic() - self._trouble_at < _TROUBLED else ""

    def _delay(self, run: Run, error: Exception) -> timedelta | None:
        if isinstance(error, Retry):  # a function of the host's own
            return timedelta(milliseconds=error.defer_score or 0)
        policy = self._policies.get(JobType(run.claim.type)) if run.claim.type in COMMANDS else None
        delay = policy.delay(error, run.claim.attempts, jitter=random.random()) if policy else None
        return delay if run.if_failed is None else run.if_failed.bound(delay)

    async def _interrupted(self, run: Run, reason: RunInterrupted, story: RunLog) -> None:
        if isinstance(reason, JobCancelled):
            message, code = describe(reason)
            await self._write_failed(run, message, code, -1, was_cancelled=True)
            story.ended("cancelled", error_code=code)
        else:  # the job is another worker's: nothing of it is ours to write
            run.settled = True
            self._gate.claims.wake()
            story.ended("lost", error_code=reason.code)

    async def _give_back(self, run: Run, story: RunLog) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORD):
                runs = [(run.job_id, str(run.fence))]
                await self._write(run, lambda: self._queue.transitions.give_back_jobs.soon(runs))
                story.ended("given-back")

    async def _write_failed(
        self, run: Run, message: str, code: str, delay: int, *, was_cancelled: bool
    ) -> Ended | None:
        run.flush()
        fail = self._queue.transitions.fail_job
        done = b"" if run.if_failed is None else pack_json(run.if_failed.result)
        return await self._write(
            run, lambda: fail.soon(run.job_id, str(run.fence), message, code, BANK.get(), delay, was_cancelled, done)
        )

    async def _write(self, run: Run, send: Callable[[], Awaitable[T]]) -> T | None:
        """Write the end of a run, though Redis may be away for a while; if for too long, its lease lapses. The next
        claim travels with it."""
        run.settled = True
        until = time.monotonic() + _PATIENCE
        while True:
            answer = send()
            self._gate.claims.refill()
            try:
                return await answer
            except Unavailable as error:
                self._gate.claims.complaints.warn("job.end_not_written", str(error), job_id=run.job_id)
            if time.monotonic() > until:
                return None
            await asyncio.sleep(_PAUSE)


def _child(command: Command) -> dict[str, str]:
    row = Enqueue(command).row()
    return {name: row[name] for name in ("type", "org", "lock", "data", "question")}
