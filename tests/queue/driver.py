"""The queue without arq: what a worker would ask of the scripts, asked by a test."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from bankimport.commands import COMMANDS, Command, SyncAllOrg, SyncConnection
from bankimport.events import full_name
from bankimport.queue.queue import Enqueue, Queue
from bankimport.queue.run import Claim
from bankimport.queue.transitions import Ended, Transitions
from bankimport.queue.under_way import WAITING
from bankimport.redis.connection import connect
from bankimport.settings import Settings
from bankimport.status import JobState
from bankimport.watch.watch import Watch

PLACES = 3
FUNCTIONS = tuple(COMMANDS)
#: keys that must be gone once every job has ended
WORKING = (
    "ring:", "line:", "held:", "suspects", "unknown", "lock:", "pending:", "running:", "question:", "children:",
    "watchers:", "cancelling", "state:active", "state:waiting", "state:delayed",
)  # fmt: skip


@dataclass
class Driver:
    """Drives one queue by its scripts."""

    queue: Queue
    calls: int = 0

    def __post_init__(self) -> None:
        self.watch = Watch(self.queue)

    @classmethod
    def of(cls, settings: Settings) -> "Driver":
        """Return a driver of the settings' queue, with time to debug and no limit of starts."""
        made = settings.model_copy(update={"lease": timedelta(minutes=1), "rate_limit_max": 10**6})
        return cls(Queue(connect(made, Redis), made))

    @property
    def do(self) -> Transitions:
        """What can be done to jobs."""
        return self.queue.transitions

    def with_settings(self, **values: Any) -> "Driver":
        """Return a driver of the same queue under other settings."""
        settings = self.queue.settings.model_copy(update=values)
        return Driver(Queue(self.queue.client, settings), self.calls + 1000)

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

    async def claim(
        self,
        slots: int = 10,
        *,
        worker: str = "w",
        busy: int = 0,
        functions: Sequence[str] = FUNCTIONS,
        waiting: bool = False,
    ) -> list[Claim]:
        """Claim what may start; `waiting` as behind a worker's wait."""
        self.calls += 1
        number = f"{self.calls}{WAITING if waiting else ''}"
        claimed = await self.do.claim_jobs(worker, number, slots, busy, list(functions))
        return [Claim.parse(row) for row in claimed.rows]

    async def complete(self, claim: Claim, *, counts_as: str = "ok", steps: Sequence[str] = ()) -> Ended:
        """End a run well."""
        result = b'{"connectionId":"c"}'
        return await self.do.complete_job(
            claim.job_id, str(claim.fence), result, "", "", counts_as, list(steps), [], []
        )

    async def fail(
        self, claim: Claim, *, delay: int = -1, was_cancelled: bool = False, code: str = "transient", bank: str = ""
    ) -> Ended:
        """End a run badly; `delay` in ms, -1 for good."""
        return await self.do.fail_job(claim.job_id, str(claim.fence), "it broke", code, bank, delay, was_cancelled, b"")

    async def hear(self, claim: Claim) -> list[str]:
        """Let a worker say that it has what it was given while it waited."""
        return await self.do.hear_claims([(claim.job_id, str(claim.fence))])

    async def give_back(self, claim: Claim) -> list[str]:
        """Give a run back."""
        return await self.do.give_back_jobs([(claim.job_id, str(claim.fence))])

    async def beat(
        self, runs: Sequence[Claim] = (), *, worker: str = "w", functions: Sequence[str] = FUNCTIONS
    ) -> bool:
        """Let a worker's heart beat: its runs keep their leases; return whether it left work over."""
        about = {"host": "h", "pid": 1, "version": "1", "lag": 0, "trouble": ""}
        kept = [(claim.job_id, str(claim.fence)) for claim in runs]
        beat = await self.do.beat_worker(worker, timedelta(minutes=2), about, list(functions), kept)
        return beat.more

    async def fan_out(self, claim: Claim, *connections: str, scheduled: bool = False, size: int = 200) -> Ended:
        """Make a batch's children, by slices of `size`."""
        children: list[Command] = [
            SyncConnection(org_id=claim.org_id, connection_id=each, scheduled=scheduled) for each in connections
        ]
        rows = [Enqueue(child).row() for child in children]
        kept = ("type", "org", "lock", "data", "question")
        given = [{name: row[name] for name in kept} for row in rows]
        answer = Ended.MORE
        for number, start in enumerate(range(0, max(1, len(given)), size)):
            slice_, last = given[start : start + size], start + size >= len(given)
            answer = await self.do.fan_out_batch(claim.job_id, str(claim.fence), slice_, number, last)
            if answer is not Ended.MORE:
                break
        return answer

    async def score(self, state: JobState, job_id: str) -> float | None:
        """Return a job's place in a state's set."""
        found: float | None = await self.queue.client.zscore(self.queue.keys.state(state), job_id)
        return found

    async def state(self, job_id: str) -> JobState | None:
        """Return the state of a job."""
        job = await self.queue.get(job_id)
        return job.state if job else None

    async def ids(self, state: JobState) -> set[str]:
        """Return the ids in a state's set."""
        return {member.decode() for member in await self.queue.client.zrange(self.queue.keys.state(state), 0, -1)}

    async def lapse(self, job_id: str) -> None:
        """Let a run's lease be over."""
        await self.queue.client.zadd(self.queue.keys.state(JobState.ACTIVE), {job_id: 1}, xx=True)

    async def make_due(self) -> None:
        """Let the time of all delayed jobs have come."""
        name = self.queue.keys.state(JobState.DELAYED)
        if members := await self.queue.client.zrange(name, 0, -1):
            await self.queue.client.zadd(name, dict.fromkeys(members, 1))

    async def look(self, after: bytes) -> tuple[dict[JobState, set[str]], list[tuple[bytes, dict[bytes, bytes]]]]:
        """Return the ids in each state's set, and the entries of the stream of events after an id, in one trip."""
        async with self.queue.client.pipeline(transaction=False) as pipe:
            for state in JobState:
                pipe.zrange(self.queue.keys.state(state), 0, -1)
            pipe.xrange(self.queue.keys.events, b"(" + after)
            *sets, entries = await pipe.execute()
        return {state: {member.decode() for member in ids} for state, ids in zip(JobState, sets, strict=True)}, entries

    async def events(self, *names: str) -> list[tuple[str, str]]:
        """Return (name, job id) of all events, or of those named, in their order."""
        rows = await self.queue.client.xrange(self.queue.keys.events)
        told = [(full_name(fields[b"name"].decode()), fields[b"jobId"].decode()) for _, fields in rows]
        return [event for event in told if not names or event[0] in names]

    async def leftovers(self) -> list[str]:
        """Return the keys that must be gone once every job has ended."""
        prefix = self.queue.keys.prefix
        found = [key.decode() async for key in self.queue.client.scan_iter(count=1000)]
        return [
            key
            for key in found
            if key.removeprefix(prefix).startswith(WORKING)
            or key.startswith(("arq:job:", "arq:in-progress:"))
            or key == self.queue.keys.queue
        ]

    async def aclose(self) -> None:
        """Close the client."""
        await self.queue.aclose()
