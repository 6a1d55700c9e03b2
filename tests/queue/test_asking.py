"""Asking: the same question is one job, a person goes before a schedule, and a connection is synced once at a time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bankimport.commands import SyncConnection
from bankimport.errors import TooManyPending
from bankimport.models import PsuContext
from bankimport.queue.queue import Enqueue
from bankimport.status import JobState
from tests.queue.driver import Driver

SOON = datetime.now(UTC) + timedelta(hours=1)


def sync(connection: str, *, scheduled: bool = False, limit: int = 0, psu: PsuContext | None = None) -> Enqueue:
    """Return a wish for a sync."""
    return Enqueue(SyncConnection(org_id="acme", connection_id=connection, scheduled=scheduled), limit=limit, psu=psu)


async def started(driver: Driver, slots: int = 10) -> list[str]:
    """Claim, and return the ids in order."""
    return [claim.job_id for claim in await driver.claim(slots)]


async def test_the_same_question_is_one_job_until_it_is_answered(driver: Driver) -> None:
    """Waiting, delayed or running: the same id. Once it has ended, well or badly, it is asked anew."""
    job_id = await driver.ask("c")
    assert await driver.ask("c") == job_id
    [claim] = await driver.claim()
    assert await driver.ask("c") == job_id
    await driver.fail(claim, delay=3_600_000)
    assert await driver.ask("c", scheduled=True) == job_id
    await driver.make_due()
    [claim] = await driver.claim()
    await driver.complete(claim)
    second = await driver.ask("c")
    assert second != job_id
    [claim] = await driver.claim()
    await driver.fail(claim)
    assert await driver.ask("c") not in (job_id, second)
    assert len(await driver.events("bank.job.queued")) == 3


async def test_who_asks_is_no_part_of_the_question(driver: Driver) -> None:
    """Another person with the same wish is given the same job."""
    assert await driver.ask("c", triggered_by="anna") == await driver.ask("c", triggered_by="bert")


async def test_the_same_question_twice_in_one_call(driver: Driver) -> None:
    """Twins in one round trip are one job, and the second is told so."""
    answers = await driver.queue.enqueue_many([sync("c"), sync("d"), sync("c")])
    assert [how for how, _ in answers] == ["created", "created", "existing"]
    assert answers[0][1] == answers[2][1]
    assert (await driver.watch.stats()).waiting == 2


async def test_a_person_behind_a_schedule_in_one_call(driver: Driver) -> None:
    """A schedule's wish and a person's in one round trip: one job, brought to the front, counted once everywhere."""
    wanted = [*(sync(f"c{number}", scheduled=True) for number in range(250)), sync("c249")]
    answers = await driver.queue.enqueue_many(wanted)
    assert answers[250] == ("existing", answers[249][1])
    assert await started(driver, 1) == [answers[249][1]]
    assert (await driver.watch.stats()).waiting == 249
    assert await driver.queue.client.scard(driver.queue.keys.of("pending", "acme")) == 250


async def test_a_call_whose_answer_was_lost_is_asked_again(driver: Driver) -> None:
    """The same jobs by the same ids again: the same answers, nothing doubled, even when some have ended."""
    wanted = [Enqueue(SyncConnection(org_id="acme", connection_id=f"c{n}"), id=f"job-{n}") for n in range(3)]
    first = await driver.queue.enqueue_many(wanted)
    [claim] = await driver.claim(1)
    await driver.complete(claim)
    assert await driver.queue.enqueue_many(wanted) == first
    assert len(await driver.events("bank.job.queued")) == 3
    assert (await driver.watch.stats()).waiting == 2


@pytest.mark.parametrize("state", [JobState.WAITING, JobState.DELAYED])
async def test_a_person_brings_the_schedules_job_to_the_front(driver: Driver, state: JobState) -> None:
    """A manual wish for what a schedule has asked makes it manual, due now, and the first of all; with their address."""
    earlier = await driver.ask("other")
    job_id = await driver.ask("c", scheduled=True, due=SOON if state is JobState.DELAYED else None)
    assert await driver.state(job_id) is state
    person = PsuContext("203.0.113.7", "a browser")
    assert await driver.queue.enqueue(sync("c", psu=person)) == job_id
    assert await driver.state(job_id) is JobState.WAITING
    first, second = await driver.claim()
    assert (first.job_id, second.job_id) == (job_id, earlier)
    assert first.psu is not None
    assert first.psu.ip == "203.0.113.7"
    assert "scheduled" not in first.data  # else the job would say that nothing is due to the schedule yet


async def test_a_person_who_comes_later_is_there_too(driver: Driver) -> None:
    """A host has asked, and before the job starts a person asks the same: it is read with them present."""
    job_id = await driver.ask("c")
    assert await driver.queue.enqueue(sync("c", psu=PsuContext("203.0.113.7"))) == job_id
    [claim] = await driver.claim()
    assert claim.psu is not None


async def test_an_organisation_without_a_scheduled_job_has_no_turn(driver: Driver) -> None:
    """Its only scheduled job was brought to the front, or cancelled: no turn is left behind for nothing."""
    await driver.ask("c", scheduled=True)
    await driver.ask("c")
    await driver.queue.cancel(await driver.ask("d", scheduled=True))
    assert len(await driver.claim(1)) == 1
    assert await driver.queue.client.exists(driver.queue.keys.of("ring", "scheduled")) == 0


async def test_a_schedule_moves_no_persons_job(driver: Driver) -> None:
    """A schedule that asks what a person has asked changes nothing: a person's retry keeps its wait."""
    job_id = await driver.ask("c")
    [claim] = await driver.claim()
    await driver.fail(claim, delay=3_600_000)
    assert await driver.ask("c", scheduled=True) == job_id
    assert await driver.state(job_id) is JobState.DELAYED
    assert await driver.ask("c") == job_id
    assert await driver.state(job_id) is JobState.DELAYED, "nor does the person's second wish cut a retry's wait"


async def test_other_options_run_once_after_the_running_sync(driver: Driver) -> None:
    """A full sync asked for twice while a plain one runs: one job, which starts as that one ends, however it ends."""
    await driver.ask("c")
    [running] = await driver.claim()
    full = await driver.ask("c", force_full_sync=True)
    assert await driver.ask("c", force_full_sync=True) == full
    assert await started(driver) == []
    await driver.fail(running, delay=3_600_000)
    assert await started(driver) == [full]
    await driver.make_due()
    assert await started(driver) == [], "and now the first one's retry waits for it"


async def test_one_sync_of_a_connection_at_a_time(driver: Driver) -> None:
    """Of four questions about one connection one runs at a time, in the order in which they were asked."""
    jobs = [await driver.ask("c", start_date=f"2025-01-0{day}") for day in range(1, 5)]
    order = []
    while claims := await driver.claim():
        assert len(claims) == 1
        order.append(claims[0].job_id)
        await driver.complete(claims[0])
    assert order == jobs


async def test_an_organisations_limit_of_unfinished_jobs(driver: Driver) -> None:
    """Waiting, delayed and running jobs count; what ends makes room; another organisation and an old question don't
    care; within one call too."""
    first = await driver.queue.enqueue(sync("a", limit=2))
    await driver.queue.enqueue(sync("b", limit=2))
    with pytest.raises(TooManyPending):
        await driver.queue.enqueue(sync("c", limit=2))
    assert await driver.queue.enqueue(sync("a", limit=2)) == first
    await driver.ask("x", org="other")
    claims = await driver.claim()
    with pytest.raises(TooManyPending):
        await driver.queue.enqueue(sync("c", limit=2))
    await driver.complete(claims[0])
    answers = await driver.queue.enqueue_many([sync("d", limit=2), sync("e", limit=2)])
    assert [how for how, _ in answers] == ["created", "limited"]


async def test_manual_before_scheduled_and_organisations_in_turn(driver: Driver) -> None:
    """Manual jobs first, then one of each organisation after the other, three of one at most."""
    lines: dict[str, list[str]] = {
        org: [await driver.ask(f"{org}-{n}", org=org, scheduled=True) for n in range(5)] for org in ("a", "b")
    }
    manual = [await driver.ask(f"m{n}", org="a") for n in range(2)]
    turns = [job_id for pair in zip(lines["a"][:3], lines["b"][:3], strict=True) for job_id in pair]
    assert await started(driver) == [*manual, *turns]


async def test_one_start_in_ten_is_the_schedules(driver: Driver) -> None:
    """However many persons ask: while a schedule's jobs wait, each ten starts have one of them."""
    scheduled = {await driver.ask(f"s{n}", org="plain", scheduled=True) for n in range(5)}
    await driver.queue.enqueue_many([sync(f"m{number}") for number in range(100)])
    order = []
    for _ in range(10):
        for claim in await driver.claim(5):
            order.append(claim.job_id in scheduled)
            await driver.complete(claim)
    assert [any(order[start : start + 10]) for start in range(0, 50, 10)] == [True] * 5
    assert sum(order) == 5


async def test_organisations_take_turns_with_their_wishes(driver: Driver) -> None:
    """One tenant presses 400 buttons, then another presses one: it is among the next to start."""
    await driver.queue.enqueue_many([sync(f"c{number}") for number in range(400)])
    await driver.claim(10)
    other = await driver.ask("mine", org="other")
    assert other in [claim.job_id for claim in await driver.claim(2)]


async def test_half_a_character_harms_nobody(driver: Driver) -> None:
    """A text with a lone surrogate has no UTF-8: it is told as a question mark, and the calls beside it are answered."""
    told = driver.do.emit_event("bank.test", "acme", "", '"message":"\ud800"')
    job_id, word = await asyncio.gather(driver.ask("c"), told)
    assert job_id
    assert word == "ok"


async def test_the_order_of_accounts_is_no_other_question(driver: Driver) -> None:
    """The same accounts in another order, or one twice, are the same wish."""
    first = await driver.ask("c", account_ids=("a", "b"))
    assert await driver.ask("c", account_ids=("b", "a", "b")) == first


@pytest.mark.parametrize("due", [None, SOON])
async def test_in_one_call_a_person_goes_to_the_front_too(driver: Driver, due: datetime | None) -> None:
    """As in two calls: the schedule's job is due now, and before what others have asked; it is the first person's."""
    await driver.ask("other")
    mine = SyncConnection(org_id="acme", connection_id="c", scheduled=True)
    anna, bert = (SyncConnection(org_id="acme", connection_id="c", triggered_by=who) for who in ("anna", "bert"))
    wanted = [sync("x"), Enqueue(mine, due=due), Enqueue(anna), Enqueue(bert)]
    (_, job_id) = (await driver.queue.enqueue_many(wanted))[1]
    [claim] = await driver.claim(1)
    assert claim.job_id == job_id
    assert claim.data["triggeredBy"] == "anna"
