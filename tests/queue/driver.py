"""The queue without arq: what a worker would ask of the scripts, asked by a test."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis.asyncio import Redis

from bankimport.commands import Command, SyncAllOrg, SyncConnection
from bankimport.queue.connection import connect
from bankimport.queue.queue import Enqueue, Queue
from bankimport.queue.run import Claim
from bankimport.settings import Settings
from bankimport.status import JobState

PLACES = 3
LEASE = 60_000


@dataclass
class Driver:
    """Drives one queue by its scripts."""

    queue: Queue
    calls: int = 0

    @classmethod
    def of(cls, settings: Settings) -> "Driver":
        """Return a driver of the settings' queue."""
        return cls(Queue(connect(settings, Redis), settings))

    async def run(self, script: str, *args: str | int | bytes) -> Any:
        """Run a script."""
        return await self.queue.scripts.run(script, *args)

    async def ask(self, connection: str, *, org: str = "acme", scheduled: bool = False, **options: Any) -> str:
        """Ask for a sync of a connection."""
        due: datetime | None = options.pop("due", None)
        command = SyncConnection(org_id=org, connection_id=connection, scheduled=scheduled, **options)
        return await self.queue.enqueue(Enqueue(command, due=due))

    async def ask_all(self, *connections: str, org: str = "acme", scheduled: bool = False) -> str:
        """Ask for a batch."""
        return await self.queue.enqueue(
            Enqueue(SyncAllOrg(org_id=org, connection_ids=connections, scheduled=scheduled))
        )

    async def claim(self, slots: int = 10, *, worker: str = "w", most: int = 10**6, window: int = 1000) -> list[Claim]:
        """Claim what may start."""
        self.calls += 1
        rows, *_ = await self.run("claim_jobs", worker, self.calls, slots, LEASE, PLACES, most, window)
        return [Claim.parse(row) for row in rows]

    async def complete(self, claim: Claim) -> bytes:
        """End a run well."""
        answer: bytes = await self.run("complete_job", claim.job_id, claim.fence, '{"connectionId":"c"}', "")
        return answer

    async def fail(self, claim: Claim, *, delay: int = -1) -> bytes:
        """End a run badly; `delay` in ms, -1 for good."""
        answer: bytes = await self.run("fail_job", claim.job_id, claim.fence, "it broke", "transient", delay, "")
        return answer

    async def fan_out(self, claim: Claim, *connections: str, scheduled: bool = False) -> bytes:
        """Make a batch's children."""
        import json

        children: list[Command] = [
            SyncConnection(org_id=claim.org_id, connection_id=each, scheduled=scheduled) for each in connections
        ]
        rows = [Enqueue(child).row() for child in children]
        kept = ("id", "type", "org", "lock", "data", "question")
        text = json.dumps([{name: row[name] for name in kept} for row in rows])
        answer: bytes = await self.run("fan_out_batch", claim.job_id, claim.fence, text)
        return answer

    async def state(self, job_id: str) -> JobState | None:
        """Return the state of a job."""
        job = await self.queue.get(job_id)
        return job.state if job else None

    async def ids(self, state: JobState) -> set[str]:
        """Return the ids in a state's set."""
        return {member.decode() for member in await self.queue.client.zrange(self.queue.keys.state(state), 0, -1)}

    async def lapse(self, job_id: str) -> None:
        """Let a run's lease be over."""
        await self.queue.client.zadd(f"{self.queue.keys.prefix}leases", {job_id: 1}, xx=True)

    async def make_due(self) -> None:
        """Let the time of all delayed jobs have come."""
        name = self.queue.keys.state(JobState.DELAYED)
        for member in await self.queue.client.zrange(name, 0, -1):
            await self.queue.client.zadd(name, {member: 1})

    async def events(self, *names: str) -> list[tuple[str, str]]:
        """Return (name, job id) of all events, or of those named, in their order."""
        rows = await self.queue.client.xrange(self.queue.keys.events)
        told = [(fields[b"name"].decode(), fields[b"jobId"].decode()) for _, fields in rows]
        return [event for event in told if not names or event[0] in names]

    async def leftovers(self) -> list[str]:
        """Return the keys that must be gone once every job has ended."""
        working = ("ready:", "held:", "lock:", "pending:", "running:", "question:", "children:", "unlet:", "leases")
        prefix = self.queue.keys.prefix
        found = [key.decode() async for key in self.queue.client.scan_iter(count=1000)]
        return [
            key
            for key in found
            if key.removeprefix(prefix).startswith(working)
            or key.startswith(("arq:job:", "arq:in-progress:"))
            or key == self.queue.keys.queue
        ]

    async def aclose(self) -> None:
        """Close the client."""
        await self.queue.client.aclose()
