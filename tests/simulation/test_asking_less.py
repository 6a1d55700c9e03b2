"""When a bank is not asked at all, or not asked again: refusals are remembered, and a person's wish isn't lost."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from bankimport.errors import PeriodRejected, Permanent, RateLimited, StoreUnavailable, UnattendedRefused
from bankimport.jobs.results import AccountOutcome
from bankimport.models import Capabilities, Delta, Page, PsuContext, Scope, Window
from bankimport.status import ConnectionStatus
from bankimport.testing.fakes import FakeRun
from tests.simulation.test_access_and_consents import PERSON, reads
from tests.simulation.world import CARD, CONNECTION, GIRO, ON_ALL_STORES, TODAY, World, days_ago, pending, reported

pytestmark = ON_ALL_STORES


async def test_a_quota_on_the_list_of_accounts_is_kept(world: World) -> None:
    """A 429 of hours on the list of accounts closes it until then, though reads of it are not counted."""
    world.bank.accounts_answer = RateLimited(scope=Scope.ACCOUNTS, retry_after=timedelta(hours=20))
    first = await world.sync(scheduled=True)
    world.bank.accounts_answer = [GIRO]
    for _ in range(4):
        world.clock.advance(timedelta(hours=4))
        assert (await world.sync(scheduled=True)).deferred == first.deferred
    assert reads(world, Scope.ACCOUNTS) == 1
    world.clock.advance(timedelta(hours=4))
    assert (await world.sync(scheduled=True)).accounts_synced == 1


async def test_a_person_who_comes_to_a_planned_sync_is_heard(world: World) -> None:
    """A refresh that is given the waiting job of a tick reads, though nothing would be due to the tick."""
    await world.sync(scheduled=True)
    world.clock.advance(timedelta(hours=4))
    assert (await world.sync(FakeRun(psu=PERSON), scheduled=True)).accounts_synced == 1
    assert world.bank.calls[-1][3] == PERSON


async def test_a_read_that_could_not_be_stored_is_no_success(world: World) -> None:
    """When the database is away after the bank has answered, the retry of a planned sync reads again, and stores."""
    await world.sync(scheduled=True)
    world.clock.advance(timedelta(hours=8))
    world.shows(reported("-3.50"))
    with world.store_away(), pytest.raises(StoreUnavailable):
        await world.sync(scheduled=True)
    assert (await world.again(scheduled=True)).accounts_synced == 1
    assert len(await world.living()) == 1


async def test_a_sync_of_one_account_puts_off_no_other(world: World) -> None:
    """What was read by hand of one account says nothing about when the others are due."""
    world.bank.accounts_answer = [GIRO, CARD]
    await world.sync(scheduled=True)
    world.clock.advance(timedelta(hours=7))
    [card] = await world.stored(CARD)
    await world.sync(account_ids=(card.id,))
    world.clock.advance(timedelta(hours=1))
    outcomes = {a.account_id: a.outcome for a in (await world.sync(scheduled=True)).accounts}
    assert outcomes.pop(card.id) is AccountOutcome.NOT_DUE
    assert set(outcomes.values()) == {AccountOutcome.SYNCED}


async def test_a_sync_of_no_account_is_no_success(world: World) -> None:
    """Naming no account imports nothing, and says nothing about the connection."""
    await world.add(dataclasses.replace(CONNECTION, status=ConnectionStatus.ERROR, status_reason="sync-failed"))
    assert (await world.sync(account_ids=())).accounts_synced == 0
    assert await world.status() == (ConnectionStatus.ERROR, "sync-failed")


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"account_ids": ("nobody",)}, []),
        ({"start_date": date(2019, 1, 1), "end_date": date(2019, 1, 31)}, PeriodRejected()),
    ],
    ids=["accounts that aren't there", "days that the bank never serves"],
)
async def test_a_wrong_wish_says_nothing_about_the_connection(
    world: World, options: dict[str, Any], answer: Any
) -> None:
    """The job fails for good, but a connection that works is not called broken for what somebody asked of it."""
    world.pages(answer)
    with pytest.raises(Permanent):
        await world.sync(**options)
    assert await world.status() == (ConnectionStatus.ACTIVE, None)


async def test_a_bank_without_unattended_reads_is_asked_nothing_by_a_schedule(world: World) -> None:
    """Not even for its list of accounts; with the person there it is."""
    world.bank.offers = Capabilities(unattended_allowed=False)
    assert (await world.sync(scheduled=True)).accounts_synced == 0
    assert world.bank.calls == []
    assert (await world.sync(FakeRun(psu=PERSON))).accounts_synced == 1


async def test_a_list_of_accounts_that_only_a_person_may_read_is_asked_for_once_a_day(world: World) -> None:
    """The schedule doesn't ask six times a day to be refused six times; the person is answered at once."""
    world.bank.accounts_answer = UnattendedRefused()
    for _ in range(6):
        await world.sync(scheduled=True)
        world.clock.advance(timedelta(hours=4) - timedelta(seconds=1))
    assert reads(world, Scope.ACCOUNTS) == 1
    world.bank.accounts_answer = [GIRO]
    assert (await world.sync(FakeRun(psu=PERSON))).accounts_synced == 1


async def test_a_quota_without_end_ends_after_a_day(world: World) -> None:
    """An instant written wrongly, as one in the year 9998, closes an account for a day and not for ever."""
    world.pages(RateLimited(scope=Scope.TRANSACTIONS, retry_at=datetime(9998, 1, 1, tzinfo=UTC)))
    result = await world.sync()
    assert result.deferred[0].until == world.clock() + timedelta(days=1)
    world.shows(reported("-3.50"))
    assert (await world.tomorrow()).accounts_synced == 1


@pytest.mark.parametrize("served", [10, 30, 60])
async def test_a_bank_that_serves_few_days_is_read_within_its_quota(world: World, served: int) -> None:
    """Days that were refused are not asked for again, or the four reads of each day would all be used up by them."""
    world.bank.offers = Capabilities(max_history=timedelta(days=730))

    def answers(window: Window, cursor: str | None) -> Sequence[Any]:
        if window.since < world.today - timedelta(days=served):
            raise PeriodRejected(suggested_from=world.today - timedelta(days=served) if served == 10 else None)
        return [Page((reported("-3.50", ref="a", day=world.today),))]

    world.bank.pages[GIRO.provider_id] = answers  # type: ignore[assignment]  # scripted by window
    for _ in range(6):
        await world.sync(scheduled=True)
        world.clock.advance(timedelta(hours=8))
    assert await world.living()


async def test_a_provider_without_a_page_has_read_everything(world: World) -> None:
    """An iteration that ends without an exception is complete, though it never yielded a page."""
    world.bank.pages[GIRO.provider_id] = []
    result = await world.sync()
    assert (result.success, result.accounts[0].complete) == (True, True)


async def test_a_delta_without_a_change_removes_nothing(world: World) -> None:
    """A bank that tells changes and has none to tell proves no absence, and its cursor stays."""
    world.bank.offers = Capabilities(delta=True)
    world.bank.pages[GIRO.provider_id] = [Delta(added=(pending("-3.50", ref="a"),), cursor="c1")]
    await world.sync()
    world.bank.pages[GIRO.provider_id] = []
    for _ in range(3):
        await world.tomorrow()
    assert len(await world.living()) == 1
    [account] = await world.stored()
    assert (await world.store.account_state(account)).cursor == "c1"


@pytest.mark.parametrize("ip", ["224.0.0.1", "ff0e::1", "fec0::1", "::ffff:10.0.0.1", "2606:4700::1%eth0", "0.0.0.0"])
async def test_an_address_that_no_person_has_is_passed_to_no_bank(world: World, ip: str) -> None:
    """Groups, sites, links and private addresses in another spelling are not where a person sits."""
    await world.sync(FakeRun(psu=PsuContext(ip)))
    assert {call[3] for call in world.bank.calls} == {None}


FAR: list[dict[str, Any]] = [
    {"start_date": date.min},
    {"start_date": date.min, "end_date": date.max},
    {"start_date": date.max},
    {"end_date": date.max},
    {"end_date": date.min},
    {"start_date": TODAY, "end_date": days_ago(5)},
    {"start_date": days_ago(3), "force_full_sync": True},
]


@pytest.mark.parametrize("options", FAR, ids=str)
async def test_far_dates_are_only_dates(world: World, options: dict[str, Any]) -> None:
    """The first and the last day of the calendar, and an end before its start, are read as they are; no row doubles."""
    world.shows(reported("-3.50", ref="a"))
    await world.sync()
    assert (await world.sync(**options)).success
    assert len(await world.living()) == 1
