"""The table of transitions, held against the real scripts: every state × every operation."""

from datetime import timedelta

import pytest

from bankimport.errors import IllegalTransition
from bankimport.events import Event, JobCompleted, full_name
from bankimport.queue.run import Claim
from bankimport.queue.transitions import Ended
from bankimport.status import TRANSITIONS, JobState, Operation, after
from tests.queue.driver import Driver

S, Op = JobState, Operation


async def job_in(driver: Driver, state: JobState) -> Claim:
    """Return a job that has been brought into a state, with the claim of its last run (a made-up one if it had none)."""
    if state is S.WAITING:
        return Claim(await driver.ask("c"), "sync-connection", "acme", {}, b"", 0, 1, 0, None)
    if state is S.WAITING_CHILDREN:
        await driver.ask_all("a", "b")
        [claim] = await driver.claim()
        await driver.fan_out(claim, "a", "b")
        return claim
    await driver.ask("c")
    [claim] = await driver.claim()
    if state is S.DELAYED:
        await driver.fail(claim, delay=3_600_000)
    elif state is S.COMPLETED:
        await driver.complete(claim)
    elif state is S.FAILED:
        await driver.fail(claim)
    elif state is S.CANCELLED:
        await driver.queue.cancel(claim.job_id)
        await driver.fail(claim, was_cancelled=True)
    return claim


async def operate(driver: Driver, operation: Operation, job: Claim) -> None:
    """Do to a job what the operation's own script does, refused or not."""
    await {
        Op.START: lambda: driver.claim(),
        Op.COMPLETE: lambda: driver.complete(job),
        Op.FAIL: lambda: driver.fail(job),
        Op.DELAY: lambda: driver.fail(job, delay=3_600_000),
        Op.GIVE_BACK: lambda: driver.give_back(job),
        Op.STALL: lambda: stall(driver, job),
        Op.FAN_OUT: lambda: driver.fan_out(job, "x", "y"),
        Op.PROMOTE: lambda: promote(driver),
        Op.CANCEL: lambda: driver.queue.cancel(job.job_id),
        Op.RETRY: lambda: driver.queue.retry(job.job_id),
    }[operation]()


async def stall(driver: Driver, job: Claim) -> None:
    """Let the job have a lease that is over, and the next look of a worker find it."""
    await driver.lapse(job.job_id)
    await driver.claim(0)


async def promote(driver: Driver) -> None:
    """Let the delayed job's time come, and the next look of a worker find it."""
    await driver.make_due()
    await driver.claim(0)


def expected(operation: Operation, state: JobState) -> JobState | None:
    """Return where the table leads, for a job as `job_in` makes it; None where it is refused."""
    if operation is Op.COMPLETE and state is S.WAITING_CHILDREN:
        return None  # the last child does it, not a worker
    if operation is Op.CANCEL and state is S.ACTIVE:
        return S.ACTIVE  # asking raises a flag; the run's end is the cancel
    return after(operation, state)


@pytest.mark.parametrize("state", list(JobState), ids=str)
@pytest.mark.parametrize("operation", list(Operation), ids=str)
async def test_every_operation_in_every_state(driver: Driver, operation: Operation, state: JobState) -> None:
    """What the table allows happens, with its events; what it refuses changes no state and emits nothing."""
    job = await job_in(driver, state)
    before = await driver.events()
    record = await driver.queue.client.hgetall(driver.queue.keys.job(job.job_id))
    try:
        await operate(driver, operation, job)
        refused = False
    except IllegalTransition:
        refused = True
    to = expected(operation, state)
    assert await driver.state(job.job_id) == (to or state)
    mine = [event for event in (await driver.events())[len(before) :] if event[1] == job.job_id]
    if to is None:
        assert mine == []
        assert await driver.queue.client.hgetall(driver.queue.keys.job(job.job_id)) == record
    assert refused == (to is None and operation in (Op.CANCEL, Op.RETRY))
    for each in JobState:
        assert (job.job_id in await driver.ids(each)) == (each == (to or state))


def test_the_table_has_every_operation() -> None:
    """No operation is without a row, and no state is unreachable."""
    assert set(TRANSITIONS) == set(Operation)
    reached = {to for ways in TRANSITIONS.values() for to in ways.values()}
    assert reached == set(JobState)


@pytest.mark.parametrize("operation", [Op.COMPLETE, Op.FAIL, Op.DELAY, Op.GIVE_BACK, Op.FAN_OUT], ids=str)
async def test_only_the_owner_ends_a_run(driver: Driver, operation: Operation) -> None:
    """An older fence changes nothing: the run is another worker's now."""
    await driver.ask("c")
    [lost] = await driver.claim()
    await driver.lapse(lost.job_id)
    [owner] = await driver.claim(worker="other")
    assert owner.fence > lost.fence
    before = await driver.events()
    await operate(driver, operation, lost)
    assert await driver.events() == before
    assert await driver.state(lost.job_id) is S.ACTIVE
    assert await driver.complete(owner) is Ended.DONE


async def test_the_third_stall_is_the_last(driver: Driver) -> None:
    """Twice a job waits again, before all others and at last alone; the third time it has failed, and its end is told."""
    job_id = await driver.ask("c")
    for number in range(1, 4):
        await driver.ask(f"other-{number}")
        [claim] = await driver.claim(1)
        assert claim.job_id == job_id
        await stall(driver, claim)
        assert await driver.state(job_id) is (S.WAITING if number < 3 else S.FAILED)
    job = await driver.queue.get(job_id)
    assert job is not None
    assert (job.error_code, job.attempts_made) == ("stalled", 0)
    assert await driver.events("bank.job.failed") == [("bank.job.failed", job_id)]


async def test_a_suspect_is_started_by_a_worker_that_is_free(driver: Driver) -> None:
    """A busy worker makes itself free for it and takes nothing else; another one goes on meanwhile."""
    job_id = await driver.ask("c")
    for _ in range(2):
        [claim] = await driver.claim(1)
        await stall(driver, claim)
    other = await driver.ask("other")
    assert await driver.claim(worker="busy", busy=1) == []
    assert [claim.job_id for claim in await driver.claim(worker="elsewhere", busy=1)] == [other]
    assert [claim.job_id for claim in await driver.claim(worker="busy", busy=0)] == [job_id]


@pytest.mark.parametrize("ahead", [0, 3_600_000])
async def test_the_end_of_a_job_tells_the_instants_of_its_record(driver: Driver, ahead: int) -> None:
    """Its entry has spans for instants; also where the counter of entries is ahead of the clock, which was set back."""
    client, keys = driver.queue.client, driver.queue.keys
    job_id = await driver.ask("c")
    serial = int(await client.get(keys.of("serial")) or 0)
    await client.set(keys.of("serial"), serial + 2000 * ahead)
    [run] = await driver.claim(1)
    await driver.complete(run)
    [(entry, fields)] = await client.xrevrange(keys.events, count=1)
    job = await driver.queue.get(job_id)
    ended = Event.told(entry.decode(), full_name(fields[b"name"].decode()), "acme", job_id, fields[b"data"]).typed
    assert job is not None
    assert isinstance(ended, JobCompleted)
    assert (ended.queued_at, ended.started_at, ended.completed_at) == (job.queued_at, job.processed_on, job.finished_on)
    assert timedelta(milliseconds=ended.duration) == ended.completed_at - ended.started_at
    assert b"At" not in fields[b"data"], "an instant is 40 bytes"
