"""Serving ticks: each once over all workers, a missed one caught up once, the organisations of one spread out."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from arq.cron import CronJob, cron

from bankimport.commands import COMMANDS, Command, PlanSyncs, SyncAllOrg
from bankimport.models import JobType, Stage
from bankimport.ports import BankStore, Clock
from bankimport.progress import JobRun
from bankimport.queue.gate import never
from bankimport.queue.queue import Enqueue, Queue
from bankimport.schedules.ticks import SCHEDULES, SYNCS, Schedule, step

log = structlog.get_logger(__name__)

_SLICE = 500


class Planner:
    """Serves the schedules of one queue."""

    def __init__(self, queue: Queue, store: BankStore, clock: Clock) -> None:
        self._queue = queue
        self._store = store
        self._clock = clock
        #: the last tick of each schedule of which it is known that nothing is left to catch up
        self._settled: dict[str, datetime] = {}

    def cron_jobs(self) -> Sequence[CronJob]:
        """Return arq's `cron_jobs`; none while the schedules are switched off."""
        if not self._queue.settings.enabled:
            return []
        return [
            cron(never, name=f"cron:{schedule.name}", hour=set(schedule.hours), minute=0, second=0)
            for schedule in SCHEDULES.values()
        ]

    async def serve(self, name: str, at: datetime) -> None:
        """Create the job of the due time at `at`, unless some worker has done so.

        arq adds 123 ms to its due times, so `at` is taken back to the schedule's own tick.

        Raises:
            Unavailable: Redis can't be reached; the catch-up serves the tick later.
        """
        schedule = SCHEDULES[name]
        await self._serve(schedule, schedule.latest(at, self._queue.settings.timezone), missed=False)

    async def catch_up(self) -> None:
        """Serve, once, what was due while no worker ran or Redis was away. What was due before the first worker of all
        started is nothing to catch up. Cheap: call it now and then.

        Raises:
            Unavailable: Redis can't be reached.
        """
        if not self._queue.settings.enabled:
            return
        for schedule in SCHEDULES.values():
            tick = schedule.missed(self._clock(), self._queue.settings.timezone)
            if tick is None or tick == self._settled.get(schedule.name):
                continue
            answer = await self._serve(schedule, tick, missed=True)
            if answer != "early":
                self._settled[schedule.name] = tick
            if answer == "served":
                log.info("schedule.coalesced", schedule=schedule.name)

    async def _serve(self, schedule: Schedule, tick: datetime, *, missed: bool) -> str:
        milliseconds = int(tick.timestamp() * 1000)
        job = {
            "id": f"{schedule.name}:{milliseconds}",
            "type": schedule.job.value,
            "data": _command(schedule, milliseconds).stored(),
            "question": "",
        }
        return await self._queue.transitions.serve_tick(schedule.name, milliseconds, missed, job)

    async def plan(self, command: PlanSyncs, run: JobRun) -> int:
        """Enqueue a `sync-all-org` for each organisation with a syncable connection, one step after the other.

        Streams: the organisations are counted, then read again, so that memory stays flat. Running it twice enqueues
        nothing twice: the id of each job is the tick's and the organisation's.
        """
        now = self._clock()
        total = 0
        async for _ in self._store.syncable_organisations(now):
            total += 1
        pause = step(total, self._queue.settings.stagger_delay, SYNCS.interval)
        begin = max(now, datetime.fromtimestamp(command.tick / 1000, UTC))
        planned: list[Enqueue] = []
        index = 0
        async for org_id in self._store.syncable_organisations(now):
            planned.append(_planned(command.tick, org_id, begin + index * pause))
            index += 1
            if len(planned) == _SLICE:
                await self._queue.enqueue_many(planned)
                planned.clear()
                percent = min(99, index * 100 // max(total, 1))
                await run.advance(Stage.SYNCING_ACCOUNTS, f"{index} of {total} organisations planned", percent)
        await self._queue.enqueue_many(planned)
        return index


def _planned(tick: int, org_id: str, due: datetime) -> Enqueue:
    digest = hashlib.blake2b(org_id.encode(), digest_size=9).hexdigest()
    command = SyncAllOrg(org_id=org_id, scheduled=True, triggered_by="schedule")
    return Enqueue(command, due=due, id=f"sync-all-org:{tick}:{digest}")


def _command(schedule: Schedule, tick: int) -> Command:
    if schedule.job is JobType.PLAN_SYNCS:
        return PlanSyncs(tick=tick)
    return COMMANDS[schedule.job](scheduled=True)
