"""The field where faults happen: a server, laboratory workers as real processes, and the traces that they leave."""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from bankimport.commands import SyncConnection
from bankimport.events import full_name
from bankimport.models import JobStatus
from bankimport.queue.queue import Enqueue, Queue
from bankimport.redis.connection import connect
from bankimport.settings import Settings
from bankimport.status import JobState
from bankimport.watch.watch import Watch
from tests.endless_keys import endless_keys
from tests.processes import Processes, Running, Valkey, start_valkey
from tests.queue.lab import Mark, marks
from tests.waiting import PATIENCE, wait_until

LAB = "tests.queue.lab.WorkerSettings"
#: Short enough for a quick test, long enough for a crowded machine to renew it in time.
LEASE = 1.5
TERMINAL = ("bank.job.completed", "bank.job.failed", "bank.job.cancelled")


@dataclass
class Field:
    """A queue on the server at `url`, and the workers that serve it."""

    processes: Processes
    url: str
    variables: dict[str, str] = field(default_factory=dict)
    lease: float = LEASE

    def __post_init__(self) -> None:
        self.settings = Settings.load(redis_url=self.url)
        self.redis: Redis = connect(self.settings, Redis)
        self.queue = Queue(self.redis, self.settings)
        self.watch = Watch(self.queue)

    async def aclose(self) -> None:
        """Close our own connections; the processes end with their fixture."""
        await self.redis.aclose()

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of a worker of this field."""
        return {
            "REDIS_URL": self.url,
            "BANK_SYNC_LEASE_MS": str(int(self.lease * 1000)),
            "BANK_SYNC_RATE_LIMIT_MAX": "1000000",
            "BANK_SYNC_RETRY_DELAY_SCALE": "0.01",
            **self.variables,
            **variables,
        }

    async def worker(self, **variables: str) -> Running:
        """Start a laboratory worker; return once it serves."""
        [worker] = await self.workers(1, **variables)
        return worker

    async def workers(self, count: int, **variables: str) -> list[Running]:
        """Start several laboratory workers at once; return once all of them serve."""
        started = [self.processes.worker(self.environment(**variables), LAB) for _ in range(count)]
        await asyncio.gather(*(worker.line("worker.started") for worker in started))
        return started

    async def sync(self, connection_id: str, *, org_id: str = "org-1", scheduled: bool = False, **wish: Any) -> str:
        """Ask for a sync; return the id of its job."""
        command = SyncConnection(org_id=org_id, connection_id=connection_id, scheduled=scheduled, **wish)
        return await self.queue.enqueue(Enqueue(command))

    async def syncs(
        self, connection_ids: Iterable[str], *, org_id: str = "org-1", scheduled: bool = False
    ) -> list[str]:
        """Ask for many syncs in one round trip; return the ids of their jobs."""
        wanted = [
            Enqueue(SyncConnection(org_id=org_id, connection_id=connection_id, scheduled=scheduled))
            for connection_id in connection_ids
        ]
        return [job_id for _, job_id in await self.queue.enqueue_many(wanted)]

    async def marks(self, word: str | None = None, job_id: str | None = None) -> list[Mark]:
        """Return what the runs have left, all of it or one word's or one job's."""
        found = await marks(self.redis)
        return [mark for mark in found if word in (None, mark.word) and job_id in (None, mark.job_id)]

    async def mark(self, word: str, job_id: str, *, after: int = 0, timeout: float = PATIENCE) -> Mark:
        """Return the first such mark of a job with a fence above `after`; wait for it."""

        async def there() -> Mark | None:
            return next((mark for mark in await self.marks(word, job_id) if mark.fence > after), None)

        return await wait_until(there, timeout, what=f"{word} of {job_id} after {after}")  # type: ignore[return-value]  # true

    async def holder(self, job_id: str, workers: Iterable[Running]) -> Running:
        """Return the worker that runs a job."""
        held = await self.redis.hget(self.queue.keys.job(job_id), "worker")
        assert held is not None, f"nobody runs {job_id}"
        pid = int(held.decode().split(":")[1])
        return next(worker for worker in workers if worker.pid == pid)

    async def status(self, job_id: str) -> JobStatus:
        """Return the record of a job."""
        status = await self.queue.get(job_id)
        assert status is not None
        return status

    async def ended(self, job_id: str, timeout: float = PATIENCE) -> JobStatus:
        """Return the record of a job once it has ended."""

        async def there() -> JobStatus | None:
            status = await self.status(job_id)
            return status if status.state.is_terminal else None

        return await wait_until(there, timeout, what=f"end of {job_id}")  # type: ignore[return-value]  # true

    async def drained(self, timeout: float = PATIENCE) -> None:
        """Return once no job is waiting, delayed or active."""

        async def empty() -> bool:
            stats = await self.watch.stats()
            return not (stats.waiting or stats.paused or stats.delayed or stats.active or stats.waiting_children)

        await wait_until(empty, timeout, what="an empty queue")

    async def events(self, name: str | None = None) -> list[tuple[str, str]]:
        """Return (name, job id) of the events so far, all or one name's."""
        rows = await self.redis.xrange(self.queue.keys.events)
        found = [(full_name(fields[b"name"].decode()), fields[b"jobId"].decode()) for _, fields in rows]
        return [event for event in found if name in (None, event[0])]

    async def endings(self) -> Counter[str]:
        """Return how many terminal events each job has."""
        return Counter(job_id for name, job_id in await self.events() if name in TERMINAL)

    async def check_ended_once(self, job_ids: Iterable[str]) -> None:
        """Fail unless each of the jobs is completed and has exactly one terminal event, and no other job has any."""
        wanted = set(job_ids)
        endings = await self.endings()
        assert endings == dict.fromkeys(wanted, 1), {
            "missing": wanted - endings.keys(),
            "too many": {job_id: count for job_id, count in endings.items() if count != 1 or job_id not in wanted},
        }
        completed = await self.redis.zrange(self.queue.keys.state(JobState.COMPLETED), 0, -1)
        assert {job_id.decode() for job_id in completed} == wanted

    async def check_no_endless_key(self) -> None:
        """Fail if a key is left without an end."""
        from redis import Redis as Plain

        with Plain.from_url(self.url) as client:
            wrong = [sentence for sentence in endless_keys(client) if not sentence.startswith("lab:")]
        assert wrong == [], wrong


@dataclass
class Server:
    """A Valkey of a test's own that keeps what it accepts on disk, to be stopped and started again."""

    processes: Processes
    directory: Path
    options: tuple[str, ...] = ("--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0")

    def __post_init__(self) -> None:
        self._valkey: Valkey = self._start(None)

    def _start(self, port: int | None) -> Valkey:
        return start_valkey(self.processes, "--dir", str(self.directory), *self.options, port=port, databases=1)

    @property
    def port(self) -> int:
        """The port, the same after each start."""
        return self._valkey.port

    @property
    def url(self) -> str:
        """The URL of its database."""
        return self._valkey.url()

    def kill(self) -> None:
        """End it at once."""
        self._valkey.running.kill()

    def stop(self) -> None:
        """End it as an operator does."""
        self._valkey.running.stop()

    def second(self) -> int:
        """Start an empty server beside it, for a failover, and return its port."""
        return start_valkey(self.processes, "--dir", str(self.directory), databases=1).port

    def freeze(self) -> None:
        """Let it answer nothing, though the kernel goes on accepting what is sent to it."""
        self._valkey.running.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on: it now does all that was asked meanwhile, also by those who have given up since."""
        self._valkey.running.signal(signal.SIGCONT)

    def start(self) -> None:
        """Start it again where it was."""
        self._valkey = self._start(self.port)
