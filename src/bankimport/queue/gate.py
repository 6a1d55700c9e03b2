"""The gate: the Redis client that stock arq's worker is given, through which every command of it goes.

arq's queue is an inbox for what strangers enqueue, and arq itself starts nothing of it: its read of the queue finds
nothing, for a worker's claims (`claims`) bring what is to run, and `worker.runner` runs it. What is left to arq is the
process: its start and stop, its signals, `--burst` and `--check`, and when a cron job is due.

It leans on the exact commands of arq 0.28 (`tests/queue/test_arq_canary.py` fails when they change); any other goes to
Redis as it is.
"""

import asyncio
import contextlib
import time
from collections import Counter
from datetime import datetime
from typing import Any

import structlog
from arq.connections import ArqRedis
from arq.jobs import Job
from redis.exceptions import RedisError

from bankimport.errors import Unavailable
from bankimport.queue.adoption import foreign_row
from bankimport.queue.claims import Claims, Hooks
from bankimport.queue.payloads import serialize
from bankimport.queue.queue import Queue
from bankimport.queue.wake_ups import WakeUps
from bankimport.redis.connection import together
from bankimport.status import JobState

log = structlog.get_logger(__name__)

#: How long a stopping worker tries to say so.
_LAST_WORD = 0.5


async def never(ctx: dict[Any, Any]) -> None:
    """Stand for our functions and cron jobs, of which arq wants to know some: it starts none."""
    log.error("worker.started_by_arq", job_id=ctx.get("job_id"))


class Gate(ArqRedis):
    """arq's `redis_pool`. `attach` gives it a queue before the worker starts."""

    queue: Queue
    hooks: Hooks
    claims: Claims
    wake_ups: WakeUps
    ended: Counter[str]

    def attach(self, queue: Queue, hooks: Hooks) -> None:
        """Serve this queue as this worker."""
        self.queue = queue
        self.hooks = hooks
        client = ArqRedis(self.connection_pool)
        self.claims = Claims(queue, hooks, client)
        self.wake_ups = WakeUps(self.claims, queue, client)
        #: ends of runs, by arq's words for them
        self.ended = Counter()

    # What arq asks ---------------------------------------------------------------------------------------------

    async def zrangebyscore(self, name: Any, *args: Any, **kwargs: Any) -> Any:
        """Let arq find nothing in its queue: it would watch, check and claim each id, 16 commands a job (arq.md 9)."""
        return [] if name == self.queue.keys.queue else await super().zrangebyscore(name, *args, **kwargs)

    async def enqueue_job(self, function: str, *args: Any, **kwargs: Any) -> Job | None:
        """Serve a due cron job once over all workers, ours here and now, a host's as a job; enqueue anything else as
        arq does."""
        job_id = str(kwargs.get("_job_id") or "")
        tick = int(job_id.rpartition(":")[2]) if job_id.rpartition(":")[2].isdigit() else 0
        try:
            if function in self.hooks.host_crons:
                payload = serialize({"t": None, "f": function, "a": [], "k": {}, "et": int(time.time() * 1000)})
                row = foreign_row(function, payload.decode(), job_id or f"{function}:{int(time.time() * 1000)}", tick)
                await self.queue.transitions.enqueue_jobs([row], "")
            elif self.hooks.serve_tick is not None and function.startswith("cron:") and tick:
                at = datetime.fromtimestamp(tick / 1000).astimezone()
                await self.hooks.serve_tick(function.removeprefix("cron:"), at)
            else:
                return await super().enqueue_job(function, *args, **kwargs)
        except Unavailable as error:  # raising would end the worker; the catch-up serves it when Redis is back
            self.claims.complaints.warn("schedule.tick_missed", str(error), schedule=function)
        return None

    async def zcard(self, name: Any) -> Any:
        """Count the queue for arq's own health line and for `--burst`, which ends when nothing is left: ours don't
        stand in arq's. Redis being away or full must not end the worker."""
        keys = self.queue.keys
        names = [name, *([keys.state(JobState.WAITING), keys.state(JobState.ACTIVE)] if name == keys.queue else [])]
        try:
            return sum(await together(self, [("ZCARD", each) for each in names], within=1.0))
        except (Unavailable, RedisError):
            return len(self.claims.runs)

    async def delete(self, *names: Any) -> Any:
        """Keep arq's health key while other workers live: each that stops would delete it (arq.md 13). arq calls this
        as it stops, so Redis being away must neither raise nor take long (arq.md 25)."""
        if names != (f"{self.queue.keys.queue}:health-check",):
            return await super().delete(*names)
        with contextlib.suppress(RedisError, OSError):  # a TimeoutError is an OSError
            async with asyncio.timeout(_LAST_WORD):
                others = await super().zcard(self.queue.keys.of("workers")) > 1
                return 0 if others else await super().delete(*names)
        return 0

    async def psetex(self, name: Any, time_ms: Any, value: Any) -> Any:
        """Write arq's own health key, likewise, with the numbers of this worker's runs: arq knows of none."""
        for word, number in {**self.ended, "ongoing": len(self.claims.running)}.items():
            value = value.replace(b"j_%s=0" % word.encode(), b"j_%s=%d" % (word.encode(), number))
        with contextlib.suppress(RedisError, OSError):
            async with asyncio.timeout(_LAST_WORD):
                return await super().psetex(name, time_ms, value)
        return None
