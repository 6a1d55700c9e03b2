"""Keys removed behind our back: the sweep brings all in line, and nobody waits for what is gone."""

import pytest

from bankimport.commands import SyncConnection
from bankimport.events import TERMINAL
from bankimport.queue.adoption import Adoption
from bankimport.queue.queue import Enqueue
from bankimport.queue.run import Claim
from bankimport.queue.transitions import Ended
from bankimport.status import JobState
from bankimport.watch.repairing import Repairs, repair
from tests.queue.driver import Driver


async def sweep(driver: Driver) -> None:
    """Take the full look that one worker takes once a minute."""

    async def org_of(connection_id: str) -> str | None:
        return "stranger"

    await Adoption(driver.queue, org_of).run()
    await repair(driver.queue)


async def remove(driver: Driver, *names: str) -> None:
    """Remove keys of ours, by their names behind the prefix; each was there."""
    keys = [f"{driver.queue.keys.prefix}{name}" for name in names]
    assert await driver.queue.client.delete(*keys) == len(keys)


async def vanish(driver: Driver, *job_ids: str) -> None:
    """Remove the records of jobs."""
    for job_id in job_ids:
        await remove(driver, f"job:{job_id}")


async def drain(driver: Driver) -> list[str]:
    """Claim and complete until nothing starts; return the ids in order."""
    order = []
    while claims := await driver.claim():
        for claim in claims:
            assert await driver.complete(claim) is Ended.DONE
            order.append(claim.job_id)
    return order


@pytest.mark.parametrize("scheduled", [False, True], ids=["manual", "scheduled"])
async def test_a_waiting_job_is_put_back(driver: Driver, scheduled: bool) -> None:
    """A waiting job whose place in line is gone starts all the same, in its order."""
    jobs = [await driver.ask(f"c{number}", scheduled=scheduled) for number in range(3)]
    lane = "scheduled" if scheduled else "manual"
    await remove(driver, f"ring:{lane}", f"line:{lane}:acme")
    await sweep(driver)
    assert await drain(driver) == jobs
    assert await driver.leftovers() == []


async def test_an_organisation_whose_turn_is_gone_takes_its_turn(driver: Driver) -> None:
    """An organisation's line without a turn is given one."""
    job_id = await driver.ask("c", scheduled=True)
    await remove(driver, "ring:scheduled")
    assert await driver.claim() == []
    await sweep(driver)
    assert await drain(driver) == [job_id]


async def test_a_job_behind_a_vanished_run_is_offered(driver: Driver) -> None:
    """The record of a connection's running job is gone: what waits for that run doesn't wait for ever."""
    running = await driver.ask("c")
    await driver.claim()
    waiting = await driver.ask("c", force_full_sync=True)
    assert await driver.claim() == []
    await vanish(driver, running)
    await sweep(driver)
    assert await drain(driver) == [waiting]


async def test_a_new_job_passes_a_vanished_run(driver: Driver) -> None:
    """The next question about the same connection starts at once, though the lock still names the vanished run."""
    running = await driver.ask("c")
    await driver.claim()
    await vanish(driver, running)
    asked = await driver.ask("c")
    assert asked != running
    assert await drain(driver) == [asked]
    assert await driver.claim(0) == []


async def test_vanished_runs_take_none_of_their_organisations_places(driver: Driver) -> None:
    """Three records of running scheduled jobs are gone: the organisation has its three places again."""
    for number in range(5):
        await driver.ask(f"c{number}", scheduled=True)
    lost = await driver.claim()
    assert len(lost) == 3
    await vanish(driver, *(claim.job_id for claim in lost))
    await sweep(driver)
    assert len(await drain(driver)) == 2


async def children_of(driver: Driver, *connections: str) -> tuple[Claim, list[str]]:
    """Return a batch that waits for its children, and these."""
    await driver.ask_all(*connections)
    [batch] = await driver.claim()
    await driver.fan_out(batch, *connections)
    waiting = await driver.queue.client.zrange(driver.queue.keys.state("waiting"), 0, -1)
    return batch, sorted(job_id.decode() for job_id in waiting)


async def test_a_batch_does_not_wait_for_a_vanished_child(driver: Driver) -> None:
    """A child whose record is gone counts as failed, and the batch ends with the last of the others."""
    batch, [first, _] = await children_of(driver, "a", "b")
    await vanish(driver, first)
    await sweep(driver)
    await drain(driver)
    status = await driver.queue.get(batch.job_id)
    assert status is not None
    assert (status.state, status.result) == (
        JobState.COMPLETED,
        {"totalConnections": 2, "successfulSyncs": 1, "failedSyncs": 1, "deferredSyncs": 0},
    )


async def test_a_batch_whose_children_all_vanished_ends(driver: Driver) -> None:
    """Nothing is left to wait for: the batch ends, once."""
    batch, children = await children_of(driver, "a", "b")
    await vanish(driver, *children)
    await sweep(driver)
    await sweep(driver)
    assert await driver.state(batch.job_id) is JobState.COMPLETED
    assert await driver.events(*TERMINAL) == [("bank.job.completed", batch.job_id)]


async def test_a_failed_job_can_be_retried_though_its_question_names_a_vanished_one(driver: Driver) -> None:
    """Nobody answers the question any more, so trying again is no duplicate."""
    failed = await driver.ask("c")
    [claim] = await driver.claim()
    await driver.fail(claim)
    await vanish(driver, await driver.ask("c"))
    await driver.queue.retry(failed)
    assert await driver.state(failed) is JobState.WAITING


async def test_a_record_without_an_index_answers_for_nobody(driver: Driver) -> None:
    """The set of the waiting jobs is gone, or a script broke off before it: the same question makes a new job."""
    lost = await driver.ask("c")
    await remove(driver, "state:waiting", "line:manual:acme")
    asked = await driver.ask("c")
    assert asked != lost
    assert [claim.job_id for claim in await driver.claim()] == [asked]


async def test_a_script_that_breaks_off_is_whole_the_next_time(driver: Driver) -> None:
    """A script that fails in the middle leaves records alone; asked again by the same ids, each job is there, once."""
    wanted = [Enqueue(SyncConnection(org_id="acme", connection_id=f"c{n}"), id=f"job-{n}") for n in range(3)]
    await driver.queue.client.set(driver.queue.keys.state("waiting"), "of another type")
    with pytest.raises(RuntimeError, match="refused"):
        await driver.queue.enqueue_many(wanted)
    await driver.queue.client.delete(driver.queue.keys.state("waiting"))
    answers = await driver.queue.enqueue_many(wanted)
    assert answers == [("created", f"job-{n}") for n in range(3)]
    await sweep(driver)
    assert await drain(driver) == ["job-0", "job-1", "job-2"]
    assert (await driver.watch.stats()).completed == 3


async def test_a_sound_queue_is_left_as_it_is(driver: Driver) -> None:
    """The sweep of a queue in which all is right repairs nothing and changes no key but its own counter."""
    await driver.ask("running")
    await driver.claim(1)
    await driver.ask("running", force_full_sync=True)
    await driver.ask("manual")
    for number in range(5):
        await driver.ask(f"s{number}", org="other", scheduled=True)
    await driver.claim(2)
    for state in ("waiting", "delayed", "active", "waiting-children"):
        _, repaired = await Repairs(driver.queue.scripts).sweep_queue(state, 0, 500)
        assert (state, repaired) == (state, 0)
