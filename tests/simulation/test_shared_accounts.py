"""Two connections to one account (a married couple's, or two organisations'): they share a bank's quota."""

import dataclasses
import itertools
from datetime import UTC, date, datetime, timedelta

from bankimport.commands import SyncConnection
from bankimport.jobs import sync_connection
from bankimport.models import Scope
from bankimport.testing.fakes import FakeRun
from tests.simulation.world import CONNECTION, GIRO, World, reported

OTHER = dataclasses.replace(CONNECTION, id="connection-2", org_id="org-2")


async def test_both_are_read_and_never_more_than_four_times_a_day(world: World) -> None:
    """Neither waits for ever because the other was just read; and the bank sees at most four reads in 24 hours."""
    await world.add(OTHER)
    read: list[tuple[datetime, str]] = []
    for tick in range(10 * 6):
        for number, connection in enumerate((CONNECTION, OTHER)):
            world.clock.now = datetime(2026, 3, 10, tzinfo=UTC) + timedelta(hours=4 * tick, seconds=30 * number)
            world.shows(reported("-3.50", ref=f"r{tick}", day=world.today))
            before = len(world.bank.calls)
            await sync_connection(
                SyncConnection(connection_id=connection.id, org_id=connection.org_id, scheduled=True),
                FakeRun(org_id=connection.org_id, fence=tick + 1),
                banks={"bank": world.bank},
                store=world.store,
                ledger=world.ledger,
                clock=world.clock,
            )
            asked = sum(call[0] is Scope.TRANSACTIONS for call in world.bank.calls[before:])
            read += [(world.clock(), connection.id)] * asked
    for at, _ in read:
        assert sum(at <= other < at + timedelta(hours=24) for other, _ in read) <= 4
    for who in (CONNECTION.id, OTHER.id):
        gaps = [later - at for at, later in itertools.pairwise(at for at, reader in read if reader == who)]
        assert max(gaps) <= timedelta(hours=32)


async def test_days_imported_by_hand_put_off_no_planned_read(world: World) -> None:
    """A January read at ten by hand is no reason to leave out what has happened since, at twelve."""
    await world.sync(start_date=date(2026, 1, 1), end_date=date(2026, 1, 31))
    world.shows(reported("-3.50", ref="today"))
    world.clock.advance(timedelta(hours=2))
    assert (await world.sync(scheduled=True)).accounts_synced == 1
    world.clock.advance(timedelta(hours=4))
    assert (await world.sync(scheduled=True)).accounts_synced == 0
    assert len(await world.living(GIRO)) == 1
