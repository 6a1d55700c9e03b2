"""Balances cost no transaction, whatever becomes of them, and their check believes no repeated page."""

from datetime import timedelta
from decimal import Decimal

import pytest

from bankimport.errors import MalformedData, RateLimited, ReauthRequired
from bankimport.jobs.results import AccountOutcome
from bankimport.models import Balance, Capabilities, Delta, Scope, UnreadableBalance
from bankimport.reading import BalanceVerdict
from tests.simulation.test_access_and_consents import reads
from tests.simulation.world import GIRO, TODAY, World, reported

DAY = [
    Balance("openingBooked", Decimal("10.00"), "EUR", TODAY),
    Balance("closingBooked", Decimal("6.50"), "EUR", TODAY),
]


@pytest.mark.parametrize("error", [KeyError("a fault of the provider's"), ReauthRequired("expired")])
async def test_balances_that_fail_unexpectedly(world: World, error: Exception) -> None:
    """Not even an error that nobody classified fails the import of what was read already."""
    world.shows(reported("-3.50"))
    world.bank.balances_answer = error
    result = await world.sync()
    assert (result.success, result.accounts_synced, result.accounts[0].balances) == (True, 1, AccountOutcome.FAILED)
    assert len(await world.living()) == 1


async def test_a_quota_on_balances_defers_them(world: World) -> None:
    """A 429 of hours defers the balances, as a used-up budget does, and they are not asked for before."""
    world.shows(reported("-3.50"))
    world.bank.balances_answer = RateLimited(scope=Scope.BALANCES, retry_after=timedelta(hours=6))
    for _ in range(2):
        result = await world.sync()
        assert [(d.scope, d.until) for d in result.deferred] == [(Scope.BALANCES, world.clock() + timedelta(hours=6))]
        assert (result.accounts_synced, result.accounts[0].balances) == (1, AccountOutcome.DEFERRED)
    assert reads(world, Scope.BALANCES) == 1


async def test_pages_that_overlap_are_no_difference(world: World) -> None:
    """An entry on two pages is added up once; one that is missing is still a difference."""
    entry = reported("-3.50", ref="a")
    world.bank.balances_answer = DAY
    world.pages([entry], [entry])
    assert (await world.sync()).balance_check is BalanceVerdict.OK
    world.pages([entry], [entry, reported("-1.00", ref="b")])
    assert (await world.sync()).balance_check is BalanceVerdict.DIFFERS


async def test_an_unreadable_balance_costs_only_itself(world: World) -> None:
    """The others are stored and checked; it is counted in the result, with its reason, and no transaction is lost."""
    world.shows(reported("-3.50"))
    world.bank.balances_answer = [*DAY, UnreadableBalance("amount-missing")]
    result = await world.sync()
    [account] = result.accounts
    assert (account.balances, account.balance_check) == (AccountOutcome.SYNCED, BalanceVerdict.OK)
    assert (result.quarantined, account.quarantine_reasons) == (1, {"balance-amount-missing": 1})
    assert len(await world.living()) == 1


async def test_a_delta_is_not_checked(world: World) -> None:
    """What has changed doesn't add up to a balance."""
    world.bank.offers = Capabilities(delta=True)
    world.bank.pages[GIRO.provider_id] = [Delta(cursor="c1")]
    world.bank.balances_answer = DAY
    assert (await world.sync()).balance_check is BalanceVerdict.UNKNOWN


async def test_balances_without_end_are_not_believed(world: World) -> None:
    """Each is compared with each, so a hostile bank could hold up the worker for hours."""
    world.bank.balances_answer = DAY * 10_000
    assert (await world.sync()).accounts[0].error_code == "malformed-data"


async def test_accounts_without_end_are_not_believed(world: World) -> None:
    """A list of more accounts than anybody has is refused before anything is stored or read of them."""
    world.bank.accounts_answer = [GIRO] * 1001
    with pytest.raises(MalformedData):
        await world.sync()
    assert reads(world) == 0
