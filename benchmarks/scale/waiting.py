"""A hundred thousand waiting jobs: taken in, claimed, paused, cancelled; delayed ones due at once, runs that all
stalled, and a function that no worker knew."""

from datetime import UTC, datetime, timedelta

from tests.queue.driver import FUNCTIONS, Driver

from bankimport.commands import SyncConnection
from bankimport.queue.adoption import foreign_row
from bankimport.queue.filters import JobFilter
from bankimport.queue.queue import Enqueue
from bankimport.status import JobState
from bankimport.watch.repairing import repair
from benchmarks.bench import Bench
from benchmarks.scale.meter import Meter

_FULL, _SOME = 100_000, 5_000


async def measure(bench: Bench, driver: Driver, meter: Meter) -> None:
    """Measure with jobs of a thousand organisations, every other one the schedule's."""
    number, some = bench.count(_FULL), bench.count(_SOME)
    meter.situation = f"{number:,} waiting"
    with meter.during("enqueue in bulk"):
        await driver.queue.enqueue_many([_sync(index) for index in range(number)])
    with meter.during("enqueue one by one"):
        for index in range(some):
            await driver.queue.enqueue(_sync(number + index))
    with meter.during("asked for again, in bulk: brought to the front"):
        await driver.queue.enqueue_many([_sync(index, scheduled=False) for index in range(some)])
    with meter.during("stats, health, pause, resume, 50 each"):
        for _ in range(50):
            await driver.queue.pause(reason="measured")
            await driver.claim()
            await driver.queue.resume()
            await driver.watch.stats()
            await driver.watch.health()
    with meter.during("claims of a hundred, and ends"):
        for _ in range(some // 100):
            for claim in await driver.claim(100):
                await driver.complete(claim)
    with meter.during("list_jobs: ten pages"):
        cursor = None
        for _ in range(10):
            cursor = (await driver.queue.page(JobFilter(state=JobState.WAITING), cursor=cursor, limit=50)).next_cursor
    with meter.during("sweep"):
        await repair(driver.queue)
    with meter.during(f"{some:,} cancelled one by one"):
        for job_id in list(await driver.ids(JobState.WAITING))[:some]:
            await driver.queue.cancel(job_id)
    await _stalled(driver, meter, some)
    meter.empty()
    await _due(driver, meter, number)
    meter.empty()
    await _unknown(driver, meter, number)


def _sync(index: int, *, scheduled: bool | None = None, due: datetime | None = None) -> Enqueue:
    wish = index % 2 == 0 if scheduled is None else scheduled
    command = SyncConnection(org_id=f"org-{index % 1000}", connection_id=f"connection-{index:06}", scheduled=wish)
    return Enqueue(command, due=due)


async def _stalled(driver: Driver, meter: Meter, number: int) -> None:
    """All workers die together."""
    for _ in range(number // 100):
        await driver.claim(100)
    for job_id in await driver.ids(JobState.ACTIVE):
        await driver.lapse(job_id)
    with meter.during(f"{number:,} runs whose workers died: heartbeats, a worker that stops"):
        for _ in range(number // 50):
            await driver.beat()
        await driver.do.remove_worker("w")


async def _due(driver: Driver, meter: Meter, number: int) -> None:
    """Everything that was delayed is due, as after a night without workers."""
    later = datetime.now(UTC) + timedelta(hours=1)
    with meter.during("enqueue of delayed ones in bulk"):
        await driver.queue.enqueue_many([_sync(index, due=later) for index in range(number)])
    await driver.make_due()
    with meter.during(f"{number:,} delayed are due at once: claims"):
        for _ in range(number // 100):
            await driver.claim(0)


async def _unknown(driver: Driver, meter: Meter, number: int) -> None:
    """A rolling update: jobs of a function that only the new workers know."""
    rows = [foreign_row("brand-new", "{}", f"stranger-{index}", 0) for index in range(number)]
    for start in range(0, number, 200):
        await driver.do.enqueue_jobs(rows[start : start + 200], "")
    with meter.during(f"{number:,} of an unknown function: claims that put them aside"):
        while await driver.queue.client.exists(driver.queue.keys.of("ring", "manual")):
            await driver.claim(100)
    with meter.during("a worker that knows it: heartbeats, claims"):
        for _ in range(100):
            await driver.beat(functions=[*FUNCTIONS, "brand-new"])
            await driver.claim(10, functions=[*FUNCTIONS, "brand-new"])
