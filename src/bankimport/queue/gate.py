"""The gate: the Redis client that stock arq's worker is given, through which every command of it goes.

arq reads its queue, and for each id watches a key, checks it, and claims it: 16 commands a job (arq.md 9). Here that
read answers with jobs that one script has already claimed for this worker, and what arq then asks about them is
answered from the claim, without Redis. When there is nothing to do the read waits to be woken. When a job has ended
our own script has written it all, so arq's last word on it needs no command either.

It leans on the exact commands of arq 0.28 (`tests/queue/test_arq_canary.py` fails when they change); whatever is not
about a claimed job goes to Redis as it is.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from arq.connections import ArqRedis
from arq.jobs import Job
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

from bankimport.errors import LeaseLost, Unavailable
from bankimport.queue.claim_pipeline import ClaimPipeline
from bankimport.queue.connection import BLOCK, LOST
from bankimport.queue.queue import Queue
from bankimport.queue.run import Claim, Run

log = structlog.get_logger(__name__)

#: How long one read of the queue may wait: arq looks at its cron jobs between reads, a second ahead of each.
_READ = 0.4
#: How often an idle worker looks without being woken: for strangers' jobs, and as a second line.
_LOOK = 1.0
#: How long an idle worker trusts a claim that found nothing, while the length of arq's queue doesn't change; and how
#: often it looks at that.
_TRUST = 30.0
_GLANCE = 3.0
#: Wake-ups end by themselves if no worker takes them.
_TOKENS_LIVE = timedelta(days=1)
#: How long a stopping worker tries to say so.
_LAST_WORD = 3.0

#: Serves a cron job's due time; arq has only decided that it is near.
TickServer = Callable[[str, datetime], Awaitable[None]]


class Gate(ArqRedis):
    """arq's `redis_pool`. `attach` gives it a queue before the worker starts."""

    queue: Queue
    worker_id: str
    slots: int
    serve_tick: TickServer | None
    strangers_came: Callable[[], None] | None
    settle_unrun: Callable[[Run], Awaitable[None]] | None

    def attach(self, queue: Queue, worker_id: str, slots: int) -> None:
        """Serve this queue as this worker, with so many jobs at a time."""
        self.queue = queue
        self.worker_id = worker_id
        self.slots = slots
        self.serve_tick = None
        self.strangers_came = None
        self.settle_unrun = None
        self.runs: dict[str, Run] = {}
        self._calls = 0
        self._look_at = 0.0
        self._quiet_until = 0.0
        self._quiet_length = -1
        self._read_at = 0.0
        self._woken = asyncio.Event()
        self._roomy = asyncio.Event()
        self._strangers_at = 0.0

    # What arq asks ---------------------------------------------------------------------------------------------

    async def zrangebyscore(self, name: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer arq's read of the queue with claimed ids; wait for some while there are none."""
        if name != self.queue.keys.queue:
            return await super().zrangebyscore(name, *args, **kwargs)
        return [job_id.encode() for job_id in await self._claimed()]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:  # noqa: FBT001  # redis-py's
        """Return a pipeline that knows what is claimed."""
        return ClaimPipeline(self, transaction, shard_hint)

    async def enqueue_job(self, function: str, *args: Any, **kwargs: Any) -> Job | None:
        """Serve a due cron job here and now, once over all workers; enqueue anything else as arq does."""
        if self.serve_tick is None or not function.startswith("cron:"):
            return await super().enqueue_job(function, *args, **kwargs)
        tick = int(str(kwargs["_job_id"]).rpartition(":")[2])
        try:
            await self.serve_tick(function.removeprefix("cron:"), datetime.fromtimestamp(tick / 1000).astimezone())
        except (Unavailable, RuntimeError):  # raising would end the worker; the catch-up serves it when Redis is back
            log.warning("schedule.tick_missed", schedule=function)
        return None

    async def zcard(self, name: Any) -> Any:
        """Count the queue for arq's own health line; Redis being away or full must not end the worker."""
        with contextlib.suppress(RedisError, OSError):
            return await super().zcard(name)
        return 0

    async def delete(self, *names: Any) -> Any:
        """Keep arq's health key while other workers live: each that stops would delete it (arq.md 13). arq calls this
        as it stops, so Redis being away must neither raise nor take long (arq.md 25)."""
        if names != (f"{self.queue.keys.queue}:health-check",):
            return await super().delete(*names)
        with contextlib.suppress(RedisError, OSError):  # a TimeoutError is an OSError
            async with asyncio.timeout(_LAST_WORD):
                others = await self.zcard(self.queue.keys.workers) > 1
                return 0 if others else await super().delete(*names)
        return 0

    async def psetex(self, name: Any, time_ms: Any, value: Any) -> Any:
        """Write arq's own health key, likewise."""
        with contextlib.suppress(RedisError, OSError):
            return await super().psetex(name, time_ms, value)
        return None

    # What we do ------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look at the queue now: a place is free, or something may start."""
        self._look_at = self._quiet_until = 0.0
        self._woken.set()

    def done(self, run: Run) -> None:
        """Forget a run that has ended, here or elsewhere; the run that waited for its end may begin."""
        if run.successor is None:
            self.runs.pop(run.job_id, None)
        else:
            self.runs[run.job_id] = run.successor
        self.wake()

    async def listen(self) -> None:
        """Wait for wake-ups for ever: one token wakes one worker that has room. Run it as a task of the worker."""
        while True:
            await self._roomy.wait()
            try:
                token = await self.execute_command("BLPOP", self.queue.keys.wake, BLOCK)  # type: ignore[no-untyped-call]  # redis-py
                if token is None:
                    continue
                if self._roomy.is_set() and time.monotonic() - self._read_at < _LOOK:
                    self.wake()
                else:  # it became full, or arq reads no more because it stops: another worker's turn
                    self._roomy.clear()
                    await self._pass_on()
            except (RedisError, OSError):  # lost, or refused: blocked clients of a demoted primary are told UNBLOCKED
                await asyncio.sleep(_LOOK)

    async def _pass_on(self) -> None:
        async with self.pipeline(transaction=False) as pipe:
            pipe.lpush(self.queue.keys.wake, "1")
            pipe.pexpire(self.queue.keys.wake, _TOKENS_LIVE)
            await pipe.execute()

    async def _claimed(self) -> list[str]:
        until = time.monotonic() + _READ
        while not (unbegun := [job_id for job_id, run in self.runs.items() if not run.begun]):
            now = self._read_at = time.monotonic()
            if now >= until:
                break
            if now >= self._look_at:
                self._woken.clear()
                await self._look(now)
            else:
                with contextlib.suppress(TimeoutError):  # no `wait_for`: in 3.11 it may swallow arq's cancel
                    async with asyncio.timeout(min(self._look_at, until) - now):
                        await self._woken.wait()
        return unbegun

    async def _look(self, now: float) -> None:
        """Claim what may start now, and note when to look again."""
        free = self.slots - len(self.runs)
        self._look_at = now + _LOOK
        if free <= 0:
            self._roomy.clear()
            return
        self._roomy.set()
        try:
            if now < self._quiet_until and await self._length() == self._quiet_length:
                self._look_at = min(self._look_at and now + _GLANCE, self._quiet_until)
                return
            rows, wait, strangers, length = await self._claim(free)
        except Unavailable:
            log.warning("queue.unavailable", worker=self.worker_id)
            return
        except RuntimeError as error:  # refused, not away: to end every worker would help nobody
            log.error("queue.refused", worker=self.worker_id, error=str(error))  # noqa: TRY400  # says it all
            return
        for row in rows:
            self._hold(Run(Claim.parse(row), self.queue.scripts, self.queue.settings.lease, self.worker_id, now))
        if len(self.runs) >= self.slots:
            self._roomy.clear()
        due = time.monotonic() + int(wait) / 1000 if int(wait) >= 0 else now + _TRUST
        self._look_at = min(self._look_at, due)
        # what woke us while the claim was under way came too late for it
        busy = rows or self.runs or strangers == b"1" or self._woken.is_set()
        self._quiet_until = 0.0 if busy else min(due, now + _TRUST)
        self._quiet_length = int(length)
        if strangers == b"1" and self.strangers_came is not None and now >= self._strangers_at:
            self._strangers_at = now + _LOOK
            self.strangers_came()

    def _hold(self, run: Run) -> None:
        """Keep a claimed run; frozen beyond its lease, a worker may claim its own job before its old run has ended."""
        before = self.runs.setdefault(run.job_id, run)
        if before is not run:
            before.successor = run
            before.interrupt(LeaseLost(run.job_id))

    async def _length(self) -> int:
        """Return the length of arq's queue: one command, which tells an idle worker whether to look closer."""
        try:
            return int(await super().zcard(self.queue.keys.queue))
        except LOST as error:
            raise Unavailable("Redis") from error

    async def _claim(self, free: int) -> tuple[list[list[bytes]], bytes, bytes, bytes]:
        settings = self.queue.settings
        self._calls += 1
        try:
            answer: tuple[list[list[bytes]], bytes, bytes, bytes] = await self.queue.scripts.run(
                "claim_jobs",
                self.worker_id,
                self._calls,
                free,
                int(settings.lease.total_seconds() * 1000),
                settings.org_concurrency,
                settings.rate_limit_max,
                int(settings.rate_limit_duration.total_seconds() * 1000),
            )
        except Unavailable:
            self._calls -= 1  # its reply may be lost: the same question is given the same claims
            raise
        return answer
