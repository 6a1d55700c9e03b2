"""A batch: its children in one script, three let in at a time, each counted once, and no worker's slot while it waits."""

import json

from bankimport.models import JobStatus
from bankimport.queue.run import Claim
from bankimport.status import JobState
from tests.queue.driver import Driver


async def batch_of(driver: Driver, *connections: str, scheduled: bool = False) -> Claim:
    """Return a batch that waits for its children."""
    await driver.ask_all(*connections, scheduled=scheduled)
    [batch] = await driver.claim()
    assert await driver.fan_out(batch, *connections, scheduled=scheduled) == (
        b"waiting-children" if connections else b"completed"
    )
    return batch


async def status(driver: Driver, job: Claim) -> JobStatus:
    """Return a job's record."""
    found = await driver.queue.get(job.job_id)
    assert found is not None
    return found


async def told(driver: Driver, name: str) -> list[dict[str, object]]:
    """Return the data of the events of a name, without their instant."""
    rows = await driver.queue.client.xrange(driver.queue.keys.events)
    found = [json.loads(row[b"data"]) for _, row in rows if row[b"name"].decode() == name]
    return [{key: value for key, value in data.items() if key != "timestamp"} for data in found]


COUNTS = {"totalConnections": 3, "successfulSyncs": 2, "failedSyncs": 1}


async def test_a_batch_by_hand_makes_waiting_ticks_its_own(driver: Driver) -> None:
    """A child that a schedule has asked already is the person's now, and reads though nothing would be due."""
    await driver.ask("c", scheduled=True)
    await driver.ask_all("c")
    [batch] = [claim for claim in await driver.claim(1, most=10**6) if claim.type == "sync-all-org"]
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


async def test_a_batch_holds_no_slot_and_waits_for_retries(driver: Driver) -> None:
    """While it waits nothing of it runs or has a lease; a child that will be tried again has not ended."""
    batch = await batch_of(driver, "a")
    assert await driver.queue.client.zcard(f"{driver.queue.keys.prefix}leases") == 0
    [child] = await driver.claim()
    await driver.fail(child, delay=3_600_000)
    assert (await status(driver, batch)).state is JobState.WAITING_CHILDREN
    await driver.make_due()
    [child] = await driver.claim()
    await driver.complete(child)
    assert (await status(driver, batch)).state is JobState.COMPLETED


async def test_a_batch_without_connections(driver: Driver) -> None:
    """An organisation without a syncable connection: the batch is completed at once, with noughts."""
    batch = await batch_of(driver)
    assert (await status(driver, batch)).result == {"totalConnections": 0, "successfulSyncs": 0, "failedSyncs": 0}
    assert await driver.leftovers() == []


async def test_three_children_are_let_in_at_a_time(driver: Driver) -> None:
    """arq's queue holds three of a batch's children, all count as waiting, and the next comes as one ends."""
    await batch_of(driver, *(f"c{number}" for number in range(10)))
    in_queue = driver.queue.client.zcard
    assert (await driver.queue.stats()).waiting == 10
    ended = 0
    while claims := await driver.claim(2):
        assert await in_queue(driver.queue.keys.queue) == min(3, 10 - ended)
        for claim in claims:
            await driver.complete(claim)
            ended += 1
    assert ended == 10
    assert (await driver.queue.stats()).completed == 11
    assert await driver.leftovers() == []


async def test_a_person_waits_for_no_turn_of_a_batch(driver: Driver) -> None:
    """A child that is not let in yet, asked for by a person, is let in, and is the first of all."""
    await batch_of(driver, *(f"c{number}" for number in range(10)), scheduled=True)
    job_id = await driver.ask("c9")
    assert (await driver.claim(1))[0].job_id == job_id


async def test_a_child_that_ends_twice_counts_once(driver: Driver) -> None:
    """The last word is said again, by the run itself and by one that lost its lease: one child, one count."""
    batch = await batch_of(driver, "a", "b", "c")
    first, second, third = await driver.claim()
    await driver.lapse(first.job_id)
    [again] = await driver.claim(worker="other")
    assert [await driver.complete(again) for _ in range(3)] == [b"done"] * 3
    assert await driver.complete(first) == b"lost"
    assert await driver.fail(first) == b"lost"
    assert (await status(driver, batch)).state is JobState.WAITING_CHILDREN
    await driver.complete(second)
    await driver.fail(third)
    assert (await status(driver, batch)).result == COUNTS


async def test_a_fan_out_whose_answer_was_lost_is_repeated(driver: Driver) -> None:
    """The same words again, before and after the batch's end: no second child."""
    batch = await batch_of(driver, "a", "b")
    assert await driver.fan_out(batch, "a", "b") == b"waiting-children"
    claims = await driver.claim()
    for claim in claims:
        await driver.complete(claim)
    assert await driver.fan_out(batch, "a", "b") == b"completed"
    assert len(claims) == 2
    assert len(await driver.events("bank.job.queued")) == 3


async def test_a_worker_that_dies_before_the_fan_out(driver: Driver) -> None:
    """The batch runs again and makes its children once; the dead one's fan-out comes too late."""
    await driver.ask_all("a", "b")
    [dead] = await driver.claim()
    await driver.lapse(dead.job_id)
    [batch] = await driver.claim(worker="other")
    assert await driver.fan_out(dead, "a", "b") == b"lost"
    await driver.fan_out(batch, "a", "b")
    assert await driver.fan_out(dead, "a", "b") == b"lost"
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
    assert (await status(driver, first)).result == {"totalConnections": 2, "successfulSyncs": 2, "failedSyncs": 0}
    assert (await status(driver, second)).result == {"totalConnections": 3, "successfulSyncs": 3, "failedSyncs": 0}


async def test_a_connection_named_twice_counts_once(driver: Driver) -> None:
    """Children that ask the same are one child."""
    batch = await batch_of(driver, "a", "a", "b")
    for claim in await driver.claim():
        await driver.complete(claim)
    assert (await status(driver, batch)).result == {"totalConnections": 2, "successfulSyncs": 2, "failedSyncs": 0}


async def test_cancelling_a_batch_cancels_what_has_not_started(driver: Driver) -> None:
    """Let in or not, waiting or delayed: they end. A running child ends by itself, and then the batch, as cancelled."""
    batch = await batch_of(driver, *(f"c{number}" for number in range(6)))
    running, later = await driver.claim(2)
    await driver.fail(later, delay=3_600_000)
    await driver.queue.cancel(batch.job_id)
    assert len(await driver.events("bank.job.cancelled")) == 5
    assert (await status(driver, batch)).state is JobState.WAITING_CHILDREN
    assert await driver.claim() == []
    await driver.complete(running)
    assert (await status(driver, batch)).error_code == "cancelled"
    assert (await driver.events())[-1] == ("bank.job.cancelled", batch.job_id)
    assert await driver.leftovers() == []


async def test_a_large_batch_is_cancelled_by_slices(driver: Driver) -> None:
    """No call ends more than a slice of the children, so that nobody waits long for Redis; all of them end once."""
    batch = await batch_of(driver, *(f"c{number}" for number in range(1000)))
    answer, calls = await driver.run("cancel_job", batch.job_id, "0"), 1
    ended = await driver.queue.client.zcard(driver.queue.keys.state("failed"))
    assert 50 < ended < 250
    while answer.startswith(b"more:"):
        answer = await driver.run("cancel_job", batch.job_id, answer.removeprefix(b"more:"))
        calls += 1
    assert answer == b"cancelled"
    assert calls > 4
    assert (await status(driver, batch)).error_code == "cancelled"
    assert len(await driver.events("bank.job.cancelled")) == 1001
    assert await driver.leftovers() == []


async def test_a_cancel_that_was_cut_short_is_asked_again(driver: Driver) -> None:
    """Whoever cancelled died between two slices: the children left run, or a second cancel ends them."""
    batch = await batch_of(driver, *(f"c{number}" for number in range(600)))
    assert (await driver.run("cancel_job", batch.job_id, "0")).startswith(b"more:")
    begun = await driver.claim()
    await driver.queue.cancel(batch.job_id)
    for child in begun:
        await driver.complete(child)
    assert (await status(driver, batch)).error_code == "cancelled"
    assert await driver.leftovers() == []


async def test_a_thousand_children_are_one_call(driver: Driver) -> None:
    """A large organisation's children are made in one script, in the order of the connections."""
    connections = [f"c{number:04}" for number in range(1500)]
    await batch_of(driver, *connections, scheduled=True)
    assert (await driver.queue.stats()).waiting == 1500
    order = []
    for _ in range(3):
        for claim in await driver.claim():
            order.append(claim.data["connectionId"])
            await driver.complete(claim)
    assert order == connections[:9]
