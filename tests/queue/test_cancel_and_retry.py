"""Cancelling a job in every state it may have, and trying again what failed, one or all."""

import pytest

from bankimport.errors import Conflict, IllegalTransition, NotFound
from bankimport.events import TERMINAL
from bankimport.status import JobState
from tests.queue.driver import Driver


async def ends(driver: Driver) -> list[tuple[str, str]]:
    """Return the terminal events."""
    return await driver.events(*TERMINAL)


async def cancelled(driver: Driver, job_id: str) -> bool:
    """Whether a job has ended by being cancelled, told once, and left nothing behind."""
    job = await driver.queue.get(job_id)
    assert job is not None
    return (job.state, job.error_code) == (JobState.FAILED, "cancelled")


async def test_a_waiting_job_ends_at_once(driver: Driver) -> None:
    """In its line or behind its connection's running sync: it ends, and never starts."""
    waiting = await driver.ask("a")
    await driver.queue.cancel(waiting)
    await driver.ask("b")
    [running] = await driver.claim()
    held = await driver.ask("b", force_full_sync=True)
    await driver.queue.cancel(held)
    await driver.complete(running)
    assert await driver.claim() == []
    assert await cancelled(driver, waiting)
    assert await cancelled(driver, held)
    assert [event for event in await ends(driver) if event[0] == "bank.job.cancelled"] == [
        ("bank.job.cancelled", waiting),
        ("bank.job.cancelled", held),
    ]
    assert await driver.leftovers() == []


async def test_a_delayed_job_ends_at_once(driver: Driver) -> None:
    """A retry that waits is cancelled: it never comes back, and the question may be asked anew."""
    job_id = await driver.ask("c")
    [claim] = await driver.claim()
    await driver.fail(claim, delay=3_600_000)
    await driver.queue.cancel(job_id)
    await driver.make_due()
    assert await driver.claim() == []
    assert await driver.leftovers() == []
    assert await driver.ask("c") != job_id


async def test_a_running_job_ends_through_its_worker(driver: Driver) -> None:
    """It is asked to stop; its next word of progress hears of it, and it ends as cancelled, without an attempt."""
    job_id = await driver.ask("c")
    [claim] = await driver.claim()
    await driver.queue.cancel(job_id)
    assert await driver.state(job_id) is JobState.ACTIVE
    fields = '"stage":"starting","message":"m","percent":0'
    assert await driver.run("advance_progress", job_id, claim.fence, fields) == b"cancelled"
    answer = await driver.run("fail_job", job_id, claim.fence, "cancelled", "cancelled", -1, "cancelled")
    assert answer == b"failed"
    job = await driver.queue.get(job_id)
    assert job is not None
    assert job.attempts_made == 0
    assert await ends(driver) == [("bank.job.cancelled", job_id)]


@pytest.mark.parametrize("how", ["retry", "give back", "stall"])
async def test_a_cancelled_run_that_ends_otherwise_does_not_come_back(driver: Driver, how: str) -> None:
    """The run fails and would be tried again, its worker is deployed, or dies: the job is over all the same."""
    job_id = await driver.ask("c")
    [claim] = await driver.claim()
    await driver.queue.cancel(job_id)
    if how == "retry":
        await driver.fail(claim, delay=1)
    elif how == "give back":
        await driver.run("give_back_jobs", job_id, claim.fence)
    else:
        await driver.lapse(job_id)
    assert await driver.claim() == []
    assert await driver.state(job_id) is JobState.FAILED
    assert await ends(driver) == [("bank.job.cancelled", job_id)]
    assert await driver.leftovers() == []


async def test_a_run_that_was_quicker_than_its_cancel_is_completed(driver: Driver) -> None:
    """Its last word arrives after the cancel: the work is done, so it is completed, once."""
    job_id = await driver.ask("c")
    [claim] = await driver.claim()
    await driver.queue.cancel(job_id)
    assert await driver.complete(claim) == b"done"
    assert await ends(driver) == [("bank.job.completed", job_id)]


async def test_what_has_ended_or_never_was(driver: Driver) -> None:
    """An ended job can't be cancelled, an unknown one can be neither cancelled nor retried."""
    job_id = await driver.ask("c")
    [claim] = await driver.claim()
    await driver.complete(claim)
    with pytest.raises(IllegalTransition):
        await driver.queue.cancel(job_id)
    with pytest.raises(NotFound):
        await driver.queue.cancel("unknown")
    with pytest.raises(NotFound):
        await driver.queue.retry("unknown")


async def failed(driver: Driver, connection: str, *, org: str = "acme", scheduled: bool = False) -> str:
    """Return a job that failed for good after one attempt."""
    await driver.ask(connection, org=org, scheduled=scheduled)
    [claim] = await driver.claim()
    await driver.fail(claim)
    return claim.job_id


async def test_a_retried_job_begins_anew(driver: Driver) -> None:
    """It waits with no attempts, no error and no end; runs; and ends once more, told once more."""
    job_id = await failed(driver, "c", scheduled=True)
    await driver.queue.retry(job_id)
    job = await driver.queue.get(job_id)
    assert job is not None
    assert (job.state, job.attempts_made, job.failed_reason, job.error_code) == (JobState.WAITING, 0, None, None)
    assert (job.finished_on, job.processed_on) == (None, None)
    assert await driver.queue.client.ttl(driver.queue.keys.job(job_id)) == -1, "a pending record doesn't expire"
    assert await driver.ask("c") == job_id
    [claim] = await driver.claim()
    assert claim.data == {"connectionId": "c", "scheduled": False}  # not what would be due to the schedule
    await driver.complete(claim)
    assert await ends(driver) == [("bank.job.failed", job_id), ("bank.job.completed", job_id)]
    assert await driver.queue.client.ttl(driver.queue.keys.job(job_id)) > 0
    assert await driver.leftovers() == []


async def test_a_job_is_not_retried_beside_its_twin(driver: Driver) -> None:
    """Another job answers the same question by now: it is named."""
    job_id = await failed(driver, "c")
    twin = await driver.ask("c")
    with pytest.raises(Conflict, match=twin):
        await driver.queue.retry(job_id)


async def test_a_failed_child_is_retried_for_itself(driver: Driver) -> None:
    """Its batch has ended and is not changed by it any more."""
    await driver.ask_all("a", "b")
    [batch] = await driver.claim()
    await driver.fan_out(batch, "a", "b")
    first, second = await driver.claim()
    await driver.fail(first)
    await driver.complete(second)
    before = await driver.queue.get(batch.job_id)
    await driver.queue.retry(first.job_id)
    [again] = await driver.claim()
    await driver.complete(again)
    assert await driver.queue.get(batch.job_id) == before
    assert await driver.leftovers() == []


async def test_a_retried_batch_makes_its_children_anew(driver: Driver) -> None:
    """A batch cancelled while its children ran lists and counts anew."""
    batch_id = await driver.ask_all("a", "b")
    [batch] = await driver.claim()
    await driver.fan_out(batch, "a", "b")
    await driver.queue.cancel(batch_id)
    assert await driver.state(batch_id) is JobState.FAILED
    await driver.queue.retry(batch_id)
    [batch] = await driver.claim()
    await driver.fan_out(batch, "a", "b")
    for claim in await driver.claim():
        await driver.complete(claim)
    job = await driver.queue.get(batch_id)
    assert job is not None
    assert job.result == {"totalConnections": 2, "successfulSyncs": 2, "failedSyncs": 0}
    assert await driver.leftovers() == []


async def test_all_that_failed_is_retried(driver: Driver) -> None:
    """By organisation, type and reason, or all; what has a twin is left; the number is told."""
    jobs = [await failed(driver, f"c{number}") for number in range(3)]
    other = await failed(driver, "x", org="other")
    await driver.ask("c0")
    retry = driver.queue.retry_failed
    assert await retry("acme", type_=None, error_code="rate-limited") == 0
    assert await retry("acme", type_="sync-all-org", error_code=None) == 0
    assert await retry("acme", type_="sync-connection", error_code="transient") == 2
    assert await driver.ids(JobState.FAILED) == {jobs[0], other}
    assert await retry(None, type_=None, error_code=None) == 1
    assert await driver.ids(JobState.FAILED) == {jobs[0]}
