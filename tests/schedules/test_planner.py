"""Serving ticks on a real server: once over all workers, caught up once, organisations spread and streamed."""

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from arq.cron import CronJob
from redis.asyncio import Redis

from bankimport.commands import PlanSyncs
from bankimport.models import Stage
from bankimport.queue.queue import Queue
from bankimport.redis.connection import connect
from bankimport.schedules.planner import Planner
from bankimport.schedules.ticks import SCHEDULES, SYNCS
from bankimport.settings import Settings
from bankimport.watch.watch import Watch
from tests.soak import SOAK

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2024, 11, 10, 11, 0, 30, tzinfo=UTC)  # 12:00:30 in Berlin


class Organisations:
    """The one thing that planning asks of a store: the organisations, as a stream."""

    def __init__(self, count: int) -> None:
        self.count = count

    async def syncable_organisations(self, now: datetime) -> AsyncIterator[str]:
        """Yield so many ids."""
        for index in range(self.count):
            yield f"org-{index:06}"


class Clock:
    """A present instant that is set."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Those of other tests, with the schedules."""
    return settings.model_copy(update={"enabled": True})


@pytest.fixture
async def queue(settings: Settings) -> AsyncIterator[Queue]:
    """The queue of this test."""
    queue = Queue(connect(settings, Redis), settings)
    yield queue
    await queue.client.aclose()


def planner(queue: Queue, clock: Clock, organisations: int = 0) -> Planner:
    """Return the planner of one worker."""
    return Planner(queue, Organisations(organisations), clock)  # type: ignore[arg-type]  # only the stream is asked for


class Steps:
    """A run that only notes how far it is told to be."""

    def __init__(self) -> None:
        self.percents: list[int] = []

    async def advance(self, stage: Stage, message: str, percent: int) -> None:
        """Note the percent."""
        self.percents.append(percent)


async def plan(planner: Planner, command: PlanSyncs) -> int:
    """Plan a tick."""
    return await planner.plan(command, Steps())  # type: ignore[arg-type]  # planning asks nothing else of its run


async def jobs(queue: Queue, state: str) -> list[tuple[str, float]]:
    """Return the ids in a state with their instants, in order."""
    return [
        (name.decode(), score)
        for name, score in await queue.client.zrange(queue.keys.state(state), 0, -1, withscores=True)
    ]


async def test_four_workers_serve_two_years_of_ticks_once_each(queue: Queue) -> None:
    """Four workers that see the same due time, at slightly different instants, make one job of it."""
    since = datetime(2023, 1, 1, tzinfo=UTC)
    until = since + timedelta(days=730 if SOAK else 90)
    workers = [planner(queue, Clock(since)) for _ in range(4)]
    served = 0
    for schedule in SCHEDULES.values():
        for tick in schedule.ticks(since, until, BERLIN):
            seen = [tick + timedelta(milliseconds=skew) for skew in (123, 124, 130, 900)]
            await asyncio.gather(*(worker.serve(schedule.name, at) for worker, at in zip(workers, seen, strict=True)))
            served += 1
    found = await queue.client.zcard(queue.keys.of("org", ""))
    assert found == served


def arq_ticks(job: CronJob, since: datetime, until: datetime) -> list[datetime]:
    """Return the due times that arq itself computes for a cron job."""
    job.calculate_next(since.astimezone(BERLIN))
    ticks = []
    while job.next_run is not None and job.next_run <= until.astimezone(BERLIN):
        ticks.append(job.next_run)
        job.calculate_next(job.next_run)
    return ticks


YEARS = [(datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))]
CHANGES = [
    (datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 4, 5, tzinfo=UTC)),
    (datetime(2026, 10, 17, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)),
]


@pytest.mark.parametrize(("since", "until"), YEARS if SOAK else CHANGES)
def test_arq_finds_the_same_ticks_as_we_do(settings: Settings, since: datetime, until: datetime) -> None:
    """arq's own arithmetic falls on our ticks, one for one, over both changes of the clocks."""
    queue = Queue(connect(settings, Redis), settings)
    jobs = planner(queue, Clock(since)).cron_jobs()
    assert len(jobs) == len(SCHEDULES)
    for job in jobs:
        schedule = SCHEDULES[job.name.removeprefix("cron:")]
        ours = list(schedule.ticks(since, until, BERLIN))
        assert [schedule.latest(at, BERLIN) for at in arq_ticks(job, since, until)] == ours


async def test_a_missed_tick_is_caught_up_once(queue: Queue) -> None:
    """Workers were down at noon: the first that starts within half an interval serves it, the others don't."""
    clock = Clock(NOON - timedelta(hours=4))
    await planner(queue, clock).serve(SYNCS.name, clock.now)
    clock.now = NOON + timedelta(minutes=30)
    await asyncio.gather(*(planner(queue, clock).catch_up() for _ in range(4)))
    ids = [name for name, _ in await jobs(queue, "waiting") if name.startswith(SYNCS.name)]
    noon = int(datetime(2024, 11, 10, 11, tzinfo=UTC).timestamp() * 1000)
    assert f"{SYNCS.name}:{noon}" in ids
    assert len(ids) == 2


async def test_a_tick_is_not_caught_up_when_it_is_too_late(queue: Queue) -> None:
    """Two hours after noon the next tick is nearer than the last: nothing is served."""
    clock = Clock(NOON - timedelta(hours=4))
    await planner(queue, clock).serve(SYNCS.name, clock.now)
    clock.now = NOON + timedelta(hours=2)
    await planner(queue, clock).catch_up()
    assert len([name for name, _ in await jobs(queue, "waiting") if name.startswith(SYNCS.name)]) == 1


async def test_the_very_first_start_has_nothing_to_catch_up(queue: Queue) -> None:
    """A new installation begins with its next tick, not with a flood."""
    await planner(queue, Clock(NOON)).catch_up()
    assert await jobs(queue, "waiting") == []


async def test_a_tick_that_fell_into_an_outage_is_caught_up(queue: Queue) -> None:
    """Redis was away at a young deployment's first tick: the worker, which looks now and then, serves it once."""
    clock = Clock(NOON - timedelta(hours=1))
    await planner(queue, clock).catch_up()
    await queue.client.hset(queue.keys.of("meta"), "born", str(int(clock.now.timestamp() * 1000)))
    assert await jobs(queue, "waiting") == []
    clock.now = NOON + timedelta(minutes=1)
    for _ in range(3):
        await planner(queue, clock).catch_up()
    assert len(await jobs(queue, "waiting")) == 1


async def test_a_worker_whose_clock_is_ahead_serves_no_future_tick(queue: Queue) -> None:
    """By the server's clock the tick isn't due: nothing is served, and it is served when its time has come."""
    now = datetime.now(UTC)
    ahead = SYNCS.latest(now, BERLIN) + timedelta(hours=24)
    await planner(queue, Clock(ahead)).serve(SYNCS.name, ahead)
    await planner(queue, Clock(ahead)).catch_up()
    assert await jobs(queue, "waiting") + await jobs(queue, "delayed") == []
    await planner(queue, Clock(now)).serve(SYNCS.name, now)
    assert len(await jobs(queue, "waiting")) == 1


async def test_a_caught_up_tick_is_not_served_again_by_cron(queue: Queue) -> None:
    """A worker frozen over the tick may still bring it: it is known."""
    clock = Clock(NOON - timedelta(hours=4))
    await planner(queue, clock).serve(SYNCS.name, clock.now)
    clock.now = NOON
    await planner(queue, clock).catch_up()
    await planner(queue, clock).serve(SYNCS.name, NOON.replace(second=0, microsecond=123_456))
    assert len(await jobs(queue, "waiting")) == 2


async def test_switched_off_schedules_neither_run_nor_catch_up(queue: Queue, settings: Settings) -> None:
    """`BANK_SYNC_ENABLED=false` stops the schedules only."""
    off = Queue(queue.client, settings.model_copy(update={"enabled": False}))
    stopped = planner(off, Clock(NOON))
    await stopped.catch_up()
    assert stopped.cron_jobs() == []
    assert await queue.client.zcard(queue.keys.of("org", "")) == 0


async def test_organisations_start_one_stagger_apart(queue: Queue) -> None:
    """The i-th organisation's batch is due i × 30 s after the tick, in the store's order."""
    clock = Clock(datetime.now(UTC))
    tick = int(clock.now.timestamp() * 1000)
    planned = await plan(planner(queue, clock, 5), PlanSyncs(tick=tick))
    due = [score - tick for _, score in await jobs(queue, "delayed")]
    assert planned == 5
    assert due == [30_000, 60_000, 90_000, 120_000]


async def test_planning_twice_enqueues_nothing_twice(queue: Queue) -> None:
    """A planner that crashed and runs again finds its jobs there, even those that have ended meanwhile."""
    clock = Clock(datetime.now(UTC))
    command = PlanSyncs(tick=int(clock.now.timestamp() * 1000))
    await plan(planner(queue, clock, 20), command)
    await plan(planner(queue, clock, 20), command)
    stats = await Watch(queue).stats()
    assert stats.waiting + stats.delayed == 20


async def test_a_tick_does_not_pile_onto_a_running_batch(queue: Queue) -> None:
    """While an organisation's batch of the last tick is unfinished, the next tick adds none."""
    clock = Clock(datetime.now(UTC))
    tick = int(clock.now.timestamp() * 1000)
    await plan(planner(queue, clock, 3), PlanSyncs(tick=tick))
    await plan(planner(queue, clock, 3), PlanSyncs(tick=tick + 14_400_000))
    stats = await Watch(queue).stats()
    assert stats.waiting + stats.delayed == 3


async def test_planning_many_organisations_streams(queue: Queue) -> None:
    """However many organisations there are: memory stays flat, the loop stays free, the last starts within 90 %."""
    count = 100_000 if SOAK else 10_000
    clock = Clock(datetime.now(UTC))
    tick = int(clock.now.timestamp() * 1000)
    longest = 0.0
    done = asyncio.Event()

    async def watch_the_loop() -> None:
        nonlocal longest
        while not done.is_set():
            before = time.thread_time()  # CPU time of the loop's thread: the machine's other work doesn't count
            await asyncio.sleep(0.001)
            longest = max(longest, time.thread_time() - before)

    watcher = asyncio.create_task(watch_the_loop())
    tracemalloc.start()
    await plan(planner(queue, clock, count), PlanSyncs(tick=tick))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    done.set()
    await watcher
    last = (await jobs(queue, "delayed"))[-1][1]
    assert last - tick <= SYNCS.interval.total_seconds() * 1000 * 0.9 + 1
    assert peak < 8_000_000
    assert longest < 1.0
    stats = await Watch(queue).stats()
    assert stats.waiting + stats.delayed == count, "the first are due before the last are planned"


async def test_a_tick_that_is_known_is_asked_for_once(queue: Queue) -> None:
    """A worker looks every minute for ticks that an outage swallowed; what it has been told of it doesn't ask again."""
    one = planner(queue, Clock(NOON))
    await one.catch_up()
    before = (await queue.client.info("stats"))["total_commands_processed"]
    await one.catch_up()
    assert (await queue.client.info("stats"))["total_commands_processed"] == before + 1
