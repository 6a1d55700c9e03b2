"""What people complain about in such software (banking.md §2), as sentences: the rows."""

from datetime import timedelta
from decimal import Decimal

import pytest

from bankimport.errors import PeriodRejected, Transient
from bankimport.models import BankId, Capabilities, Interval, Page, RowStatus
from tests.simulation.world import CARD, GIRO, TODAY, World, cancelled, days_ago, pending, renewed, reported

COFFEE = Decimal("-3.50")


async def test_the_same_answer_twice(world: World) -> None:
    """The same answer twice changes nothing."""
    world.shows(reported("-3.50", ref="a"), pending("-9.99", ref="b"), reported("1200.00", ref="c", text="Gehalt"))
    await world.sync()
    before = await world.rows()
    result = await world.sync()
    assert (result.transactions_synced, result.removed_transactions) == (0, 0)
    assert await world.rows() == before


@pytest.mark.parametrize("ids", [("a", "b", "c"), (None, None, None)])
async def test_identical_coffees(world: World, ids: tuple[str | None, ...]) -> None:
    """Two identical coffees on one day are two rows, then three, and stay three."""
    world.shows(*(reported("-3.50", ref=i) for i in ids[:2]))
    await world.sync()
    assert await world.living() == [("booked", str(TODAY), COFFEE)] * 2
    world.shows(*(reported("-3.50", ref=i) for i in ids))
    await world.sync()
    await world.sync()
    assert await world.living() == [("booked", str(TODAY), COFFEE)] * 3


async def test_pending_to_booked(world: World) -> None:
    """A pending entry that is booked under a new id, another date and another text stays one row."""
    world.shows(pending("-49.90", days_ago(2), ref="p-1", text="Kartenzahlung 4711"))
    await world.sync()
    (row,) = await world.rows()
    world.shows(reported("-49.90", TODAY, ref="b-9", text="BUCHHANDLUNG AM MARKT DANKT"))
    await world.sync()
    (booked,) = await world.rows()
    assert (booked.id, booked.status) == (row.id, RowStatus.BOOKED)
    assert (booked.transaction.day, booked.transaction.remittance) == (TODAY, "BUCHHANDLUNG AM MARKT DANKT")


async def test_a_tip(world: World) -> None:
    """A bill booked with a tip under the same id is one row, with the amount that was booked."""
    world.shows(pending("-50.00", ref="t"))
    await world.sync()
    world.shows(reported("-55.00", ref="t"))
    await world.sync()
    assert await world.living() == [("booked", str(TODAY), Decimal(-55))]
    assert len(await world.rows()) == 1


async def test_a_pending_one_vanishes_and_returns(world: World) -> None:
    """A pending entry is removed after it was missing from two complete reads, and returns as the same row."""
    world.bank.offers = Capabilities(unattended_limit=None)
    world.shows(pending("-20.00", text="Hotel"))
    await world.sync()
    (row,) = await world.rows()
    world.shows()
    await world.sync()
    assert [r.status for r in await world.rows()] == [RowStatus.PENDING]
    result = await world.sync()
    assert result.removed_transactions == 1
    assert [r.status for r in await world.rows()] == [RowStatus.REMOVED]
    world.shows(pending("-20.00", text="Hotel"))
    await world.sync()
    assert [(r.id, r.status) for r in await world.rows()] == [(row.id, RowStatus.PENDING)]


async def test_cancelled(world: World) -> None:
    """A cancelled entry ends its pending row at once, and is no row itself."""
    world.shows(pending("-20.00", ref="x"))
    await world.sync()
    world.shows(cancelled("-20.00", ref="x"), cancelled("-7.00", ref="never seen"))
    await world.sync()
    assert [r.status for r in await world.rows()] == [RowStatus.REMOVED]


async def test_a_booked_row_the_bank_no_longer_shows(world: World) -> None:
    """A booked row that the bank stops showing is flagged, never deleted."""
    world.shows(reported("-20.00", ref="x"), reported("-3.50", ref="y"))
    await world.sync()
    world.shows(reported("-3.50", ref="y"))
    for _ in range(3):
        await world.sync()
    rows = await world.rows()
    assert [(r.status, r.missing_at_bank > 0) for r in rows] == [(RowStatus.BOOKED, True), (RowStatus.BOOKED, False)]


async def test_two_weeks_of_ids_re_issued(world: World) -> None:
    """A bank that gives all entries of two weeks each other's ids changes no row and adds none."""
    amounts = [f"-{10 + n % 4}.00" for n in range(14)]
    rows = [reported(amount, days_ago(n), ref=f"id-{n}", text=f"Laden {n % 4}") for n, amount in enumerate(amounts)]
    world.shows(*rows)
    await world.sync()
    before = {(r.id, r.transaction.day, r.transaction.amount) for r in await world.rows()}
    moved = [reported(a, days_ago(n), ref=f"id-{(n + 5) % 17}", text=f"Laden {n % 4}") for n, a in enumerate(amounts)]
    world.shows(*moved)
    await world.sync()
    assert {(r.id, r.transaction.day, r.transaction.amount) for r in await world.rows()} == before


async def test_renewal_with_new_account_ids(world: World) -> None:
    """A renewed consent shows the same account under a new id: the same rows, and the gap is filled."""
    world.shows(reported("-3.50", days_ago(0), ref="a"))
    first = await world.sync()
    again = renewed(GIRO)
    world.bank.accounts_answer = [again]
    world.shows(reported("-3.50", days_ago(0), ref="z-1"), reported("-8.00", days_ago(-3), ref="z-2"), account=again)
    second = await world.tomorrow(20)
    assert second.accounts[0].account_id == first.accounts[0].account_id
    assert second.new_accounts == 0
    assert [amount for _, _, amount in await world.living()] == [COFFEE, Decimal(-8)]


async def test_one_reference_on_two_accounts(world: World) -> None:
    """The same reference on two accounts of one connection is two rows."""
    world.bank.accounts_answer = [GIRO, CARD]
    world.shows(reported("-100.00", ref="transfer-1"))
    world.shows(reported("100.00", ref="transfer-1"), account=CARD)
    await world.sync()
    await world.sync()
    assert [a for _, _, a in await world.living()] == [Decimal(-100)]
    assert [a for _, _, a in await world.living(CARD)] == [Decimal(100)]


@pytest.mark.parametrize("id_", ["", "  ", "NOTPROVIDED", "NOT PROVIDED", "0", "0000", "shared", None])
async def test_references_that_are_none(world: World, id_: str | None) -> None:
    """Entries with blank, placeholder or shared references are kept apart, and none is doubled."""
    rows = [
        reported("-3.50", ref=id_, text="Kaffee"),
        reported("-4.50", ref=id_, text="Kuchen"),
        reported("-9.00", ref=id_),
    ]
    world.shows(*rows)
    await world.sync()
    world.shows(*reversed(rows))
    await world.sync()
    assert [amount for _, _, amount in await world.living()] == [Decimal("-9.00"), Decimal("-4.50"), COFFEE]


async def test_page_two_of_three_times_out(world: World) -> None:
    """When page 2 of 3 times out, nothing is removed, nothing is doubled, and the next read gets it all."""
    rows = [[reported(f"-{10 * p + n}.00", days_ago(p), ref=f"{p}{n}") for n in range(1, 4)] for p in range(3)]
    world.pages(*rows)
    await world.sync()
    before = await world.rows()
    new = reported("-77.00", ref="new")
    world.pages([new, *rows[0]], Transient("a time-out"), rows[2])
    with pytest.raises(Transient):
        await world.sync()
    assert len(await world.rows()) == len(before) + 1
    assert all(row.missing_at_bank == 0 for row in await world.rows())
    world.pages([new, *rows[0]], rows[1], rows[2])
    await world.sync()
    assert len(await world.rows()) == len(before) + 1


async def test_a_continuation_that_repeats(world: World) -> None:
    """A continuation that comes back for ever ends the read as incomplete: no endless loop, nothing removed."""
    world.shows(reported("-3.50", ref="a"), reported("-4.50", ref="b"))
    await world.sync()
    world.bank.pages[GIRO.provider_id] = [Page((reported("-3.50", ref="a"),), "again")] * 5
    with pytest.raises(Exception, match="continuation never ends"):
        await world.sync()
    assert all(row.missing_at_bank == 0 for row in await world.rows())
    assert len(await world.rows()) == 2


async def test_an_empty_page_in_the_middle(world: World) -> None:
    """An empty page that has a continuation is not the end."""
    world.pages([reported("-3.50", ref="a")], [], [reported("-4.50", ref="b")])
    result = await world.sync()
    assert result.new_transactions == 2
    assert result.accounts[0].complete


async def test_pages_that_shift_while_they_are_read(world: World) -> None:
    """An entry that slides onto the next page while pages are read is one row."""
    a, b, c = (reported(f"-{n}.00", ref=str(n), text="Markt") for n in (1, 2, 3))
    world.pages([a, b], [b, c])
    await world.sync()
    assert len(await world.living()) == 3


async def test_three_weeks_of_outage(world: World) -> None:
    """After three weeks without a sync nothing of them is missing."""
    rows = [reported("-1.00", days_ago(40), ref="old")]
    world.shows(*rows)
    await world.sync()
    rows += [reported(f"-{n}.10", days_ago(-n), ref=f"n{n}") for n in range(1, 22)]
    world.bank.pages[GIRO.provider_id] = lambda window, cursor: [
        Page(tuple(row for row in rows if str(row.booking_date) >= str(window.since)))
    ]
    await world.tomorrow(21)
    assert len(await world.living()) == 22


async def test_back_dated_and_tomorrow(world: World) -> None:
    """An entry back-dated by ten days and one dated tomorrow both arrive."""
    world.shows()
    await world.sync()
    asked = []
    rows = [reported("-1.00", days_ago(9), ref="back"), reported("-2.00", days_ago(-2), ref="tomorrow")]
    world.bank.pages[GIRO.provider_id] = lambda window, cursor: (
        asked.append(window) or [Page(tuple(r for r in rows if str(r.booking_date) >= str(window.since)))]
    )
    await world.tomorrow()
    assert len(await world.living()) == 2
    await world.tomorrow()
    assert (asked[1].since, asked[1].until) == (days_ago(14), None)


async def test_period_rejected(world: World) -> None:
    """A bank that serves 60 days only is asked for less until it answers, and the result says so."""
    world.bank.offers = Capabilities(unattended_limit=None)
    asked = []

    def answers(window: object, cursor: object) -> list[object]:
        asked.append((TODAY - window.since).days)
        return [PeriodRejected()] if asked[-1] > 60 else [Page((reported("-1.00", ref="a"),))]

    world.bank.pages[GIRO.provider_id] = answers
    result = await world.sync()
    assert asked == [90, 89, 60]
    assert result.window is not None
    assert result.window.refused_before == days_ago(60)
    await world.tomorrow()
    await world.tomorrow()
    assert asked[3:] == [59, 14]


async def test_january_by_hand(world: World) -> None:
    """An import of one January by hand moves no automatic window."""
    january = {"start_date": days_ago(68), "end_date": days_ago(38)}
    windows = []
    world.bank.pages[GIRO.provider_id] = lambda window, cursor: windows.append(window) or [Page(())]
    await world.sync(**january)
    await world.sync()
    await world.tomorrow()
    await world.tomorrow()
    assert [(w.since, w.until) for w in windows] == [
        (days_ago(68), days_ago(38)),
        (days_ago(90), None),
        (days_ago(89), None),
        (days_ago(14), None),
    ]
    (account,) = await world.stored()
    assert (await world.store.account_state(account)).coverage == (Interval(days_ago(89), days_ago(-1)),)


async def test_what_a_user_deleted_stays_deleted(world: World) -> None:
    """A row that its user deleted is not inserted again."""
    world.shows(reported("-3.50"), reported("-3.50"))
    result = await world.sync()
    (deleted, _) = await world.rows()
    await world.delete_by_user(result.accounts[0].account_id, deleted.id)
    await world.sync()
    rows = await world.rows()
    assert sorted(row.deleted_by_user for row in rows) == [False, True]


async def test_a_row_that_cannot_be_read(world: World) -> None:
    """Entries that can't be read are quarantined and counted; the others go on."""
    world.shows(
        reported("-1.234,56", ref="a", text="deutsch"),
        reported("1 234.56-", "10.03.2026", ref="b"),
        reported("NaN", ref="c"),
        reported("1,234", ref="d"),
        reported("5.00", "03/10/2026", ref="e"),
        reported(1e400, ref="f"),
    )
    result = await world.sync()
    assert result.quarantined == 4
    assert result.accounts[0].quarantine_reasons == {
        "amount-format": 2,
        "date-format": 1,
        "amount-not-finite": 1,
    }
    assert [a for _, _, a in await world.living()] == [Decimal("-1234.56")] * 2


async def test_force_full_sync_reads_all_history(world: World) -> None:
    """A full sync reads the whole history again, and changes nothing that is right."""
    windows = []
    rows = (reported("-3.50", days_ago(80), ref="a"), reported("-3.50", ref="b"))
    world.bank.pages[GIRO.provider_id] = lambda window, cursor: windows.append(window) or [Page(rows)]
    await world.sync()
    await world.tomorrow()
    await world.tomorrow()
    result = await world.sync(force_full_sync=True)
    assert [w.since for w in windows] == [days_ago(90), days_ago(89), days_ago(14), days_ago(88)]
    assert result.transactions_synced == 0


async def test_a_link_names_the_pending_entry(world: World) -> None:
    """A booked entry that links to its pending form replaces it, whatever else changed."""
    world.shows(pending("-20.00", ref="p", text="Vormerkung"))
    await world.sync()
    (row,) = await world.rows()
    world.shows(reported("-23.00", days_ago(-2), ref="b", text="Anders", link=BankId("transactionId", "p")))
    await world.sync()
    assert [(r.id, r.status, r.transaction.amount) for r in await world.rows()] == [
        (row.id, RowStatus.BOOKED, Decimal(-23))
    ]


async def test_a_pending_one_and_its_booked_form_in_one_answer(world: World) -> None:
    """A bank that shows an entry both pending and booked under one id has one entry."""
    world.shows(pending("-20.00", days_ago(1), ref="p"), reported("-20.00", ref="p"))
    await world.sync()
    await world.sync()
    assert [status for status, _, _ in await world.living()] == ["booked"]


async def test_moved_before_pending_to_booked(world: World) -> None:
    """A booked row that moves by two days does not eat a pending one of the same amount."""
    world.shows(reported("-9.99", days_ago(3), text="Abo Musik"), pending("-9.99", days_ago(2), text="Abo Musik"))
    await world.sync()
    world.shows(reported("-9.99", days_ago(1), text="Abo Musik"), pending("-9.99", days_ago(2), text="Abo Musik"))
    result = await world.sync()
    assert (result.new_transactions, result.removed_transactions) == (0, 0)
    assert await world.living() == [
        ("pending", str(days_ago(2)), Decimal("-9.99")),
        ("booked", str(days_ago(1)), Decimal("-9.99")),
    ]


async def test_a_read_gets_no_older_than_the_margin(world: World) -> None:
    """A pending row that was booked days before the window is found again."""
    world.shows(pending("-20.00", days_ago(8), text="Hotel Post"))
    await world.sync()
    world.shows(reported("-20.00", days_ago(-5), text="Hotel Post"))
    await world.tomorrow(10)
    assert [status for status, _, _ in await world.living()] == ["booked"]
    assert timedelta(days=13) == days_ago(-5) - days_ago(8)


async def test_a_row_whose_report_cannot_be_read_is_not_gone(world: World) -> None:
    """A pending entry that the bank goes on reporting, in a form that can't be read, is not taken for one that never
    came; one that it really stops reporting is."""
    world.shows(pending("-5.00", ref="a"), pending("-6.00", ref="b"))
    await world.sync()
    world.shows(pending("-5,000", ref="a"))
    for _ in range(3):
        assert (await world.tomorrow()).quarantined == 1
    assert [amount for _, _, amount in await world.living()] == [Decimal("-5.00")]
