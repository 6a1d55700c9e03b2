"""What a worker holds: it claims jobs as it has room, waits while there are none, and forgets what has ended."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bankimport.errors import LeaseLost, Unavailable
from bankimport.queue.complaints import Complaints
from bankimport.queue.idling import LOOK, IdlePolicy
from bankimport.queue.queue import Queue
from bankimport.queue.run import Claim, Run
from bankimport.queue.transitions import Claimed
from bankimport.redis.connection import BLOCK, LOST, patiently
from bankimport.telemetry import start_refused

#: How long one read of the queue may wait: arq looks at its cron jobs between reads, a second ahead of each.
_READ = 0.4
_TOKENS_LIVE = 86_400_000


@dataclass
class Hooks:
    """What the gate needs to know of its worker. `functions` grows by a host's own, `host_crons` by its cron jobs."""

    worker_id: str
    slots: int
    #: serves one of our schedules' due times; arq has only decided that it is near
    serve_tick: Callable[[str, datetime], Awaitable[None]] | None = None
    #: ends a claimed job that arq gave up before our code ran
    settle_unrun: Callable[[Run], Awaitable[None]] | None = None
    #: there is something in arq's queue
    strangers_came: Callable[[], None] | None = None
    functions: set[str] = field(default_factory=set)
    host_crons: set[str] = field(default_factory=set)


class Claims:
    """The runs of one worker, from their claim to their end. `client` is for what is no script."""

    def __init__(self, queue: Queue, hooks: Hooks, client: Redis) -> None:
        self.hooks = hooks
        self._queue = queue
        self._client = client
        self.complaints = Complaints()
        self.runs: dict[str, Run] = {}
        self.stopping = False
        #: strangers that stay in arq's queue: no worker knows their functions yet
        self.strangers_left = 0
        self._calls = 0
        #: how many places were asked for by each claim that has no answer yet, by its number
        self._asked: dict[int, int] = {}
        #: those of them whose replies may be lost: the same question is given the same claims
        self._lost: list[int] = []
        #: the one that was sent while nothing ran here: it may bring a suspect, which runs alone
        self._alone: int | None = None
        #: whether a claim is to travel with the next trip
        self._wanted = False
        queue.scripts.before_trip = self._ask_along
        self._asking: set[asyncio.Task[None]] = set()
        self._policy = IdlePolicy()
        self._read_at = 0.0
        self._woken = asyncio.Event()
        self._roomy = asyncio.Event()
        self._strangers_at = 0.0

    def wake(self) -> None:
        """Look at the queue now: a place is free, or something may start."""
        self._policy.woken()
        if not self._asking and self._may_ask():
            self._ask(time.monotonic())
        self._woken.set()

    def stop(self) -> None:
        """Claim nothing more: the worker stops."""
        self.stopping = True

    def done(self, run: Run) -> None:
        """Forget a run that has ended, here or elsewhere; the run that waited for its end may begin."""
        if self.runs.get(run.job_id) is run:
            if run.successor is None:
                self.runs.pop(run.job_id)
            else:
                self.runs[run.job_id] = run.successor
        self._woken.set()

    async def settle(self, run: Run) -> None:
        """End a job that arq gave up before our code ran."""
        if self.hooks.settle_unrun is not None:
            await self.hooks.settle_unrun(run)

    def refill(self) -> None:
        """A run's end is on its way to Redis: let the next claim travel with it, and with others that end just now."""
        self._wanted = True

    def _ask_along(self) -> None:
        if self._wanted and self._alone is None and not self._lost:
            self._wanted = False
            if not self.stopping and self._free() > 0:
                self._ask(time.monotonic(), along=True)

    async def listen(self) -> None:
        """Wait for wake-ups for ever: one token wakes one worker that has room. Run it as a task of the worker."""
        while True:
            await self._roomy.wait()
            try:
                token = await self._client.execute_command("BLPOP", self._queue.keys.wake, BLOCK)
                if token is None:
                    continue
                if self._roomy.is_set() and time.monotonic() - self._read_at < LOOK:
                    self.wake()
                    await asyncio.sleep(0)  # the claim goes out before the next wait
                else:  # it became full, or arq reads no more because it stops: another worker's turn
                    self._roomy.clear()
                    await self._pass_on()
            except (*LOST, RedisError):  # lost, or refused: blocked clients of a demoted primary are told UNBLOCKED
                await asyncio.sleep(LOOK)

    async def _pass_on(self) -> None:
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.lpush(self._queue.keys.wake, "1")
            pipe.pexpire(self._queue.keys.wake, _TOKENS_LIVE)
            await pipe.execute()

    async def next(self) -> list[str]:
        """Return the ids of claimed jobs that have not begun; wait a moment for some while there are none."""
        until = time.monotonic() + _READ
        while not (unbegun := [job_id for job_id, run in self.runs.items() if not run.begun]):
            now = self._read_at = time.monotonic()
            if now >= until:
                break
            if now >= self._policy.look_at and not self._asking:
                self._woken.clear()
                await self._look(now)
                continue
            wait = until if self._asking else min(self._policy.look_at, until)
            with contextlib.suppress(TimeoutError):  # no `wait_for`: in 3.11 it may swallow arq's cancel
                async with asyncio.timeout(wait - now):
                    await self._woken.wait()
                    self._woken.clear()
        return unbegun[: (self.hooks.slots + 1) // 2]

    def _free(self) -> int:
        """Return how many jobs may be claimed: runs whose end is written need no place any more."""
        busy = [run for run in self.runs.values() if not run.settled]
        if self._alone is not None or any(run.is_suspect for run in busy):
            return 0
        return self.hooks.slots - len(busy) - sum(self._asked.values())

    async def _look(self, now: float) -> None:
        """Claim what may start now, and note when to look again."""
        if not self._may_ask():
            self._roomy.clear()
            self._policy.full(now)
        elif not self._policy.may_glance(now) or not self._policy.glanced(now, await self._inbox()):
            self._ask(now)

    def _may_ask(self) -> bool:
        return not self.stopping and (self._free() > 0 or bool(self._lost))

    def _ask(self, now: float, *, along: bool = False) -> None:
        """Send a claim, in the line here and now if it is to travel along; its answer wakes whoever waits for jobs."""
        busy = sum(not run.settled for run in self.runs.values()) + sum(self._asked.values())
        claim = self._queue.transitions.claim_jobs
        send: Callable[..., Awaitable[Claimed]]
        if self._lost:
            number, send = self._lost.pop(0), claim.again
            busy -= self._asked[number]
        else:
            self._calls, send = self._calls + 1, claim.soon if along else claim
            number, self._asked[self._calls] = self._calls, self._free()
        if busy == 0:
            self._alone = number
        self._policy.asked(now)
        words = (self.hooks.worker_id, str(number), self._asked[number], busy, sorted(self.hooks.functions))
        self._asking.add(asyncio.create_task(self._take(now, number, send(*words))))

    async def _take(self, now: float, number: int, answer: Awaitable[Claimed]) -> None:
        try:
            claimed = await answer
        except Unavailable as error:
            self._lost.append(number)
            self.complaints.warn("queue.unavailable", str(error), worker=self.hooks.worker_id)
        except RuntimeError as error:  # refused, not away: to end every worker would help nobody
            self.complaints.warn("queue.refused", str(error), worker=self.hooks.worker_id)
        else:
            self._answered(number)
            if claimed.limited:
                start_refused()
            self._hold_all(claimed.rows, now)
            wait = claimed.wait.total_seconds() if claimed.wait is not None else None
            busy = bool(self.runs or claimed.rows) or self._woken.is_set()
            self._policy.looked(time.monotonic(), wait=wait, busy=busy, inbox=claimed.strangers)
            self._note_strangers(claimed.strangers, now)
        finally:
            if number not in self._lost:
                self._answered(number)  # whatever went wrong: its places would be gone for ever
            self._asking -= {asyncio.current_task()}
            if self._wanted:  # an end was on its way behind this claim
                self._policy.woken()
            self._woken.set()

    def _answered(self, number: int) -> None:
        self._asked.pop(number, None)
        if self._alone == number:
            self._alone = None

    def _hold_all(self, rows: Sequence[list[bytes]], now: float) -> None:
        for row in rows:
            self._hold(
                Run(Claim.parse(row), self._queue.transitions, self._queue.settings.lease, self.hooks.worker_id, now)
            )
        if self._free() > 0:  # only a worker that found too little waits for a token: a full one would pass it on
            self._roomy.set()
        else:
            self._roomy.clear()

    def _hold(self, run: Run) -> None:
        """Keep a claimed run; frozen beyond its lease, a worker may claim its own job before its old run has ended, and
        a retry without a wait before arq has let go of the run before."""
        before = self.runs.setdefault(run.job_id, run)
        if before is not run:
            before.successor = run
            before.interrupt(LeaseLost(run.job_id))

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
