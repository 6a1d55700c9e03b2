"""Cancelling a job in every state it may have, and trying again what failed, one or all."""

import pytest

from bankimport.errors import Conflict, IllegalTransition, InvalidRequest, NotFound
from bankimport.events import TERMINAL
from bankimport.queue.filters import JobFilter
from bankimport.queue.transitions import Ended, Transitions
from bankimport.status import JobState
from tests.queue.driver import Driver


async def ends(driver: Driver) -> list[tuple[str, str]]:
    """Return the terminal events."""
    return await driver.events(*TERMINAL)


async def cancelled(driver: Driver, job_id: str) -> bool:
    """Whether a job has ended by being cancelled, told once, and left nothing behind."""
    job = await driver.queue.get(job_id)
    assert job is not None
    return (job.state, job.error_code) == (JobState.CANCELLED, "cancelled")


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
    assert await driver.do.advance_progress(job_id, str(claim.fence), [fields]) == "cancelled"
    assert await driver.fail(claim, was_cancelled=True) is Ended.CANCELLED
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
        await driver.give_back(claim)
    else:
        await driver.lapse(job_id)
    assert await driver.claim() == []
    assert await driver.state(job_id) is JobState.CANCELLED
    assert await ends(driver) == [("bank.job.cancelled", job_id)]
    assert await driver.leftovers() == []


async def test_a_run_that_was_quicker_than_its_cancel_is_completed(driver: Driver) -> None:
    """Its last word arrives after the cancel: the work is done, so it is completed, once."""
    job_id = await driver.ask("c")
    [claim] = await driver.claim()
    await driver.queue.cancel(job_id)
    assert await driver.complete(claim) is Ended.DONE
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
    assert await driver.state(batch_id) is JobState.CANCELLED
    await driver.queue.retry(batch_id)
    [batch] = await driver.claim()
    await driver.fan_out(batch, "a", "b")
    for claim in await driver.claim():
        await driver.complete(claim)
    job = await driver.queue.get(batch_id)
    assert job is not None
    assert job.result == {"totalConnections": 2, "successfulSyncs": 2, "failedSyncs": 0, "deferredSyncs": 0}
    assert await driver.leftovers() == []


async def test_all_that_failed_is_retried(driver: Driver) -> None:
    """By organisation, type and reason, or all; what has a twin is left; the number is told."""
    jobs = [await failed(driver, f"c{number}") for number in range(3)]
    other = await failed(driver, "x", org="other")
    await driver.ask("c0")
    retry = driver.queue.retry_failed
    assert await retry(JobFilter(org_id="acme", error_code="rate-limited")) == 0
    assert await retry(JobFilter(org_id="acme", type="sync-all-org")) == 0
    assert await driver.queue.count(JobFilter(org_id="acme", state=JobState.FAILED)) == 3
    assert await retry(JobFilter(org_id="acme", type="sync-connection", error_code="transient")) == 2
    assert await driver.ids(JobState.FAILED) == {jobs[0], other}
    assert await retry(JobFilter()) == 1
    assert await driver.ids(JobState.FAILED) == {jobs[0]}


async def test_what_is_retried_together_keeps_its_lane(driver: Driver) -> None:
    """A schedule's job stays the schedule's and asks what it asked; what somebody cancelled is left alone."""
    scheduled = await failed(driver, "c", scheduled=True)
    cancelled_id = await driver.ask("d")
    await driver.queue.cancel(cancelled_id)
    assert await driver.queue.retry_failed(JobFilter()) == 1
    assert await driver.state(cancelled_id) is JobState.CANCELLED
    manual = await driver.ask("e")
    claims = await driver.claim()
    assert [claim.job_id for claim in claims] == [manual, scheduled]
    assert claims[1].data["scheduled"] is True


async def test_a_cancelled_job_is_retried_by_name(driver: Driver) -> None:
    """Who cancelled by mistake asks for that very job again."""
    job_id = await driver.ask("c")
    await driver.queue.cancel(job_id)
    await driver.queue.retry(job_id)
    [claim] = await driver.claim()
    await driver.complete(claim)
    assert await ends(driver) == [("bank.job.cancelled", job_id), ("bank.job.completed", job_id)]
    assert await driver.leftovers() == []


async def test_who_asks_again_for_what_is_being_cancelled_is_given_a_new_job(driver: Driver) -> None:
    """The running job has been asked to stop: it is no answer to a new wish, which runs after it."""
    dying = await driver.ask("c")
    [claim] = await driver.claim()
    await driver.queue.cancel(dying)
    asked = await driver.ask("c")
    assert asked != dying
    await driver.fail(claim, was_cancelled=True)
    [claim] = await driver.claim()
    assert claim.job_id == asked
    await driver.complete(claim)
    assert await driver.leftovers() == []


async def test_held_jobs_are_woken_though_the_first_of_them_is_cancelled(driver: Driver) -> None:
    """A run ends, the one that stood aside first is let into line, and is cancelled there: the next has its turn."""
    await driver.ask("c")
    [running] = await driver.claim()
    first = await driver.ask("c", start_date="2025-01-01")
    second = await driver.ask("c", start_date="2025-01-02")
    assert await driver.claim() == []
    await driver.complete(running)
    await driver.queue.cancel(first)
    assert [claim.job_id for claim in await driver.claim()] == [second]


async def test_a_person_waits_for_no_scheduled_job_in_a_full_line(driver: Driver) -> None:
    """Of those that stand aside a person's goes first, though a schedule's was there before, whose places are taken."""
    await driver.ask("c")
    [running] = await driver.claim()
    for number in range(3):
        await driver.ask(f"s{number}", scheduled=True)
    assert len(await driver.claim()) == 3
    await driver.ask("c", scheduled=True, start_date="2025-01-01")
    wish = await driver.ask("c", start_date="2025-01-02")
    assert await driver.claim() == []
    await driver.complete(running)
    assert [claim.job_id for claim in await driver.claim()] == [wish]


@pytest.mark.parametrize("word", ["cancel_job", "retry_job", "pause_queue", "emit_event", "discard_job"])
async def test_a_call_whose_reply_was_lost_is_repeated(driver: Driver, word: str) -> None:
    """Carried out once, though it was sent twice: neither refused nor told twice."""
    job_id = await failed(driver, "f") if word in ("retry_job", "discard_job") else await driver.ask("c")
    words: dict[str, list[bytes]] = {
        "cancel_job": [job_id.encode()],
        "retry_job": [job_id.encode(), b"1"],
        "pause_queue": [b"", b"why"],
        "emit_event": [b"bank.test", b"acme", b"", b""],
        "discard_job": [job_id.encode()],
    }
    before = await driver.events()
    call, script = driver.queue.scripts.call, vars(Transitions)[word]
    first = await call(script, words[word], b"token")
    told = (await driver.events())[len(before) :]
    assert await call(script, words[word], b"token", again=True) == first
    assert (await driver.events())[len(before) :] == told


async def test_failed_jobs_are_discarded(driver: Driver) -> None:
    """Their records go, the running ones can't; waiting ones are cancelled."""
    job_id, other = await failed(driver, "a"), await failed(driver, "b", org="other")
    waiting = await driver.ask("w")
    assert await driver.queue.discard(JobFilter(org_id="acme")) == 1
    assert await driver.state(job_id) is None
    assert await driver.state(other) is JobState.FAILED
    assert await driver.queue.discard(JobFilter(state=JobState.WAITING)) == 1
    assert await driver.state(waiting) is JobState.CANCELLED
    with pytest.raises(InvalidRequest):
        await driver.queue.discard(JobFilter(state=JobState.ACTIVE))
