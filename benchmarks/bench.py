"""The ground of a run: a Valkey of its own, real worker processes, and what they use."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import redis
from arq.connections import ArqRedis, RedisSettings, create_pool
from redis.asyncio import Redis
from tests.processes import Processes, Running, Valkey, start_valkey
from tests.waiting import wait_until

from bankimport.commands import SyncConnection
from bankimport.queue.queue import Enqueue, Queue
from bankimport.redis.connection import connect
from bankimport.settings import Settings

#: Out of the way: what a worker can do is measured, not what it is allowed to.
NO_LIMITS = {
    "BANK_SYNC_RATE_LIMIT_MAX": "1000000",
    "BANK_SYNC_RATE_LIMIT_DURATION_MS": "1",
    "BANK_SYNC_LOG_LEVEL": "INFO",
}
_LONGEST = 600.0
OUR_QUEUE, STOCK_QUEUE = "bank-import", "arq:queue"


@dataclass
class Used:
    """What a stretch of work took: seconds on the clock, the workers' CPU seconds, commands the server carried out
    (those inside scripts too), and reads from its sockets (a pipeline or a script is one)."""

    seconds: float = 0.0
    cpu: float = 0.0
    commands: float = 0.0
    reads: float = 0.0


@dataclass
class Bench:
    """One run of the benchmarks. `scale` multiplies every count of jobs; `repeats` is how often each is measured."""

    processes: Processes
    valkey: Valkey
    repeats: int
    scale: float

    def __post_init__(self) -> None:
        self.url = self.valkey.url(0)
        self.admin: redis.Redis = redis.Redis.from_url(self.url)

    def count(self, full: int) -> int:
        """Return a number of jobs, scaled."""
        return max(5, int(full * self.scale))

    def seconds(self, full: float) -> float:
        """Return a length of time, scaled, a second at least."""
        return max(1.0, full * min(1.0, self.scale))

    @asynccontextmanager
    async def worker(self, settings: str, queue: str, number: int = 1, **environment: str) -> AsyncIterator[list[int]]:
        """Run `number` stock `arq` processes on an empty database; yields their pids once all of them serve."""
        self.admin.flushall()
        self.admin.config_resetstat()
        variables = {"REDIS_URL": self.url, **NO_LIMITS, **environment}
        running: list[Running] = []
        try:
            for _ in range(number):
                self.admin.delete(f"{queue}:health-check")
                running.append(self.processes.worker(variables, settings))
                # arq writes its health key once it has read the queue for the first time
                await wait_until(lambda: _serves(running[-1], self.admin, f"{queue}:health-check"), 60, what="a worker")
            yield [one.pid for one in running]
        finally:
            for one in running:
                one.signal(signal.SIGCONT)
                one.kill()

    @contextmanager
    def frozen(self, pids: list[int]) -> Any:
        """Stop the processes while jobs are put in, so that what follows is their work alone."""
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    async def used(self, pids: list[int], done: Callable[[], bool], *, every: float = 0.01) -> Used:
        """Let the processes work until `done` (which costs one command) and return what that took."""
        before, cpu, began = self.admin.info("stats"), _cpu(pids), time.monotonic()
        looks = 1  # the INFO itself
        while not done():
            looks += 1
            if time.monotonic() > began + _LONGEST:
                raise RuntimeError(f"not done in {_LONGEST} s:\n{self.processes.started[-1].output()[-4000:]}")
            await asyncio.sleep(every)
        seconds, used = time.monotonic() - began, _cpu(pids) - cpu
        after = self.admin.info("stats")
        looks += 1
        commands = after["total_commands_processed"] - before["total_commands_processed"] - looks
        reads = after["total_reads_processed"] - before["total_reads_processed"] - looks
        return Used(seconds, used, commands, reads)


def _serves(worker: Running, admin: redis.Redis, key: str) -> bool:
    if worker.ended:
        raise RuntimeError(f"the worker ended:\n{worker.output()}")
    return admin.exists(key) == 1


def _cpu(pids: list[int]) -> float:
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(time.user + time.system for time in times))


@asynccontextmanager
async def ready(repeats: int, scale: float) -> AsyncIterator[Bench]:
    """Start the server of a run and end everything after it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        processes = Processes(Path(directory), cold=True)
        try:
            yield Bench(processes, start_valkey(processes, databases=4), repeats, scale)
        finally:
            processes.end()


@asynccontextmanager
async def our_queue(bench: Bench) -> AsyncIterator[Queue]:
    """A producer of ours."""
    settings = Settings.load(redis_url=bench.url)
    queue = Queue(connect(settings, Redis), settings)
    yield queue
    await queue.client.aclose()


@asynccontextmanager
async def stock_pool(bench: Bench) -> AsyncIterator[ArqRedis]:
    """A producer of stock arq."""
    pool = await create_pool(RedisSettings.from_dsn(bench.url))
    yield pool
    await pool.aclose()


def sync(connection_id: str) -> Enqueue:
    """Return a manual sync of a connection; the worker of the benchmarks does what the connection's id says."""
    return Enqueue(SyncConnection(org_id="org", connection_id=connection_id))


async def put_stock(pool: ArqRedis, function: str, number: int, *args: Any) -> None:
    """Enqueue jobs with stock arq, fifty at a time: more at once open a connection each and are slower."""
    for start in range(0, number, 50):
        await asyncio.gather(*(pool.enqueue_job(function, *args) for _ in range(start, min(start + 50, number))))


def note(text: str) -> None:
    """Say what is being measured, beside the table."""
    print(text, file=sys.stderr, flush=True)
