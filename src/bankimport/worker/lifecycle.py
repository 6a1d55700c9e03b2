"""What a worker does beside its jobs: it listens, beats, sweeps, and tells handlers of events; clean start and stop.

Nothing here may raise into arq: an exception in a hook stops the whole worker (arq.md 6).
"""

import asyncio
import contextlib
import gc
import os
import secrets
import socket
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from importlib.metadata import version
from typing import Any, Protocol

import structlog

from bankimport.errors import BankImportError, JobCancelled, LeaseLost, StoreUnavailable, Unavailable
from bankimport.logs import hush_arq
from bankimport.queue.adoption import Adoption
from bankimport.queue.gate import Gate
from bankimport.queue.queue import Queue
from bankimport.redis.connection import LOST, patiently
from bankimport.redis.deadline import apart
from bankimport.stream import groups_behind
from bankimport.watch.repairing import repair
from bankimport.watch.sweeper import GroupsBehind, Sweeper
from bankimport.worker.stopping import end, end_runs, hear_signals

log = structlog.get_logger(__name__)

_FIRST_SWEEP, _SWEEP = timedelta(seconds=10), timedelta(seconds=60)
#: A heartbeat is believed for two leases, and never shorter than this.
_SHORTEST_LIFE = timedelta(seconds=5)
#: How long a stopping worker tries to say so; without Redis its leases lapse all the same (arq.md 25).
_LAST_WORD = 1.0
#: How long a heartbeat tells of the worst lag, in seconds.
_LAG_SHOWN = 60.0
#: Beats in a row while there is work left over: each does a slice of it, so that nobody waits long for Redis.
_LEFT_OVER = 50


def new_worker_id() -> str:
    """Return an id of this process: host, pid, and eight random letters."""
    return f"{socket.gethostname()[:32]}:{os.getpid()}:{secrets.token_hex(4)}"


def calm_collector() -> None:
    """Look for reference cycles more rarely, and not among the modules: a long import makes millions of objects and
    no cycles, and spent a sixth of its time, and half of its longest stall, on being searched."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class Beside(Protocol):
    """What goes on beside the jobs, turn by turn; its end raises nothing."""

    async def turn(self) -> None:
        """Do a little, and wait where there is nothing to do."""

    async def aclose(self) -> None:
        """Stop; nothing may be begun afterwards."""


class Lifecycle:
    """The background of one worker, from `on_startup` to `on_shutdown`; `alone` in its process or in a host's."""

    def __init__(
        self,
        queue: Queue,
        gate: Gate,
        adoption: Adoption,
        *,
        prepare: Callable[[], Awaitable[None]],
        dispose: Callable[[], Awaitable[None]],
        on_start: Sequence[Callable[[], Awaitable[None]]] = (),
        beside: Sequence[Beside] = (),
        alone: bool = False,
        trouble: Callable[[], str] = str,
        watch: GroupsBehind = groups_behind,
    ) -> None:
        self._queue = queue
        self._gate = gate
        self._adoption = adoption
        self._prepare = prepare
        self._dispose = dispose
        self._on_start = on_start
        self._beside = beside
        self._alone = alone
        self._trouble = trouble
        self._strangers = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_begun = self._is_over = False
        self._sweeper = Sweeper(queue, watch)
        self._until_sweep = _FIRST_SWEEP
        #: the worst lag of the loop lately, and when that was, in seconds
        self._lag = self._lagged_at = 0.0

    async def start(self, ctx: dict[Any, Any]) -> None:
        """arq's `on_startup`: check what we stand on, then begin.

        Raises:
            SchemaOutdated, InvalidSettings: the worker can't serve; arq ends with the sentence.
        """
        if self._is_begun:  # a host's own hook may call ours
            return
        self._is_begun = True
        await self._prepare()
        await self._refuse_cluster()
        self._gate.hooks.strangers_came = self._strangers.set
        await self._beat()
        claims = self._gate.claims
        claims.context = apart()
        turns = (
            claims.look,
            self._next_beat,
            self._next_sweep,
            self._next_adoption,
            *(each.turn for each in self._beside),
        )
        self._tasks = [asyncio.create_task(self._for_ever(turn)) for turn in turns]
        self._tasks.append(asyncio.create_task(self._gate.wake_ups.listen()))
        await self._begin()
        if self._alone:
            calm_collector()
            hush_arq()
            hear_signals(claims)
        loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        log.info("worker.started", worker=self._gate.hooks.worker_id, slots=self._gate.hooks.slots, loop=loop)

    async def _begin(self) -> None:
        for begin in self._on_start:
            with contextlib.suppress(Unavailable):
                await begin()

    async def stop(self, ctx: dict[Any, Any]) -> None:
        """arq's `on_shutdown`: claim nothing more, wait for what runs within the grace, give back the rest."""
        if self._is_over:
            return
        self._is_over = True
        await end_runs(self._gate.claims)
        await end(*self._tasks, *self._gate.claims.asking)
        for each in self._beside:
            await each.aclose()
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_LAST_WORD):
                await self._queue.transitions.remove_worker(self._gate.hooks.worker_id)
        await self._dispose()
        log.info("worker.stopped", worker=self._gate.hooks.worker_id)

    async def _refuse_cluster(self) -> None:
        if (await patiently(lambda: self._queue.client.info("cluster"))).get("cluster_enabled"):
            raise BankImportError("Redis Cluster is not supported by arq: a single primary is needed (or Sentinel)")

    async def _for_ever(self, turn: Callable[[], Awaitable[None]]) -> None:
        """Take one turn after the other, whatever one meets: nobody would notice that a task has ended."""
        while True:
            try:
                await turn()
            except (StoreUnavailable, *LOST) as error:
                self._gate.claims.complaints.warn("worker.turn_missed", str(error), turn=turn.__name__)
            except Exception as error:
                frames = "".join(traceback.format_tb(error.__traceback__))
                log.error("worker.turn_failed", turn=turn.__name__, error=type(error).__name__, frames=frames)  # noqa: TRY400  # its text may hold a whole command (arq.md 23)

    async def _next_adoption(self) -> None:
        await self._strangers.wait()
        self._strangers.clear()
        self._gate.claims.strangers_left = await self._adoption.run()

    async def _next_beat(self) -> None:
        third = self._queue.settings.lease.total_seconds() / 3
        before = time.monotonic()
        await asyncio.sleep(third)
        now = time.monotonic()
        lag = max(0.0, now - before - third)
        if lag > third:
            log.warning("worker.loop_blocked", worker=self._gate.hooks.worker_id, seconds=round(lag, 3))
        if lag > self._lag or now - self._lagged_at > _LAG_SHOWN:
            self._lag, self._lagged_at = lag, now
        for _ in range(_LEFT_OVER):
            if not await self._beat():
                break

    async def _beat(self) -> bool:
        """Renew leases, stop runs that are no longer ours; return whether work is left for another beat at once."""
        runs = {job_id: run.successor or run for job_id, run in self._gate.claims.runs.items()}
        asked_at = time.monotonic()
        about = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": version("bankimport"),
            "lag": round(self._lag * 1000),
            "trouble": self._trouble(),
        }
        beat = await self._queue.transitions.beat_worker(
            self._gate.hooks.worker_id,
            max(2 * self._queue.settings.lease, _SHORTEST_LIFE),
            about,
            sorted(self._gate.hooks.functions),
            [(job_id, str(run.fence)) for job_id, run in runs.items()],
        )
        for run in runs.values():
            run.renewed(asked_at)
        for job_id in beat.lost:
            runs[job_id].interrupt(LeaseLost(job_id))
        for job_id in beat.cancelled:
            runs[job_id].interrupt(JobCancelled(job_id))
        if beat.ready:
            self._gate.claims.wake()
        return beat.more

    async def _next_sweep(self) -> None:
        await asyncio.sleep(self._until_sweep.total_seconds())
        self._until_sweep = _SWEEP
        if await self._sweeper.run():
            self._gate.claims.strangers_left = 0
            self._strangers.set()
            await self._begin()
            await repair(self._queue)
