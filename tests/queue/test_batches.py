"""A batch: its children by slices, three running at a time, each counted once, and no worker's slot while it waits."""

from datetime import UTC, datetime, timedelta

import pytest

from bankimport.commands import SyncConnection
from bankimport.events import event_of
from bankimport.models import JobStatus
from bankimport.queue.queue import Enqueue
from bankimport.queue.run import Claim
from bankimport.queue.transitions import Ended
from bankimport.status import JobState
from tests.queue.driver import Driver


async def batch_of(driver: Driver, *connections: str, scheduled: bool = False) -> Claim:
    """Return a batch that waits for its children."""
    await driver.ask_all(*connections, scheduled=scheduled)
    [batch] = await driver.claim()
    answer = await driver.fan_out(batch, *connections, scheduled=scheduled)
    assert answer is (Ended.WAITING_CHILDREN if connections else Ended.COMPLETED)
    return batch


async def status(driver: Driver, job: Claim) -> JobStatus:
    """Return a job's record."""
    found = await driver.queue.get(job.job_id)
    assert found is not None
    return found


async def told(driver: Driver, name: str) -> list[dict[str, object]]:
    """Return the data of the events of a name, without their instant."""
    rows = await driver.queue.client.xrange(driver.queue.keys.events)
    events = [event_of(entry, *(row[part] for part in (b"name", b"orgId", b"jobId", b"data"))) for entry, row in rows]
    found = [event.data for event in events if event.name == name]
    return [{key: value for key, value in data.items() if key != "timestamp"} for data in found]


COUNTS = {"totalConnections": 3, "successfulSyncs": 2, "failedSyncs": 1, "deferredSyncs": 0}


async def test_a_batch_by_hand_makes_waiting_ticks_its_own(driver: Driver) -> None:
    """A child that a schedule has asked already is the person's now, and reads though nothing would be due."""
    await driver.ask("c", scheduled=True)
    await driver.ask_all("c")
    [batch] = [claim for claim in await driver.claim(1) if claim.type == "sync-all-org"]
    await driver.fan_out(batch, "c")
    [child] = await driver.claim()
    assert "scheduled" not in child.data


async def test_a_batch_ends_with_its_last_child(driver: Driver) -> None:
    """However the children end; the result, the batch's event and its own say how many did well; progress follows."""
    batch = await batch_of(driver, "a", "b", "c")
    assert (await status(driver, batch)).state is JobState.WAITING_CHILDREN
    for number, claim in enumerate(await driver.claim(), start=1):
        await (driver.fail(claim) if number == 2 else driver.complete(claim))
        if number < 3:
            progress = (await status(driver, batch)).progress
            assert progress is not None
            assert (progress.message, progress.percent) == (f"{number} of 3 connections done", number * 100 // 3)
    ended = await status(driver, batch)
    assert (ended.state, ended.result) == (JobState.COMPLETED, COUNTS)
    assert await told(driver, "bank.batch.completed") == [{"orgId": "acme", **COUNTS}]
    [of_batch] = [each for each in await told(driver, "bank.job.completed") if each["type"] == "sync-all-org"]
    assert of_batch["connectionsSynced"] == 2
    assert (await driver.events())[-2:] == [
        ("bank.batch.completed", batch.job_id),
        ("bank.job.completed", batch.job_id),
    ]
    assert await driver.leftovers() == []


async def test_a_batch_holds_no_slot_and_waits_for_quick_retries(driver: Driver) -> None:
    """While it waits nothing of it runs or has a lease; a child that will be tried again soon has not ended."""
    batch = await batch_of(driver, "a")
    assert await driver.ids(JobState.ACTIVE) == set()
    [child] = await driver.claim()
    await driver.fail(child, delay=20_000)
    assert (await status(driver, batch)).state is JobState.WAITING_CHILDREN
    await driver.make_due()
    [child] = await driver.claim()
    await driver.complete(child)
    assert (await status(driver, batch)).state is JobState.COMPLETED


async def test_a_child_that_is_delayed_for_long_holds_up_nobody(driver: Driver) -> None:
    """A bank asks for hours: the child counts as deferred, the batch ends, and the next tick may ask anew."""
    batch = await batch_of(driver, "a", "b")
    later, done = await driver.claim()
    await driver.fail(later, delay=4 * 3_600_000)
    await driver.complete(done)
    ended = await status(driver, batch)
    assert (ended.state, ended.result) == (
        JobState.COMPLETED,
        {"totalConnections": 2, "successfulSyncs": 1, "failedSyncs": 0, "deferredSyncs": 1},
    )
    assert await driver.ask_all("a", "b") != batch.job_id
    await driver.make_due()
    for claim in await driver.claim():
        await driver.complete(claim) if claim.type == "sync-connection" else await driver.fan_out(claim)
    assert (await status(driver, batch)).result == ended.result, "what comes back later counts nowhere"
    assert await driver.leftovers() == []


@pytest.mark.parametrize("when", ["before", "after"])
async def test_joined_work_that_is_delayed_is_not_waited_for(driver: Driver, when: str) -> None:
    """A job that somebody else asked for is put off, before the batch joins it or after: it counts as deferred."""
    await driver.ask("a")
    [claim] = await driver.claim()
    if when == "before":
        await driver.fail(claim, delay=5_000)
    await driver.ask_all("a")
    [batch] = await driver.claim()
    answer = await driver.fan_out(batch, "a")
    if when == "after":
        assert answer is Ended.WAITING_CHILDREN
        await driver.fail(claim, delay=5_000)
    counts = {"totalConnections": 1, "successfulSyncs": 0, "failedSyncs": 0, "deferredSyncs": 1}
    assert (await status(driver, batch)).result == counts


async def test_a_child_that_did_not_do_all_is_no_success(driver: Driver) -> None:
    """A completed sync of which some was refused, or all deferred, is not called synced."""
    batch = await batch_of(driver, "a", "b", "c")
    for claim, counts_as in zip(await driver.claim(), ("ok", "bad", "deferred"), strict=True):
        await driver.complete(claim, counts_as=counts_as)
    counts = {"totalConnections": 3, "successfulSyncs": 1, "failedSyncs": 1, "deferredSyncs": 1}
    assert (await status(driver, batch)).result == counts


async def test_a_batch_without_connections(driver: Driver) -> None:
    """An organisation without a syncable connection: the batch is completed at once, with noughts."""
    batch = await batch_of(driver)
    assert (await status(driver, batch)).result == {
        "totalConnections": 0,
        "successfulSyncs": 0,
        "failedSyncs": 0,
        "deferredSyncs": 0,
    }
    assert await driver.leftovers() == []


@pytest.mark.parametrize("scheduled", [False, True])
async def test_three_children_run_at_a_time(driver: Driver, scheduled: bool) -> None:
    """All children wait, three of the organisation run at once, and the next starts as one ends."""
    await batch_of(driver, *(f"c{number}" for number in range(10)), scheduled=scheduled)
    assert (await driver.watch.stats()).waiting == 10
    ended = 0
    while claims := await driver.claim(10):
        assert len(claims) == min(3, 10 - ended)
        for claim in claims:
            await driver.complete(claim)
            ended += 1
    assert ended == 10
    assert (await driver.watch.stats()).completed == 11
    assert await driver.leftovers() == []


async def test_a_person_waits_for_no_batch(driver: Driver) -> None:
    """What a person asks for starts beside a batch of their organisation that has all its places, and before its rest;
    the batch waits for it, and doesn't end it when it is cancelled."""
    batch = await batch_of(driver, *(f"c{number}" for number in range(10)), scheduled=True)
    assert len(await driver.claim()) == 3
    wish, other = await driver.ask("c9"), await driver.ask("new")
    assert [claim.job_id for claim in await driver.claim()] == [wish, other]
    await driver.queue.cancel(batch.job_id)
    assert await driver.state(wish) is JobState.ACTIVE


async def test_the_children_of_a_batch_leave_room_for_wishes(driver: Driver) -> None:
    """However large, a batch makes no request of its organisation one too many."""
    await batch_of(driver, *(f"c{number}" for number in range(20)), scheduled=True)
    command = SyncConnection(org_id="acme", connection_id="mine")
    assert await driver.queue.enqueue(Enqueue(command, limit=5))


async def test_a_child_that_ends_twice_counts_once(driver: Driver) -> None:
    """The last word is said again, by the run itself and by one that lost its lease: one child, one count."""
    batch = await batch_of(driver, "a", "b", "c")
    first, second, third = await driver.claim()
    await driver.lapse(first.job_id)
    [again] = await driver.claim(worker="other")
    assert [await driver.complete(again) for _ in range(3)] == [Ended.DONE] * 3
    assert await driver.complete(first) is Ended.LOST
    assert await driver.fail(first) is Ended.LOST
    assert (await status(driver, batch)).state is JobState.WAITING_CHILDREN
    await driver.complete(second)
    await driver.fail(third)
    assert (await status(driver, batch)).result == COUNTS


async def test_a_fan_out_whose_answer_was_lost_is_repeated(driver: Driver) -> None:
    """The same words again, before and after the batch's end: no second child."""
    batch = await batch_of(driver, "a", "b")
    assert await driver.fan_out(batch, "a", "b") is Ended.WAITING_CHILDREN
    claims = await driver.claim()
    for claim in claims:
        await driver.complete(claim)
    assert await driver.fan_out(batch, "a", "b") is Ended.COMPLETED
    assert len(claims) == 2
    assert len(await driver.events("bank.job.queued")) == 3


async def test_a_slice_whose_answer_was_lost_is_repeated(driver: Driver) -> None:
    """A slice in the middle again, after one of its children has ended: nothing is made or counted twice."""
    await driver.ask_all(*"abcd")
    [batch] = await driver.claim()
    rows = [Enqueue(SyncConnection(org_id="acme", connection_id=each)).row() for each in "abcd"]
    make = driver.do.fan_out_batch
    for number in (0, 0, 1, 1):
        slice_ = rows[2 * number : 2 * number + 2]
        assert await make(batch.job_id, str(batch.fence), slice_, number, False) is Ended.MORE
        if number == 0:
            for claim in await driver.claim():
                await driver.complete(claim)
    assert await make(batch.job_id, str(batch.fence), [], 2, True) is Ended.WAITING_CHILDREN
    for claim in await driver.claim():
        await driver.complete(claim)
    counts = {"totalConnections": 4, "successfulSyncs": 4, "failedSyncs": 0, "deferredSyncs": 0}
    assert (await status(driver, batch)).result == counts


async def test_a_worker_that_dies_in_the_middle_of_a_fan_out(driver: Driver) -> None:
    """The run that begins anew finds the children of the first one, ended or not; each counts once."""
    await driver.ask_all(*"abcd")
    [dead] = await driver.claim()
    rows = [Enqueue(SyncConnection(org_id="acme", connection_id=each)).row() for each in "abcd"]
    await driver.do.fan_out_batch(dead.job_id, str(dead.fence), rows[:2], 0, False)
    [first, _] = await driver.claim()
    await driver.complete(first)
    await driver.lapse(dead.job_id)
    [batch] = await driver.claim(worker="other")
    assert await driver.fan_out(batch, *"abcd", size=3) is Ended.WAITING_CHILDREN
    assert len(await driver.events("bank.job.queued")) == 5
    await driver.lapse(_.job_id)
    for claim in await driver.claim():
        await driver.complete(claim)
    counts = {"totalConnections": 4, "successfulSyncs": 4, "failedSyncs": 0, "deferredSyncs": 0}
    assert (await status(driver, batch)).result == counts
    assert await driver.leftovers() == []


async def test_a_worker_that_dies_before_the_fan_out(driver: Driver) -> None:
    """The batch runs again and makes its children once; the dead one's fan-out comes too late."""
    await driver.ask_all("a", "b")
    [dead] = await driver.claim()
    await driver.lapse(dead.job_id)
    [batch] = await driver.claim(worker="other")
    assert await driver.fan_out(dead, "a", "b") is Ended.LOST
    await driver.fan_out(batch, "a", "b")
    assert await driver.fan_out(dead, "a", "b") is Ended.LOST
    assert len(await driver.claim()) == 2


async def test_a_connection_that_is_synced_already_is_waited_for(driver: Driver) -> None:
    """A job that somebody else asked for counts in the batch, is not asked again, and outlives the batch's cancel."""
    running = await driver.ask("a")
    waiting = await driver.ask("b")
    [claim] = await driver.claim(1)
    await driver.ask_all("a", "b", "c")
    [other, batch] = await driver.claim()
    assert other.job_id == waiting
    await driver.fan_out(batch, "a", "b", "c")
    assert claim.job_id == running
    assert len(await driver.events("bank.job.queued")) == 4, "two, the batch, and one child"
    await driver.queue.cancel(batch.job_id)
    assert await driver.state(waiting) is JobState.ACTIVE
    await driver.complete(claim)
    await driver.complete(other)
    assert (await status(driver, batch)).error_code == "cancelled"
    assert await driver.leftovers() == []


async def test_two_batches_wait_for_one_job(driver: Driver) -> None:
    """One sync that two batches want is done once and counts in both."""
    await driver.ask_all("a", "b")
    await driver.ask_all("b", "a", "c")
    first, second = await driver.claim()
    await driver.fan_out(first, "a", "b")
    await driver.fan_out(second, "b", "a", "c")
    claims = await driver.claim()
    assert len(claims) == 3
    for claim in claims:
        await driver.complete(claim)
    assert (await status(driver, first)).result == {
        "totalConnections": 2,
        "successfulSyncs": 2,
        "failedSyncs": 0,
        "deferredSyncs": 0,
    }
    assert (await status(driver, second)).result == {
        "totalConnections": 3,
        "successfulSyncs": 3,
        "failedSyncs": 0,
        "deferredSyncs": 0,
    }


async def test_a_connection_named_twice_counts_once(driver: Driver) -> None:
    """Children that ask the same are one child."""
    batch = await batch_of(driver, "a", "a", "b")
    for claim in await driver.claim():
        await driver.complete(claim)
    assert (await status(driver, batch)).result == {
        "totalConnections": 2,
        "successfulSyncs": 2,
        "failedSyncs": 0,
        "deferredSyncs": 0,
    }


async def test_cancelling_a_batch_ends_it_and_what_has_not_started(driver: Driver) -> None:
    """It ends at once; its children that wait or are delayed end, one that runs goes on for itself."""
    batch = await batch_of(driver, *(f"c{number}" for number in range(6)))
    running, later, other = await driver.claim()
    await driver.fail(later, delay=20_000)
    await driver.queue.cancel(batch.job_id)
    assert (await status(driver, batch)).state is JobState.CANCELLED
    assert len(await driver.events("bank.job.cancelled")) == 5
    assert await driver.claim() == []
    for claim in (running, other):
        await driver.complete(claim)
    assert (await status(driver, batch)).error_code == "cancelled"
    assert await driver.leftovers() == []


async def test_a_large_batch_is_cancelled_by_slices(driver: Driver) -> None:
    """No call ends more than a slice of the children, so that nobody waits long for Redis; all of them end once."""
    batch = await batch_of(driver, *(f"c{number}" for number in range(1000)))
    answer, calls = await driver.do.cancel_job(batch.job_id), 1
    assert len(await driver.ids(JobState.CANCELLED)) == 51
    while answer == "more":
        answer = await driver.do.cancel_job(batch.job_id)
        calls += 1
    assert calls > 4
    assert len(await driver.events("bank.job.cancelled")) == 1001
    assert await driver.leftovers() == []


async def test_whoever_cancels_a_batch_may_die_half_way(driver: Driver) -> None:
    """Children that are left never start: a claim that meets one ends it, and a worker's beat ends the others."""
    batch = await batch_of(driver, *(f"c{number}" for number in range(300)), scheduled=True)
    assert await driver.do.cancel_job(batch.job_id) == "more"
    assert await driver.claim() == []
    while await driver.beat():
        pass
    assert len(await driver.ids(JobState.CANCELLED)) == 301
    assert await driver.leftovers() == []


async def test_a_large_organisation(driver: Driver) -> None:
    """Its children are made slice by slice, in the order of the connections."""
    connections = [f"c{number:04}" for number in range(1500)]
    await batch_of(driver, *connections, scheduled=True)
    assert (await driver.watch.stats()).waiting == 1500
    order = []
    for _ in range(3):
        for claim in await driver.claim():
            order.append(claim.data["connectionId"])
            await driver.complete(claim)
    assert order == connections[:9]


async def test_what_a_run_leaves_to_be_done_later_is_asked_for_with_its_end(driver: Driver) -> None:
    """The follow-up of a deferred read is created by the script that ends the run: no worker can die in between."""
    await driver.ask("c")
    [claim] = await driver.claim()
    later = Enqueue(
        SyncConnection(org_id="acme", connection_id="c", scheduled=True), due=datetime.now(UTC) + timedelta(hours=3)
    )
    complete = driver.do.complete_job
    for _ in range(2):
        await complete(claim.job_id, str(claim.fence), b"{}", "", "", "ok", [], [], [later.row()])
    assert len(await driver.ids(JobState.DELAYED)) == 1
