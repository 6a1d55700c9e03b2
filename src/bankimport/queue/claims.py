"""How a worker claims: as it has room, and never more; while there is nothing it waits."""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bankimport.complaints import Complaints
from bankimport.errors import Unavailable
from bankimport.logs import frames_of
from bankimport.queue.held import Held
from bankimport.queue.idling import LOOK, IdlePolicy
from bankimport.queue.queue import Queue
from bankimport.queue.run import Claim, Run
from bankimport.queue.transitions import Claimed
from bankimport.queue.under_way import ClaimCall, ClaimsUnderWay
from bankimport.redis.connection import patiently
from bankimport.redis.deadline import apart
from bankimport.telemetry import start_refused

log = structlog.get_logger(__name__)


@dataclass
class Hooks:
    """What the gate needs to know of its worker. `functions` grows by a host's own, `host_crons` by its cron jobs."""

    worker_id: str
    slots: int
    #: serves one of our schedules' due times; arq has only decided that it is near
    serve_tick: Callable[[str, datetime], Awaitable[None]] | None = None
    #: how long a worker that stops waits for its runs, in seconds
    grace: float = 0.0
    #: runs a claimed job to its end
    run: Callable[[Run], Coroutine[Any, Any, None]] | None = None
    #: there is something in arq's queue
    strangers_came: Callable[[], None] | None = None
    functions: set[str] = field(default_factory=set)
    host_crons: set[str] = field(default_factory=set)


class Claims:
    """The claims of one worker, and what they bring. `client` is for what is no script."""

    def __init__(self, queue: Queue, hooks: Hooks, client: Redis) -> None:
        self.hooks = hooks
        self._queue = queue
        self._client = client
        self.complaints = Complaints()
        self._held = Held()
        self.runs = self._held.runs
        self.stopping = False
        #: until when runs may give themselves back (monotonic s), where the worker is to stop at once
        self.at_once_by = math.inf
        #: strangers that stay in arq's queue: no worker knows their functions yet
        self.strangers_left = 0
        self._under_way = ClaimsUnderWay()
        #: what runs, by the task that runs it
        self.running: dict[asyncio.Task[None], Run] = {}
        #: what each of them begins with: not the context of the run that asked for it
        self.context = apart()
        #: whether a claim is to travel with the next trip
        self._wanted = False
        queue.scripts.before_trip = self._ask_along
        #: carry a claim, each
        self.asking: set[asyncio.Task[Any]] = set()
        self._policy = IdlePolicy()
        self._woken = asyncio.Event()
        #: there is a free place
        self.roomy = asyncio.Event()
        self._strangers_at = 0.0

    def wake(self) -> None:
        """Look at the queue now: a place is free, or something may start."""
        self._policy.woken()
        if not self.asking and self._may_ask():
            self._ask(time.monotonic())
        self._woken.set()

    def stop(self) -> None:
        """Claim nothing more: the worker stops."""
        self.stopping = True

    def refill(self) -> None:
        """A run's end is on its way to Redis: let the next claim travel with it, and with others that end just now."""
        self._wanted = True

    def _ask_along(self) -> None:
        if self._wanted and self._under_way.alone is None and not self._under_way.any_lost:
            self._wanted = False
            if not self.stopping and self._free() > 0:
                self._ask(time.monotonic(), along=True)

    @property
    def is_warm(self) -> bool:
        """Whether more work is likely soon."""
        return self._policy.is_warm(time.monotonic())

    def begin_waiting(self) -> ClaimCall | None:
        """Return a claim for half of the free places, to stand behind a wait; the others can be asked for beside it."""
        if self.stopping or self._under_way.any_lost or self._free() < 2:
            return None
        return self._under_way.begin_waiting(self._free() // 2, self._held.taken)

    async def look(self) -> None:
        """Claim what may start now, if it is time to look; else wait for that, or to be woken."""
        now = time.monotonic()
        if now >= self._policy.look_at and not self.asking:
            self._woken.clear()
            await self._look(now)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if self.asking else self._policy.look_at - now):
                await self._woken.wait()
                self._woken.clear()

    def _free(self) -> int:
        """Return how many jobs may be claimed: runs whose end is written need no place any more."""
        if self._under_way.alone is not None or self._held.has_suspect:
            return 0
        return self.hooks.slots - self._held.taken - self._under_way.places

    async def _look(self, now: float) -> None:
        """Claim what may start now, and note when to look again."""
        if not self._may_ask():
            self.roomy.clear()
            self._policy.full(now)
        elif not self._policy.may_glance(now) or not self._policy.glanced(now, await self._inbox()):
            self._ask(now)

    def _may_ask(self) -> bool:
        return not self.stopping and (self._free() > 0 or self._under_way.any_lost)

    def _ask(self, now: float, *, along: bool = False) -> None:
        """Send a claim, in the line here and now if it is to travel along; its answer wakes whoever waits for jobs."""
        claim = self._queue.transitions.claim_jobs
        send: Callable[..., Awaitable[Claimed]]
        if self._under_way.any_lost:
            call, send = self._under_way.again(self._held.taken), claim.again
        else:
            call, send = self._under_way.begin(self._free(), self._held.taken), claim.soon if along else claim
        self._policy.asked(now)
        answer = send(self.hooks.worker_id, *call, sorted(self.hooks.functions))
        self.asking.add(asyncio.create_task(self.take(now, call.number, answer)))

    async def take(self, now: float, number: str, answer: Awaitable[Claimed], *, unheard: bool = False) -> list[Run]:
        """Hold what a claim brings; return it."""
        runs: list[Run] = []
        try:
            claimed = await answer
        except Unavailable as error:
            self._under_way.lose(number)
            self.complaints.warn("queue.unavailable", str(error), worker=self.hooks.worker_id)
        except RuntimeError as error:  # refused, not away: to end every worker would help nobody
            self.complaints.warn("queue.refused", str(error), worker=self.hooks.worker_id)
        else:
            self._under_way.end(number)
            if claimed.limited:
                start_refused()
            runs = await self._hold_all(claimed.rows, now, unheard=unheard)
            wait = claimed.wait.total_seconds() if claimed.wait is not None else None
            busy = bool(self.runs or claimed.rows) or self._woken.is_set()
            if runs:
                self._policy.found(now)
            self._policy.looked(time.monotonic(), wait=wait, busy=busy, inbox=claimed.strangers)
            self._note_strangers(claimed.strangers, now)
        finally:
            self._under_way.end(number)  # whatever went wrong: its places would be gone for ever
            self.asking -= {asyncio.current_task()}
            if self._wanted:  # an end was on its way behind this claim
                self._policy.woken()
            self._woken.set()
        return runs

    async def _hold_all(self, rows: Sequence[list[bytes]], now: float, *, unheard: bool) -> list[Run]:
        queue, worker = self._queue, self.hooks.worker_id
        lease = queue.settings.lease
        runs = [Run(Claim.parse(row), queue.transitions, lease, worker, now, unheard=unheard) for row in rows]
        if runs and (self.stopping or self._held.are_company(runs) or (unheard and any(run.is_over for run in runs))):
            with contextlib.suppress(Unavailable):  # their leases end
                await queue.transitions.give_back_jobs([(run.job_id, str(run.fence)) for run in runs])
            runs = []
        self._begin([run for run in runs if self._held.hold(run)])
        if self._free() > 0:  # only a worker that found too little waits for a token: a full one would pass it on
            self.roomy.set()
        else:
            self.roomy.clear()
        return runs

    def _begin(self, runs: Sequence[Run]) -> None:
        """Begin runs in the next turn of the loop, but no more than half of the places: the others a turn later, so
        that one half works while the ends and claims of the other travel."""
        half = (self.hooks.slots + 1) // 2
        for run in runs[:half]:
            if self.hooks.run is not None:
                task = asyncio.create_task(self.hooks.run(run), context=self.context.copy())
                self.running[task] = run
                task.add_done_callback(self._ended)
        if runs[half:]:
            asyncio.get_running_loop().call_soon(self._begin, runs[half:])

    def _ended(self, task: "asyncio.Task[None]") -> None:
        run = self.running.pop(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:  # no end is written: its lease will be over
            frames = frames_of(error.__traceback__)
            log.error("job.run_broken", job_id=run.job_id, error=type(error).__name__, frames=frames)
        waiting = self._held.done(run)
        if waiting is not None:
            self._begin([waiting])
        if run.lingers or not run.settled:
            self.wake()

    def _note_strangers(self, number: int, now: float) -> None:
        if number != self.strangers_left and self.hooks.strangers_came is not None and now >= self._strangers_at:
            self._strangers_at = now + LOOK
            self.hooks.strangers_came()

    async def _inbox(self) -> int:
        """Return the length of arq's queue: one command, which tells an idle worker whether to look closer."""
        try:
            return int(await patiently(lambda: self._client.zcard(self._queue.keys.queue)))
        except (Unavailable, RedisError):
            return -2  # a closer look says what is wrong
