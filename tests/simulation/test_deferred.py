"""A deferred read comes back, by itself, until it was made."""

from datetime import timedelta
from typing import Any, cast

from bankimport.commands import SyncConnection
from bankimport.errors import RateLimited
from bankimport.jobs import DEFERRED
from bankimport.models import JobType, Scope
from bankimport.queue.queue import Enqueue
from bankimport.testing.fakes import FakeRun
from bankimport.worker.handlers import JobHandlers, Ports
from tests.simulation.world import CARD, CONNECTION, GIRO, World, days_ago, reported


async def follow_ups(world: World, command: SyncConnection) -> list[Enqueue]:
    """Run the job as a worker does; return what it asks the queue for."""
    world.runs += 1
    ports = Ports({"bank": world.bank}, world.store, world.ledger, world.notes, world.clock)
    handlers = JobHandlers(cast(Any, None), ports, cast(Any, None)).all()
    run = FakeRun(f"job-{world.runs}", org_id=CONNECTION.org_id, fence=world.runs)
    outcome = await handlers[JobType.SYNC_CONNECTION](command, cast(Any, run))
    return list(outcome.follow_ups)


async def test_each_deferred_account_comes_back_in_its_time(world: World) -> None:
    """Two accounts closed for 6 and for 12 hours are read after 6 and after 12, once each, with the days asked for;
    the one that was read already is not read again."""
    world.bank.accounts_answer = [GIRO, CARD]
    for account, hours in ((GIRO, 6), (CARD, 12)):
        world.pages(RateLimited(scope=Scope.TRANSACTIONS, retry_after=timedelta(hours=hours)), account=account)
    asked = SyncConnection(connection_id=CONNECTION.id, org_id=CONNECTION.org_id, start_date=days_ago(60))
    start, commands = world.clock(), []
    job: Enqueue | None = (await follow_ups(world, asked))[0]
    for account in (GIRO, CARD):
        world.shows(reported("-3.50"), account=account)
    while job is not None:
        command = cast(SyncConnection, job.command)
        commands.append((cast(Any, job.due) - start, command.account_ids))
        assert (command.start_date, command.triggered_by) == (days_ago(60), DEFERRED)
        world.clock.now = cast(Any, job.due)
        job = next(iter(await follow_ups(world, command)), None)
    [card] = await world.stored(CARD)
    assert commands == [(timedelta(hours=6), None), (timedelta(hours=12), (card.id,))]
    read = [call[1] for call in world.bank.calls if call[0] is Scope.TRANSACTIONS]
    assert read == [GIRO.provider_id, CARD.provider_id, GIRO.provider_id, CARD.provider_id]


async def test_a_bank_that_refuses_again_is_left_to_the_schedule(world: World) -> None:
    """One wish is followed by one other try, not by one every few hours for ever."""
    world.pages(RateLimited(scope=Scope.TRANSACTIONS, retry_after=timedelta(hours=6)))
    asked = SyncConnection(connection_id=CONNECTION.id, org_id=CONNECTION.org_id)
    [job] = await follow_ups(world, asked)
    world.clock.now = cast(Any, job.due)
    assert await follow_ups(world, cast(SyncConnection, job.command)) == []


async def test_a_tick_needs_no_other_job(world: World) -> None:
    """What the schedule could not read is read by its next tick."""
    world.pages(RateLimited(scope=Scope.TRANSACTIONS, retry_after=timedelta(hours=6)))
    tick = SyncConnection(connection_id=CONNECTION.id, org_id=CONNECTION.org_id, scheduled=True)
    assert await follow_ups(world, tick) == []
