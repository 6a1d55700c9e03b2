"""What a person sees of the budget is what the budget is decided by."""

from datetime import UTC, datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from bankimport.access.budget import ROLLING
from bankimport.models import BankConnection, Capabilities, ReadsToday, Scope
from bankimport.service.overview import Overview
from tests.simulation.world import CONNECTION, World

BERLIN = ZoneInfo("Europe/Berlin")


class OneConnection:
    """The connections of an organisation that has one."""

    async def get(self, connection_id: str, org_id: str | None) -> BankConnection:
        """Return it."""
        return CONNECTION


async def shown(world: World) -> ReadsToday:
    """Return what is shown of the account's reads."""
    overview = Overview(cast(Any, OneConnection()), world.store, world.ledger, world.clock, BERLIN)
    return (await overview.details(CONNECTION.id, CONNECTION.org_id, world.bank)).accounts[0].reads_today


async def test_a_read_frees_at_the_end_of_the_banks_day(world: World) -> None:
    """At a bank that counts calendar days a read at half past midnight of the day of 25 hours counts until that ends."""
    world.bank.offers = Capabilities(quota_zone=BERLIN)
    world.clock.now = datetime(2026, 10, 25, 0, 30, tzinfo=BERLIN).astimezone(UTC)
    await world.sync()
    [frees_at] = (await shown(world)).frees_at
    assert frees_at == datetime(2026, 10, 26, 0, 5, tzinfo=BERLIN) > world.clock() + ROLLING


@pytest.mark.parametrize(
    ("offers", "allowed"),
    [
        (Capabilities(), 4),
        (Capabilities(unattended_limit=2), 2),
        (Capabilities(unattended_limit=None), None),
        (Capabilities(quota_scopes=frozenset({Scope.ACCOUNTS})), None),
    ],
)
async def test_how_many_reads_are_allowed(world: World, offers: Capabilities, allowed: int | None) -> None:
    """As many as the bank allows; any number where it doesn't count transactions."""
    world.bank.offers = offers
    await world.sync()
    assert ((await shown(world)).used, (await shown(world)).allowed) == (1, allowed)
