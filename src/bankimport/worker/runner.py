"""The wrapper around every job function: our limits bite before arq's, and every run ends in one script (house 8).

arq runs again only what raises `Retry` or is cancelled, and takes its own time-out for a cancel (arq.md 3, 4); so every
exception is caught here, classified, and written with its consequence before arq hears of it.
"""

import asyncio
import contextlib
import json
import random
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog
from arq.worker import Function, Retry, func

from bankimport.commands import COMMANDS, Command
from bankimport.errors import JobCancelled, JobError, JobTimeout, MalformedData, RunInterrupted, Unavailable
from bankimport.models import JobType
from bankimport.queue.gate import Gate
from bankimport.queue.packing import pack
from bankimport.queue.queue import Enqueue, Queue
from bankimport.queue.run import Run, fields_of
from bankimport.retry import POLICIES, RetryPolicy, is_classified
from bankimport.worker.outcome import Handlers, Outcome

log = structlog.get_logger(__name__)

#: arq's own limits are backstops only: ours bite first (arq.md 3).
_MAX_TRIES = 1_000_000
_BACKSTOP = 60.0
#: How long the end of a run is written anew while Redis is away, and the pause between: a replica or a full server
#: refuses at once.
_PATIENCE = 60.0
_PAUSE = 1.0
#: How long a stopping worker tries to give a job back; without Redis its lease lapses all the same (arq.md 25).
_LAST_WORD = 3.0
_OURS = frozenset(kind.value for kind in JobType)


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
        gate.settle_unrun = self.settle_unrun

    def functions(self) -> list[Function]:
        """Return arq's functions, one a job type."""
        return [
            func(
                self.run,
                name=kind.value,
                keep_result=0,
                timeout=self._limit.total_seconds() + _BACKSTOP,
                max_tries=_MAX_TRIES,
            )
            for kind in self._handlers
        ]

    def host_function(self, function: Any) -> Function:
        """Return a function of the host's own, wrapped so that its jobs have records, events and an end as ours do.

        Its exceptions are arq's: `Retry` runs it again, any other is final.
        """
        plain = func(function)

        async def run(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> None:
            await self._attempt(ctx, lambda _: self._host(plain, ctx, args, kwargs))

        return func(run, name=plain.name, keep_result=0, timeout=plain.timeout_s, max_tries=_MAX_TRIES)

    async def _host(self, function: Function, ctx: dict[Any, Any], args: Any, kwargs: Any) -> Outcome:
        await function.coroutine(ctx, *args, **kwargs)
        return Outcome()

    async def run(self, ctx: dict[Any, Any], *_: Any, **__: Any) -> None:
        """Run the claimed job of this context. What arq passes as arguments is not used: the claim has it.

        Raises:
            Retry: it will run again; all is written already.
            CancelledError: the worker stops; the job was given back.
        """
        await self._attempt(ctx, self._limited)

    async def _attempt(self, ctx: dict[Any, Any], work: Callable[[Run], Awaitable[Outcome]]) -> None:
        run = self._gate.runs[ctx["job_id"]]
        run.start(asyncio.current_task())
        try:
            run.ensure_owned()  # its claim was answered late, or it waited for the end of an older run
            outcome = await work(run)
        except asyncio.CancelledError:
            if run.interruption is None:
                await self._give_back(run)
                raise
            if run.task is not None:
                run.task.uncancel()
            await self._interrupted(run, run.interruption)
        except RunInterrupted as error:
            await self._interrupted(run, error)
        except Exception as error:  # whatever a job raises ends in its record
            await self._failed(run, error)
        else:
            await self._completed(run, outcome)

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

    async def _completed(self, run: Run, outcome: Outcome) -> None:
        if outcome.children is not None:
            children = [_child(command) for command in outcome.children]
            answer = await self._write(run, "fan_out_batch", run.job_id, run.fence, json.dumps(children))
        else:
            counts = "".join(f',"{name}":{value}' for name, value in outcome.counts.items())
            events = [text for event in outcome.events for text in (event.name, fields_of(event))]
            result = pack(json.dumps(outcome.result, separators=(",", ":")))
            answer = await self._write(run, "complete_job", run.job_id, run.fence, result, counts, *events)
        if answer == b"lost":
            log.warning("job.lease_lost", job_id=run.job_id, worker=run.worker_id)
        elif answer is not None and outcome.follow_ups:
            await self._queue.enqueue_many(outcome.follow_ups)

    async def _failed(self, run: Run, error: Exception) -> None:
        delay = self._delay(run, error)
        message, code = describe(error)
        if not is_classified(error) and not isinstance(error, Retry):
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("job.unexpected_error", job_id=run.job_id, error=type(error).__name__, frames=frames)
        answer = await self._write(run, "fail_job", run.job_id, run.fence, message, code, _ms(delay), "")
        if answer == b"delayed" and delay is not None:
            log.info("job.retry_scheduled", job_id=run.job_id, code=code, attempt=run.claim.attempts + 1)
            raise Retry(defer=delay)
        if answer == b"lost":
            log.warning("job.lease_lost", job_id=run.job_id, worker=run.worker_id)
        else:
            log.warning("job.failed", job_id=run.job_id, code=code, answer=_text(answer))

    def _delay(self, run: Run, error: Exception) -> timedelta | None:
        if isinstance(error, Retry):  # a function of the host's own
            return timedelta(milliseconds=error.defer_score or 0)
        policy = self._policies.get(JobType(run.claim.type)) if run.claim.type in _OURS else None
        return policy.delay(error, run.claim.attempts, jitter=random.random()) if policy else None

    async def _interrupted(self, run: Run, reason: RunInterrupted) -> None:
        if isinstance(reason, JobCancelled):
            message, code = describe(reason)
            await self._write(run, "fail_job", run.job_id, run.fence, message, code, -1, "cancelled")
            log.info("job.cancelled", job_id=run.job_id)
        else:  # the job is another worker's: nothing of it is ours to write
            run.settled = True
            log.warning("job.lease_lost", job_id=run.job_id, worker=run.worker_id)

    async def _give_back(self, run: Run) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORD):
                await self._write(run, "give_back_jobs", run.job_id, run.fence)
                log.info("job.given_back", job_id=run.job_id)

    async def settle_unrun(self, run: Run) -> None:
        """End a job that arq gave up before our code ran: its payload or its function is unknown (arq.md 5)."""
        message = "the worker could not run the job: its function or its arguments are unknown to it"
        await self._write(run, "fail_job", run.job_id, run.fence, message, MalformedData.code, -1, "")

    async def _write(self, run: Run, script: str, *args: str | int | bytes) -> bytes | None:
        """Write the end of a run, though Redis may be away for a while; if for too long, its lease lapses."""
        run.settled = True
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                answer: bytes = await self._queue.scripts.run(script, *args)
            except Unavailable:
                log.warning("job.end_not_written", job_id=run.job_id)
            else:
                return answer
            if time.monotonic() > until:
                return None
            await asyncio.sleep(_PAUSE)


def _child(command: Command) -> dict[str, str]:
    row = Enqueue(command).row()
    return {name: row[name] for name in ("id", "type", "org", "lock", "data", "question")}


def _ms(delay: timedelta | None) -> int:
    return -1 if delay is None else int(delay / timedelta(milliseconds=1))


def _text(answer: object) -> str:
    return answer.decode() if isinstance(answer, bytes) else "unwritten"


def describe(error: BaseException) -> tuple[str, str]:
    """Return message and code of an error for its record; only our own texts are known to hold nothing secret."""
    if isinstance(error, JobError):
        return str(error), error.code
    if isinstance(error, Unavailable):
        return str(error), error.code
    if isinstance(error, TimeoutError | ConnectionError | OSError):
        return f"a connection failed ({type(error).__name__})", "transient"
    return f"an unexpected error ({type(error).__name__})", "unexpected"
