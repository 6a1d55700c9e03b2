"""A hundred thousand connections in one organisation: asked for by a tick and by hand, listed, worked on, swept,
cancelled; failed by the thousand and tried again."""

import asyncio
from collections.abc import Sequence

from tests.queue.driver import Driver

from bankimport.models import JobType
from bankimport.queue.filters import JobFilter
from bankimport.queue.run import Claim
from bankimport.status import JobState
from bankimport.watch.repairing import repair
from bankimport.worker.runner import CHILDREN
from benchmarks.bench import Bench
from benchmarks.scale.meter import Meter

_FULL, _BATCHES, _CHILDREN_OF_EACH = 100_000, 500, 200


async def measure(bench: Bench, driver: Driver, meter: Meter) -> None:
    """Measure one organisation that has them all, and then as many in five hundred batches."""
    connections = [f"connection-{number:06}" for number in range(bench.count(_FULL))]
    meter.situation = f"{len(connections):,} connections in one organisation"
    tick = await _fan_out(driver, meter, connections, "the tick's batch: fan-out", scheduled=True)
    batch = await _fan_out(driver, meter, connections, "sync all beside it: fan-out")
    await _looked_at(driver, meter, connections)
    await _worked_on(driver, meter, rounds=100)
    with meter.during("sweep"):
        await repair(driver.queue)
    for name, claim in (("sync all", batch), ("the tick's batch", tick)):
        with meter.during(f"{name}: cancel"):
            await driver.queue.cancel(claim.job_id)
    meter.empty()
    await _failed(driver, meter, connections[: bench.count(5_000)])
    meter.empty()
    await _many_batches(bench, driver, meter)


async def _fan_out(
    driver: Driver, meter: Meter, connections: Sequence[str], what: str, *, scheduled: bool = False, org: str = "big"
) -> Claim:
    await driver.ask_all("scheduled" if scheduled else "by-hand", org=org, scheduled=scheduled)
    [batch] = await driver.claim(1)
    with meter.during(what):
        await driver.fan_out(batch, *connections, scheduled=scheduled, size=CHILDREN)
    return batch


async def _looked_at(driver: Driver, meter: Meter, connections: Sequence[str]) -> None:
    filters = {
        "all": {},
        "waiting": {"state": JobState.WAITING},
        "failed": {"state": JobState.FAILED},
        "one type": {"type": JobType.SYNC_ALL_ORG},
        "one connection": {"connection_id": connections[0]},
    }
    for words, narrow in filters.items():
        with meter.during(f"list_jobs, {words}: ten pages"):
            cursor = None
            for _ in range(10):
                page = await driver.queue.page(JobFilter(org_id="big", **narrow), cursor=cursor, limit=50)
                if (cursor := page.next_cursor) is None:
                    break
    with meter.during("stats and health, 50 each"):
        for _ in range(50):
            await driver.watch.stats()
            await driver.watch.health()


async def _worked_on(driver: Driver, meter: Meter, *, rounds: int) -> None:
    """Claims, a step of progress, ends of each kind, heartbeats: a worker's day."""
    with meter.during("claims, progress, ends, heartbeats"):
        for number in range(rounds):
            claims = await driver.claim(10)
            for claim in claims:
                await driver.do.advance_progress(claim.job_id, str(claim.fence), ['"stage":"starting","percent":1'])
            await driver.beat(claims)
            for claim in claims:
                ends = (driver.complete, driver.fail, driver.give_back)
                await ends[number % 3](claim)


async def _failed(driver: Driver, meter: Meter, connections: Sequence[str]) -> None:
    await _fan_out(driver, meter, connections, "their batch: fan-out", org="failing")
    with meter.during(f"{len(connections):,} children fail"):
        while claims := await driver.claim(100):
            for claim in claims:
                await driver.fail(claim)
    with meter.during(f"retry_failed of {len(connections):,}"):
        await driver.queue.retry_failed(JobFilter(org_id="failing"))
    with meter.during(f"discard of {len(connections):,} that wait"):
        await driver.queue.discard(JobFilter(org_id="failing", state=JobState.WAITING))


async def _many_batches(bench: Bench, driver: Driver, meter: Meter) -> None:
    number = bench.count(_BATCHES)
    meter.situation = f"{number} batches of {_CHILDREN_OF_EACH}"
    ids = [await driver.ask_all("all", org=f"org-{batch}") for batch in range(number)]
    batches = []
    while claims := await driver.claim(100):
        batches += claims
    with meter.during("fan-out"):
        for batch in batches:
            names = [f"{batch.org_id}-{child}" for child in range(_CHILDREN_OF_EACH)]
            await driver.fan_out(batch, *names, size=CHILDREN)
    with meter.during("sweep"):
        await repair(driver.queue)
    with meter.during("cancel of all at once, then heartbeats"):
        await asyncio.gather(*(driver.do.cancel_job(job_id) for job_id in ids))
        for _ in range(len(ids)):
            await driver.beat()
