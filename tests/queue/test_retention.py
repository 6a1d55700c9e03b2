"""Ended jobs go after their days: by the cleanup in slices, by their time to live if no worker runs."""

from datetime import datetime, timedelta, tzinfo

import pytest

from bankimport.queue.filters import JobFilter
from bankimport.status import JobState
from bankimport.stream import groups_behind
from bankimport.watch.sweeper import Sweeper
from tests.queue.driver import Driver

DAY = 86_400_000


async def completed(driver: Driver, count: int, *, fail: bool = False) -> list[str]:
    """Return so many ended jobs."""
    for number in range(count):
        await driver.ask(f"c{number}", scheduled=True, org=f"o{number}")
    claims = await driver.claim(count)
    for claim in claims:
        await (driver.fail(claim) if fail else driver.complete(claim))
    return [claim.job_id for claim in claims]


async def age(driver: Driver, state: JobState, *job_ids: str, days: float) -> None:
    """Let jobs have ended so many days ago."""
    for job_id in job_ids:
        await driver.queue.client.zincrby(driver.queue.keys.state(state), -days * DAY, job_id)


@pytest.mark.parametrize(("state", "keep"), [(JobState.COMPLETED, 7), (JobState.FAILED, 30)], ids=str)
async def test_the_cleanup_removes_what_is_too_old(driver: Driver, state: JobState, keep: int) -> None:
    """What ended before its days goes, with its place in its organisation's list; what is younger stays."""
    jobs = await completed(driver, 3, fail=state is JobState.FAILED)
    await age(driver, state, *jobs[:2], days=keep + 0.01)
    await age(driver, state, jobs[2], days=keep - 0.01)
    assert await driver.do.cleanup_jobs(state, 500) == 2
    assert await driver.ids(state) == {jobs[2]}
    assert [await driver.state(job_id) for job_id in jobs] == [None, None, state]
    assert [await driver.queue.client.zcard(driver.queue.keys.of("org", f"o{number}")) for number in range(3)] == [
        0,
        0,
        1,
    ]


async def test_the_cleanup_goes_by_slices(driver: Driver) -> None:
    """One call removes no more than its slice, so that nobody waits long for Redis."""
    jobs = await completed(driver, 7)
    await age(driver, JobState.COMPLETED, *jobs, days=8)
    assert [await driver.do.cleanup_jobs("completed", 3) for _ in range(4)] == [3, 3, 1, 0]


async def test_what_is_too_old_goes_although_the_schedules_are_off(driver: Driver) -> None:
    """The full look of whoever sweeps removes old records and their entries in every index, with no job of 04:00."""
    done, kept = await completed(driver, 2)
    [failed] = await completed(driver, 1, fail=True)
    await age(driver, JobState.COMPLETED, done, days=8)
    await age(driver, JobState.FAILED, failed, days=31)
    assert await Sweeper(driver.queue, groups_behind).run()
    assert [await driver.state(job_id) for job_id in (done, kept, failed)] == [None, JobState.COMPLETED, None]
    assert await driver.ids(JobState.FAILED) == set()


async def test_a_sweeper_whose_clock_is_ahead_trims_no_event(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is old is said by the server's clock: two days ahead of it, a worker still trims nothing of today."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Ahead":
            return cls.fromtimestamp(datetime.now(tz).timestamp() + 2 * 86_400, tz)

    await completed(driver, 100)
    before = await driver.events()
    monkeypatch.setattr("bankimport.watch.sweeper.datetime", Ahead)
    await Sweeper(driver.queue, groups_behind).run()
    assert await driver.events() == before


async def test_pending_jobs_are_never_cleaned_away(driver: Driver) -> None:
    """However old: waiting, delayed and running jobs stay, and so does one that was retried."""
    waiting, later = await driver.ask("w"), await driver.ask("d")
    await driver.queue.client.zincrby(driver.queue.keys.state("waiting"), -99 * DAY, waiting)
    [failed] = await completed(driver, 1, fail=True)
    await driver.queue.retry(failed)
    await age(driver, JobState.COMPLETED, days=99)
    at_once = driver.with_settings(keep_completed=timedelta(0), keep_failed=timedelta(0))
    for state in ("completed", "failed"):
        assert await at_once.do.cleanup_jobs(state, 500) == 0
    for job_id in (waiting, later, failed):
        assert await driver.queue.client.ttl(driver.queue.keys.job(job_id)) == -1
        assert await driver.state(job_id) is not None


async def test_without_a_cleanup_everything_ends_by_itself(driver: Driver, no_endless_keys: None) -> None:
    """No worker runs any more: records outlive their days by one, indexes by two, an organisation's
    list, whose time counts from the last asking, by thirty; no key is without an end."""
    [done] = await completed(driver, 1)
    [failed] = await completed(driver, 1, fail=True)
    client, keys = driver.queue.client, driver.queue.keys

    async def days(key: str) -> float:
        return timedelta(seconds=await client.ttl(key)) / timedelta(days=1)

    assert 7.9 < await days(keys.job(done)) <= 8
    assert 30.9 < await days(keys.job(failed)) <= 31
    assert 31.9 < await days(keys.of("failed_code", "transient")) <= 32
    assert 59.9 < await days(keys.of("org", "o0")) <= 60
    assert await driver.leftovers() == []


async def test_a_failed_job_that_is_removed_leaves_no_index_behind(driver: Driver) -> None:
    """Its reason, its type and its organisation know it no more; nor do they once it is tried again."""
    removed, retried = await completed(driver, 2, fail=True)
    await age(driver, JobState.FAILED, removed, days=31)
    await driver.do.cleanup_jobs("failed", 10)
    await driver.queue.retry(retried)
    assert [key async for key in driver.queue.client.scan_iter("*failed*")] == []


async def test_an_index_forgets_records_that_ended_by_themselves(driver: Driver) -> None:
    """No cleanup ran, and a record's time to live is over: the next look at the list takes its id away."""
    gone, there = await completed(driver, 2)
    await driver.queue.client.delete(driver.queue.keys.job(gone))
    for org in ("o0", "o1"):
        page = await driver.queue.page(JobFilter(org_id=org))
        assert [job.id for job in page.jobs] == ([] if org == "o0" else [there])
    assert await driver.queue.client.exists(driver.queue.keys.of("org", "o0")) == 0
