"""What a bank leaves out of its answer without a word is asked for, or said."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from bankimport.models import Page, ReportedTransaction, Scope, TransactionStatus, Window
from tests.simulation.world import GIRO, World, days_ago, pending, reported

NEWEST = 25


class NewestOnly:
    """A bank that answers its newest entries of the days asked for, and all that is pending, and says nothing."""

    def __init__(self, rows: Sequence[ReportedTransaction], most: int = NEWEST) -> None:
        self.rows, self.most = list(rows), most
        self.asked: list[Window] = []

    def __call__(self, window: Window, cursor: str | None) -> list[Page]:
        self.asked.append(window)
        until = str(window.until or date.max)
        booked = [r for r in self.rows if r.status is TransactionStatus.BOOKED]
        inside = [r for r in booked if str(window.since) <= str(r.booking_date) <= until]
        newest = sorted(inside, key=lambda r: str(r.booking_date), reverse=True)[: self.most]
        return [Page((*newest, *(r for r in self.rows if r.status is TransactionStatus.PENDING)))]


def purchases(count: int, *, ids: bool) -> list[ReportedTransaction]:
    """So many purchases, three a day, two of them equal."""
    return [
        reported("-3.50" if n % 3 else f"-{n}.10", days_ago(n // 3), ref=f"t{n}" if ids else None, text="Café Sol")
        for n in range(count)
    ]


@pytest.mark.parametrize("ids", [True, False], ids=["ids", "no ids"])
async def test_the_rest_of_an_answer_is_asked_for(world: World, ids: bool) -> None:
    """The oldest rows are absent and nothing older is told: the rest is asked for by its end, until an answer is short."""
    bank = NewestOnly([*purchases(60, ids=ids), pending("-9.99", text="Hotel")], most=100)
    world.bank.offers = replace(world.bank.offers, unattended_limit=None)
    world.bank.pages[GIRO.provider_id] = bank
    await world.sync()
    bank.most = NEWEST
    before = await world.living()
    result = await world.tomorrow()
    assert await world.living() == before
    assert [row.missing_at_bank for row in await world.rows()] == [0] * 61
    assert [window.until for window in bank.asked[1:]] == [None, days_ago(8), days_ago(16)]
    assert (result.new_transactions, result.put_off) == (0, 0)
    assert result.window is not None
    assert result.window.refused_before is None


async def test_pending_ones_and_repeats_do_not_make_an_answer_long(world: World) -> None:
    """The rest is asked for until an answer has fewer booked entries: what is pending stands in the first answer alone."""
    bank = NewestOnly([*purchases(60, ids=True), *(pending(f"-{n}.99", text="Hotel") for n in range(4))], most=100)
    world.bank.offers = replace(world.bank.offers, unattended_limit=None)
    world.bank.pages[GIRO.provider_id] = lambda window, cursor: [
        Page([row for row in page.transactions if window.until is None or row.status is TransactionStatus.BOOKED])
        for page in bank(window, cursor)
    ]
    await world.sync()
    bank.most = NEWEST
    await world.tomorrow()
    assert [row.missing_at_bank for row in await world.rows()] == [0] * 64
    assert [window.until for window in bank.asked[1:]] == [None, days_ago(8), days_ago(16)]


async def test_a_history_that_is_shorter_than_was_asked_for(world: World) -> None:
    """A bank that answers ninety days of the years asked for, and no more when asked, has lost nothing of what is older;
    and it is not asked for more again."""
    world.bank.offers = replace(world.bank.offers, max_history=timedelta(days=700), unattended_limit=None)
    rows = [reported(f"-{n}.10", days_ago(n), ref=f"t{n}") for n in range(0, 400, 10)]
    bank = NewestOnly(rows, most=100)
    world.bank.pages[GIRO.provider_id] = bank
    await world.sync()
    bank.rows = [row for row in rows if str(row.booking_date) >= str(days_ago(90))]
    for _ in range(3):
        await world.tomorrow()
    assert [row.missing_at_bank for row in await world.rows()] == [0] * 40
    assert [window.since for window in bank.asked[1:]] == [days_ago(699), days_ago(699), days_ago(14), days_ago(13)]


async def test_nothing_at_all_proves_nothing(world: World) -> None:
    """An empty answer where three rows and more should be is no proof that they are gone."""
    world.shows(*purchases(9, ids=True))
    await world.sync()
    world.shows()
    result = await world.tomorrow()
    assert [row.missing_at_bank for row in await world.rows()] == [0] * 9
    assert result.window is not None
    assert result.window.refused_before is None


async def test_what_the_first_answer_left_out_arrives_with_the_next(world: World) -> None:
    """A first import that was cut off silently knows nothing of it; a later one that shows it brings the rest."""
    bank = NewestOnly(purchases(60, ids=True))
    world.bank.offers = replace(world.bank.offers, unattended_limit=None)
    world.bank.pages[GIRO.provider_id] = bank
    assert (await world.sync()).new_transactions == NEWEST
    bank.rows += [reported(f"-{n}.77", days_ago(-1), ref=f"new{n}") for n in range(10)]
    assert (await world.tomorrow()).new_transactions == 45
    assert len(await world.living()) == 70


async def test_days_that_may_not_be_asked_for_are_not_covered(world: World) -> None:
    """Without a place in the budget the rest isn't asked for: nothing is missing, and those days are not covered."""
    bank = NewestOnly(purchases(60, ids=True), most=100)
    world.bank.pages[GIRO.provider_id] = bank
    await world.sync()
    bank.most = NEWEST
    for _ in range(2):
        world.clock.advance(timedelta(hours=8))
        result = await world.sync(scheduled=True)
    assert [row.missing_at_bank for row in await world.rows()] == [0] * 60
    (account,) = await world.stored()
    assert result.accounts[0].account_id == account.id
    assert sum(call[0] is Scope.TRANSACTIONS for call in world.bank.calls) <= 4


async def test_a_twin_over_two_pages_is_put_off_and_said(world: World) -> None:
    """Without ids the first entry of a page may repeat the last one of the page before: the next read tells."""
    twins = [reported("-3.50"), reported("-3.50")]
    world.pages([reported("-1.00"), twins[0]], [twins[1], reported("-2.00")])
    result = await world.sync()
    assert (result.new_transactions, result.put_off) == (3, 1)
    world.shows(reported("-1.00"), *twins, reported("-2.00"))
    result = await world.sync()
    assert (result.new_transactions, result.put_off) == (1, 0)
    assert [amount for _, _, amount in await world.living()].count(Decimal("-3.50")) == 2


async def test_a_page_that_repeats_itself_once_adds_nothing(world: World) -> None:
    """A repeat that the next read doesn't show was one."""
    one = reported("-3.50")
    world.pages([reported("-1.00"), one], [one, reported("-2.00")])
    assert (await world.sync()).put_off == 1
    world.shows(reported("-1.00"), one, reported("-2.00"))
    result = await world.sync()
    assert (result.new_transactions, result.put_off) == (0, 0)
    assert len(await world.living()) == 3
