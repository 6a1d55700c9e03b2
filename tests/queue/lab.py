"""A worker whose jobs do what their connection's id says, for tests of the queue alone.

The gate, the runner, the lifecycle and stock arq are the real ones; only what a job does is the laboratory's. Each run
leaves its marks in the list `lab:runs`: `start <job> <fence> <connection> <instant>`, `waited …` if its claim stood
behind the worker's wait, then `write …` for each of its writes, then `end …`; `marks` reads them.
`arq tests.queue.lab.WorkerSettings` is configured by the environment, like the real one; `LAB_GRACE_S` is how long it
waits for its jobs after SIGTERM, `LAB_STORE_AWAY` makes its store fail, `LAB_HEALTH_S` is how often arq writes its
health key.

    sleep-500-x     sleeps for 500 ms, in slices that check the lease before each write
    deaf-500-x      the same, but swallows the first cancel, as `wait_for` of Python 3.11 may
    stubborn-x      swallows each cancel, and never ends
    quiet-500-x     waits for a bank for 500 ms, checks nothing meanwhile, and takes 300 ms to let go of it
    mute-500-x      sleeps for 500 ms and leaves no mark of its end
    block-500-x     blocks the event loop for 500 ms in its first run, then does nothing
    fail-2-x        fails in its first two runs with a retryable error, then succeeds
    permanent-x     fails for good
    kill-x          kills its process
    anything else   does nothing
"""

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from bankimport.commands import Command, SyncAllOrg, SyncConnection
from bankimport.errors import BankRejected, StoreUnavailable, Transient
from bankimport.models import JobType, Stage
from bankimport.queue.adoption import Adoption
from bankimport.queue.claims import Hooks
from bankimport.queue.gate import Gate
from bankimport.queue.queue import Queue
from bankimport.queue.run import Run
from bankimport.redis.connection import connect, patiently
from bankimport.settings import Settings
from bankimport.worker.lifecycle import Lifecycle, new_worker_id
from bankimport.worker.outcome import Outcome
from bankimport.worker.runner import Runner
from bankimport.worker.settings_class import WorkerSettingsBase, settings_class

RUNS = "lab:runs"
_SLICE = 0.02
_LETTING_GO = 0.3


@dataclass(frozen=True, slots=True)
class Mark:
    """What a run has left: a word, its job, its fence, its connection, and when it was about to write it (s)."""

    word: str
    job_id: str
    fence: int
    connection_id: str
    at: float


async def marks(redis: Redis) -> list[Mark]:
    """Return the marks in the order in which they arrived."""
    rows = [row.decode() if isinstance(row, bytes) else row for row in await redis.lrange(RUNS, 0, -1)]
    return [_mark(*row.split(" ")) for row in rows]


def _mark(word: str, job_id: str, fence: str, connection_id: str, at: str) -> Mark:
    return Mark(word, job_id, int(fence), connection_id, float(at))


def _refuse(word: str) -> None:
    if word == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "permanent":
        raise BankRejected(418)


async def _never_end() -> None:
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(_SLICE)


class Lab:
    """The handlers of the laboratory."""

    def __init__(self, queue: Queue) -> None:
        self._redis = queue.client

    async def _mark(self, word: str, run: Run) -> None:
        about = f"{run.job_id} {run.fence} {run.claim.data.get('connectionId', '-')}"
        text = f"{word} {about} {time.time():.4f}"
        await patiently(lambda: self._redis.rpush(RUNS, text), within=30.0)

    async def sync(self, command: Command, run: Run) -> Outcome:
        """Do what the connection's id says."""
        assert isinstance(command, SyncConnection)
        await self._mark("start", run)
        if run.unheard:
            await self._mark("waited", run)
        word, _, rest = command.connection_id.partition("-")
        number = int(rest.partition("-")[0]) if word in ("sleep", "deaf", "quiet", "mute", "block", "fail") else 0
        if word == "sleep":
            await self._sleep(number / 1000, run)
        elif word == "deaf":
            with contextlib.suppress(asyncio.CancelledError):
                await self._sleep(number / 1000, run)
            await self._sleep(number / 1000, run)
        elif word == "quiet":
            await self._wait_for_bank(number / 1000)
        elif word in ("mute", "stubborn"):
            await (_never_end() if word == "stubborn" else asyncio.sleep(number / 1000))
        elif word == "block":
            if sum(mark.job_id == run.job_id for mark in await marks(self._redis)) == 1:
                time.sleep(number / 1000)  # noqa: ASYNC251  # blocking the loop is the point
            run.ensure_owned()
        elif word == "fail" and run.claim.attempts < number:
            raise Transient("the laboratory's bank is away")
        else:
            _refuse(word)
        run.ensure_owned()
        if word != "mute":
            await self._mark("end", run)
        return Outcome(result={"connectionId": command.connection_id}, counts={"accountsSynced": 1})

    async def _sleep(self, seconds: float, run: Run) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await run.advance(Stage.SYNCING_TRANSACTIONS, "sleeping", 50)
            await asyncio.sleep(_SLICE)
            run.ensure_owned()
            await self._mark("write", run)

    async def _wait_for_bank(self, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        finally:
            await asyncio.sleep(_LETTING_GO)

    async def sync_all(self, command: Command, run: Run) -> Outcome:
        """Fan out to the connections named."""
        assert isinstance(command, SyncAllOrg)
        return Outcome(
            children=[
                SyncConnection(org_id=command.org_id, connection_id=connection, scheduled=command.scheduled)
                for connection in command.connection_ids or ()
            ]
        )


def lab_settings_class(settings: Settings) -> type[WorkerSettingsBase]:
    """Return arq's settings class for the laboratory's jobs."""
    queue = Queue(connect(settings, Redis), settings)
    gate = connect(settings, Gate)
    gate.attach(queue, Hooks(new_worker_id(), settings.concurrency))
    lab = Lab(queue)
    runner = Runner(queue, gate, {JobType.SYNC_CONNECTION: lab.sync, JobType.SYNC_ALL_ORG: lab.sync_all})

    async def org_of(connection_id: str) -> str | None:
        if os.environ.get("LAB_STORE_AWAY"):
            raise StoreUnavailable
        return "adopted"

    async def prepare() -> None:
        return None

    async def dispose() -> None:
        await queue.aclose()

    adoption = Adoption(queue, org_of)
    lifecycle = Lifecycle(queue, gate, adoption, prepare=prepare, dispose=dispose, alone=True, trouble=runner.trouble)
    made: Any = settings_class(settings, gate, runner, lifecycle, [], adoption)
    made.job_completion_wait = int(os.environ.get("LAB_GRACE_S", "30"))
    made.health_check_interval = int(os.environ.get("LAB_HEALTH_S", "30"))
    return cast(type[WorkerSettingsBase], made)


def __getattr__(name: str) -> type[WorkerSettingsBase]:
    if name == "WorkerSettings":
        return lab_settings_class(Settings.load())
    raise AttributeError(name)
