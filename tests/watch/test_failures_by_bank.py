"""Failed jobs by their error and the bank that was being asked: counted, over time, found and tried again together."""

import time

from bankimport.models import FailureKind
from bankimport.queue.filters import JobFilter
from bankimport.status import JobState
from tests.queue.driver import Driver

HOUR = 3_600_000


async def failed(driver: Driver, connection: str, *, code: str = "transient", bank: str = "north") -> str:
    """Let a job fail for good; return its id."""
    job_id = await driver.ask(connection)
    [claim] = await driver.claim(1)
    await driver.fail(claim, code=code, bank=bank)
    return job_id


async def at(driver: Driver, job_id: str, hours_ago: float, code: str = "transient", bank: str = "north") -> None:
    """Let a job have failed some hours ago."""
    moved = {job_id: time.time() * 1000 - hours_ago * HOUR}
    await driver.queue.client.zadd(driver.queue.keys.of("failed_kind", code, bank), moved)


async def kinds(driver: Driver) -> dict[tuple[str, str | None], FailureKind]:
    """Return what has failed, by code and bank."""
    return {(each.code, each.bank): each for each in await driver.watch.failures()}


async def test_each_error_at_each_bank(driver: Driver) -> None:
    """Jobs are counted where they failed; one that failed with no bank being asked has none."""
    for number, (code, bank) in enumerate(
        [("transient", "north"), ("transient", "south"), ("timeout", "north"), ("timeout", "")]
    ):
        await failed(driver, f"c{number}", code=code, bank=bank)
    await failed(driver, "c9")
    found = await kinds(driver)
    assert {kind: each.jobs for kind, each in found.items()} == {
        ("transient", "north"): 2, ("transient", "south"): 1, ("timeout", "north"): 1, ("timeout", None): 1,
    }  # fmt: skip


async def test_the_trend(driver: Driver) -> None:
    """The last hour, day and week beside the one before each, and each of the last 24 hours."""
    for number, hours in enumerate((0, 0.5, 1.5, 23.5, 30, 100, 200)):
        await at(driver, await failed(driver, f"c{number}"), hours)
    kind = (await kinds(driver))["transient", "north"]
    assert (kind.jobs, kind.last_hour, kind.hour_before) == (7, 2, 1)
    assert (kind.last_day, kind.day_before) == (4, 1)
    assert (kind.last_week, kind.week_before) == (6, 1)
    assert len(kind.hours) == 24
    assert (kind.hours[-1], kind.hours[-2], kind.hours[0], sum(kind.hours)) == (2, 1, 1, 4)


async def test_what_is_retried_or_discarded_leaves(driver: Driver) -> None:
    """By their bank, and by their error at it, jobs are found, tried again and removed; those of another bank stay."""
    for connection in ("a", "b"):
        await failed(driver, connection)
    other = await failed(driver, "c", bank="south")
    slow = await failed(driver, "d", code="timeout")
    queue = driver.queue
    wanted = JobFilter(state=JobState.FAILED, bank="north", error_code="transient")
    assert await queue.count(wanted) == 2
    assert await queue.count(JobFilter(state=JobState.FAILED, bank="north")) == 3
    assert await queue.count(JobFilter(state=JobState.FAILED, bank="north", org_id="acme", error_code="timeout")) == 1
    assert [job.id for job in (await queue.page(JobFilter(state=JobState.FAILED, bank="south"))).jobs] == [other]
    assert await queue.retry_failed(wanted) == 2
    assert set(await kinds(driver)) == {("transient", "south"), ("timeout", "north")}
    assert await queue.discard(JobFilter(state=JobState.FAILED, bank="north")) == 1
    assert await driver.state(slow) is None
    assert set(await kinds(driver)) == {("transient", "south")}
    assert await driver.state(other) is JobState.FAILED


async def test_a_job_that_fails_elsewhere_the_second_time(driver: Driver) -> None:
    """Tried again it stands where it failed last, and nowhere else."""
    job_id = await failed(driver, "a", bank="north")
    await driver.queue.retry(job_id)
    [claim] = await driver.claim(1)
    await driver.fail(claim, bank="south", code="timeout")
    assert set(await kinds(driver)) == {("timeout", "south")}
    assert await driver.queue.count(JobFilter(state=JobState.FAILED, bank="north")) == 0


async def test_every_index_has_an_end(driver: Driver) -> None:
    """None outlives its jobs."""
    await failed(driver, "a")
    of = driver.queue.keys.of
    for key in (of("failed_bank", "north"), of("failed_kind", "transient", "north"), of("failed_kinds")):
        assert 31.9 < await driver.queue.client.pttl(key) / 86_400_000 <= 32
