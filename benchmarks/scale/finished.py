"""A million finished jobs: looked at in every way, a part of them removed, work and strangers beside them."""

from datetime import timedelta

from arq.connections import ArqRedis
from tests.queue.driver import Driver

from bankimport.models import JobType
from bankimport.queue.adoption import Adoption
from bankimport.queue.filters import JobFilter
from bankimport.queue.payloads import serialize
from bankimport.status import JobState
from bankimport.watch.repairing import repair
from benchmarks.bench import Bench, note
from benchmarks.filling import DAY, Copies, copy
from benchmarks.scale.meter import Meter

_FULL, _STRANGERS = 1_000_000, 2_000
_SHARES = {JobState.COMPLETED: 0.8, JobState.FAILED: 0.15, JobState.CANCELLED: 0.05}


async def measure(bench: Bench, driver: Driver, meter: Meter) -> None:
    """Measure with a million jobs of 20 days, of a thousand organisations, and half as many again of one."""
    number = bench.count(_FULL)
    meter.situation = f"{number:,} finished jobs"
    note(f"  copying {number:,} finished jobs")
    await _fill(bench, driver, number)
    await _looked_at(driver, meter)
    with meter.during("claims and ends beside them"):
        for index in range(100):
            await driver.ask(f"new-{index}", org=f"org-{index}")
            for claim in await driver.claim():
                await (driver.fail(claim) if index % 3 == 0 else driver.complete(claim))
    await _adopted(bench, driver, meter)
    with meter.during("retry_failed of one code"):
        await driver.queue.retry_failed(JobFilter(org_id="org-1", error_code="transient"))
    with meter.during("records gone behind our back: list_jobs"):
        for row in bench.admin.zrevrange(driver.queue.keys.state(JobState.FAILED), 0, 4999):
            bench.admin.delete(driver.queue.keys.job(row.decode()))
        await driver.queue.page(JobFilter(state=JobState.FAILED), limit=50)
    with meter.during("the clean-up of what is too old, by the slice"):
        async for _ in driver.queue.clean(100):
            pass
    with meter.during("discard of an organisation's failed jobs"):
        await driver.queue.discard(JobFilter(org_id="org-2"))


async def _fill(bench: Bench, driver: Driver, number: int) -> None:
    patterns = {}
    for connection in ("completed", "failed", "cancelled"):
        await driver.ask(connection)
        if connection == "cancelled":
            await driver.queue.cancel(next(iter(await driver.ids(JobState.WAITING))))
        else:
            [claim] = await driver.claim(1)
            await (driver.complete(claim) if connection == "completed" else driver.fail(claim))
        [patterns[JobState(connection)]] = await driver.ids(JobState(connection))
    first = 0
    for state, share in _SHARES.items():
        part = int(number * share)
        copies = Copies(patterns[state], state, part, first, 20 * DAY / part)
        copy(bench.admin, driver.queue.keys, copies)
        first += part


async def _looked_at(driver: Driver, meter: Meter) -> None:
    with meter.during("stats and health, 100 each"):
        for _ in range(100):
            await driver.watch.stats()
            await driver.watch.health()
    filters = {
        "completed": JobFilter(state=JobState.COMPLETED),
        "one type": JobFilter(type=JobType.SYNC_CONNECTION),
        "a type that none has": JobFilter(type=JobType.REFRESH_CONSENTS),
        "one error code": JobFilter(state=JobState.FAILED, error_code="transient"),
        "one connection": JobFilter(connection_id="completed"),
        "one organisation's failed": JobFilter(org_id="org-1", state=JobState.FAILED),
    }
    for words, wanted in filters.items():
        with meter.during(f"list_jobs, {words}: ten pages"):
            cursor = None
            for _ in range(10):
                page = await driver.queue.page(wanted, cursor=cursor, limit=50)
                if (cursor := page.next_cursor) is None:
                    break
    with meter.during("count of the failed"):
        await driver.queue.count(JobFilter(state=JobState.FAILED))


async def _adopted(bench: Bench, driver: Driver, meter: Meter) -> None:
    """A host enqueues with plain arq what the worker adopts."""
    now = int(bench.admin.time()[0]) * 1000
    async with ArqRedis.from_url(bench.url).pipeline(transaction=False) as pipe:
        for number in range(bench.count(_STRANGERS)):
            values = {"t": 1, "f": "sync-connection", "a": [], "k": {"connection_id": f"c{number}"}, "et": now}
            pipe.psetex(f"arq:job:stranger-{number}", timedelta(hours=1), serialize(values))
            pipe.zadd(driver.queue.keys.queue, {f"stranger-{number}": now})
        await pipe.execute()

    async def org_of(_: str) -> str:
        return "adopted"

    adoption = Adoption(driver.queue, org_of)
    with meter.during(f"adoption of {bench.count(_STRANGERS):,} strangers"):
        await adoption.run()
    with meter.during("sweep"):
        await repair(driver.queue)
