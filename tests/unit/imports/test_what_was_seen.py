"""What an independent bank, written from what real banks do, got wrong out of this import: each case is a sentence.

The rule is `banking.md` §4: after a complete read that the bank answers honestly the booked rows that aren't missing are
the bank's, each as often, and every row ever seen is kept.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from bankimport.models import BankId, ReportedTransaction, RowStatus, StoredTransaction, Window
from tests.simulation.lives import Life, booked_of
from tests.simulation.reports import pending, reported

TODAY = date(2026, 4, 20)


def april(day: int) -> date:
    """A day of April 2026; the 0th is the last of March."""
    return date(2026, 3, 31) + timedelta(days=day)


def life_with(*entries: ReportedTransaction, today: date = TODAY) -> Life:
    """An account that was read completely on two days, so that nothing about its days is open."""
    life = Life(today - timedelta(days=2))
    life.sync(entries)
    life.tomorrow(*entries)
    life.today = today
    return life


def row_of(life: Life, ref: str) -> StoredTransaction:
    """The one row that has this id."""
    (row,) = (row for row in life.all() if any(bank_id.value == ref for bank_id in row.transaction.ids))
    return row


def dated(entries: Sequence[ReportedTransaction], days: int) -> list[ReportedTransaction]:
    """The entries with all their dates moved."""

    def moved(day: object) -> str | None:
        return None if day is None else str(date.fromisoformat(str(day)) + timedelta(days=days))

    return [
        replace(entry, booking_date=moved(entry.booking_date), value_date=moved(entry.value_date)) for entry in entries
    ]


# Who is whom: moves


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param((8, 10, 12), (6, 8, 10)),
        pytest.param((6, 8, 10), (8, 10, 12)),
        pytest.param((8, 9, 10, 11, 12), (11, 12, 13, 14, 15)),
        ((8, 9, 10, 11, 12), (5, 6, 7, 8, 9)),
        ((8, 10), (6, 8)),
        ((8, 8, 10), (6, 8, 8)),
    ],
    ids=str,
)
def test_equal_purchases_without_ids_move_in_a_chain(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    """Equal purchases without ids that all move by two or three days are still those: none is new, none is missing."""
    life = life_with(*(reported("-19.99", april(day)) for day in before))
    where = {row.id: row.transaction.day for row in life.all()}
    life.ask([reported("-19.99", april(day)) for day in after])
    assert [row.transaction.day for row in life.all()] == [april(day) for day in after]
    assert all(abs((life.rows.by_id[n].transaction.day - day).days) <= 3 for n, day in where.items())
    assert [row.missing_at_bank for row in life.all()] == [0] * len(before)


@pytest.mark.parametrize("days", [4, 5, 9, -9])
@pytest.mark.parametrize("ids", [("old", "new"), (None, None)], ids=["new id", "no id"])
def test_a_booking_date_moves_over_the_month_end(days: int, ids: tuple[str | None, str | None]) -> None:
    """A booking date that moves by up to nine days, under a new id and with its value date unchanged, is one row."""
    salary = {"text": "Gehalt ACME GmbH", "value_date": "2026-03-31"}
    others = [reported("-3.50", april(4)), reported("-812.00", april(1), text="Miete")]
    life = life_with(reported("2450.00", april(0), ref=ids[0], **salary), *others, today=april(14))
    answer = [reported("2450.00", april(days), ref=ids[1], **salary), *others]
    life.sync(answer, window=Window(april(-25)))
    assert life.live() == booked_of(answer)
    assert len(life.all()) == 3


def test_several_rows_of_one_money_move_far() -> None:
    """Three equal transfers that all move by eight days are the same three, the nearest first."""
    older = reported("-812.00", april(-10), text="Miete")
    life = life_with(older, *(reported("-50.00", april(day), text="Dauerauftrag Sparen") for day in (1, 2, 3)))
    moved = [reported("-50.00", april(day), text="Dauerauftrag Sparen") for day in (9, 10, 11)]
    life.sync([older, *moved], window=Window(april(-20)))
    assert [(row.transaction.day, row.missing_at_bank) for row in life.all()] == [
        (april(-10), 0), (april(9), 0), (april(10), 0), (april(11), 0),
    ]  # fmt: skip


def test_a_far_move_needs_a_matching_text() -> None:
    """Another shop's purchase of the same amount a week later is a row of its own."""
    life = life_with(reported("-50.00", april(2), text="Café Sol"), reported("-9.00", april(2)))
    life.sync(
        [reported("-50.00", april(9), text="Shell Station"), reported("-9.00", april(2))], window=Window(april(-20))
    )
    assert [(str(row.transaction.amount), row.missing_at_bank) for row in life.all()] == [
        ("-50.00", 1), ("-9.00", 0), ("-50.00", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("count", "days"),
    [(2, 1), *(pytest.param(count, days) for count, days in ((3, 1), (3, -1), (7, 1), (7, -1), (7, 2)))],
)
def test_twins_under_lasting_ids_keep_their_rows_when_their_dates_shift(count: int, days: int) -> None:
    """Daily twins whose dates all shift: an id goes before the equal content of another, and each row keeps its own."""
    twins = [reported("-4.20", april(8 + n), ref=f"t{n}") for n in range(count)]
    life = life_with(*twins)
    rows = {f"t{n}": row_of(life, f"t{n}").id for n in range(count)}
    for answer in (dated(twins, days), twins, dated(twins, days)):
        life.today += timedelta(days=1)
        life.sync(answer, window=Window(april(-10)))
        assert life.live() == booked_of(answer)
        assert {ref: row_of(life, ref).id for ref in rows} == rows


def test_one_of_two_twins_shifts_onto_the_other_and_the_other_vanishes() -> None:
    """The row whose id is reported is the one that moved; the twin that the bank no longer shows is missing."""
    life = life_with(
        reported("-4.20", april(8), ref="a"), reported("-4.20", april(9), ref="b"), reported("-1.00", april(9))
    )
    life.sync([reported("-4.20", april(9), ref="a"), reported("-1.00", april(9))], window=Window(april(-10)))
    assert (row_of(life, "a").transaction.day, row_of(life, "a").missing_at_bank) == (april(9), 0)
    assert (row_of(life, "b").transaction.day, row_of(life, "b").missing_at_bank) == (april(9), 1)


# Repeats and what ids are worth


def test_an_id_shared_by_two_equal_entries_and_another_is_no_id() -> None:
    """Two coffees and the groceries under one id, on one page, are three rows, and stay three."""
    page = [
        reported("-3.50", ref="r0", text="coffee"),
        reported("-3.50", ref="r0", text="coffee"),
        reported("-41.00", ref="r0", text="groceries"),
    ]
    life = Life(TODAY)
    for _ in range(3):
        life.sync(page)
        life.today += timedelta(days=1)
    assert life.live() == booked_of(page)
    assert len(life.all()) == 3


def batch(day: date, *amounts: str, shop: str = "REWE") -> list[ReportedTransaction]:
    """The purchases at one shop on one day; the bank gives them one id."""
    return [reported(amount, day, ref=f"{shop}-{day}", text=shop) for amount in amounts]


def test_an_id_that_names_a_merchants_batch_of_a_day() -> None:
    """Where the id names all of a day at one merchant, equal purchases are kept apart, in every read."""
    days = [
        batch(april(10), "-3.50", "-3.50", "-12.00"),
        batch(april(11), "-4.20", "-4.20"),
        batch(april(12), "-4.20", "-4.20", "-4.20"),
    ]
    life = Life(april(10))
    for until in (1, 1, 2, 2, 3, 3):
        answer = [entry for day in days[:until] for entry in day]
        life.sync(answer)
        life.today += timedelta(days=1)
        assert life.live() == booked_of(answer)


def test_a_shared_id_is_remembered_when_its_proof_is_out_of_sight() -> None:
    """A namespace that once named different entries isn't believed later, when a read has only equal ones."""
    life = Life(april(1))
    life.sync(batch(april(1), "-3.50", "-12.00"))
    life.today = april(28)
    twins = batch(april(28), "-4.20", "-4.20")
    life.sync(twins, window=Window(april(20)))
    assert sum(row.transaction.day == april(28) for row in life.all()) == 2


def test_what_was_taken_for_a_repeat_is_put_right() -> None:
    """Two equal ones under an id are one row only until the bank shows that its ids name different entries."""
    first, second = batch(april(10), "-4.20", "-4.20"), batch(april(11), "-3.50", "-12.00")
    life = Life(april(10))
    life.sync(first)
    assert len(life.all()) == 1
    life.tomorrow(*first, *second)
    life.tomorrow(*first, *second)
    assert life.live() == booked_of([*first, *second])
    assert len(life.all()) == 4


def test_an_entry_twice_on_one_page_under_an_id_that_was_never_shared() -> None:
    """Equal content twice under one id, on one page, is one entry where ids name single entries."""
    page = [
        reported("-3.50", ref="a"),
        reported("-3.50", ref="a"),
        reported("-3.50", ref="b"),
        reported("-8.00", ref="c"),
    ]
    life = Life(TODAY)
    life.sync(page)
    life.tomorrow(*page)
    assert len(life.all()) == 3


SPELLINGS = [
    pytest.param("Café Müller Straße", "Cafe\u0301 Mu\u0308ller Straße", id="other Unicode form"),
    pytest.param("Cafe 24 Markt", "\uff23\uff41\uff46\uff45 24 Markt", id="full-width letters"),
    pytest.param("Café Sol", "Café Sol   ", id="trailing blanks"),
    pytest.param("Café Sol", "Café  Sol", id="two blanks"),
    pytest.param("Café Sol", "CAFÉ SOL", id="capitals"),
    pytest.param("Café Sol an der Hauptstraße 12", "Café Sol an der Ha", id="cut off"),
    pytest.param("Café Sol", None, id="no text"),
]


@pytest.mark.parametrize(("text", "other"), SPELLINGS)
@pytest.mark.parametrize("field", ["remittance", "counterparty_name"])
def test_one_id_on_two_pages_with_the_text_spelled_otherwise(text: str, other: str | None, field: str) -> None:
    """The same id, status, day and money on the next page is the same entry, however its text is spelled."""
    one = replace(reported("-3.50", ref="a", text=None), **{field: text})
    two = replace(one, **{field: other})
    life = Life(TODAY)
    for pages in ([[one], [two]], [[two], [one]], [[one], [one]], [[two], [two]]):
        life.sync(*pages)
        assert [row.missing_at_bank for row in life.all()] == [0]


@pytest.mark.parametrize(("text", "other"), [(one, two) for one, two in (p.values[:2] for p in SPELLINGS)])
def test_one_id_in_two_reads_with_the_text_spelled_otherwise(text: str, other: str | None) -> None:
    """The same id in the next read is the same row, however its text is spelled."""
    life = life_with(reported("-3.50", ref="a", text=text))
    life.sync([reported("-3.50", ref="a", text=other)], window=Window(april(-10)))
    assert [row.missing_at_bank for row in life.all()] == [0]


@pytest.mark.parametrize("reads", [("pages differ", "same"), ("same", "pages differ")], ids=" ".join)
def test_a_page_that_repeats_the_last_entry_of_the_page_before(reads: tuple[str, str]) -> None:
    """Without ids, a page that begins with the last entry of the page before: a repeat in one read alone is one row."""
    day = [reported("-8.00", april(18), text="Buch"), reported("-3.50", april(18)), reported("-5.00", april(18))]
    life = Life(TODAY)
    for how in reads:
        if how == "same":
            life.sync(day)
        else:
            life.sync(day[:2], day[1:])
        life.today += timedelta(days=1)
    assert life.live() == booked_of(day)
    assert len(life.all()) == 3


def test_twins_on_both_sides_of_a_page_break() -> None:
    """Without ids, twins that a page break parts in two reads are two rows."""
    twins = [reported("-8.00", april(18), text="Buch"), reported("-3.50", april(18)), reported("-3.50", april(18))]
    life = Life(TODAY)
    for _ in range(2):
        life.sync(twins[:2], twins[2:])
        life.today += timedelta(days=1)
    assert life.live() == booked_of(twins)


def test_what_may_be_a_repeat_keeps_its_row_from_a_move() -> None:
    """Without ids, a stored row that stands at a page break is not taken for an equal one of some days later."""
    first, later = reported("-3.50", april(16)), reported("-3.50", april(18))
    life = life_with(reported("-8.00", april(15), text="Buch"), first)
    echo = replace(first)
    life.sync([reported("-8.00", april(15), text="Buch"), first], [echo, later])
    assert life.live() == booked_of([reported("-8.00", april(15), text="Buch"), first, later])
    life.sync([reported("-8.00", april(15), text="Buch"), first], [later])
    twins = [first, echo, later]
    for _ in range(2):
        life.sync([reported("-8.00", april(15), text="Buch"), first], [echo, later])
        life.today += timedelta(days=1)
    life.sync([reported("-8.00", april(15), text="Buch")], [first], [echo, reported("-3.50", april(19)), later])
    assert life.live() == booked_of([reported("-8.00", april(15), text="Buch"), *twins, reported("-3.50", april(19))])


def test_what_may_be_a_repeat_keeps_a_row_whose_text_is_cut_off() -> None:
    """Without ids, twins of which one was stored with its text cut off are both there when a page break parts them."""
    one = reported("-4.20", april(12), text="Karte PayPal Europe")
    life = life_with(one, replace(one, remittance="Karte PayPal E"))
    life.sync([one], [replace(one)])
    assert life.live() == booked_of([one, one])


def test_a_shared_id_at_a_page_break_repeats_the_last_entry_alone() -> None:
    """What begins a page is put off only where it is, in its texts too, what ended the page before: a twin that stands
    further up there is no repeat."""
    life = life_with(*[reported("-7.00", april(3), ref="x", text=text) for text in ("one", "two")])
    coffee, cake = (reported("-3.50", april(10), ref="r", text=text) for text in ("coffee", "cake"))
    life.sync([coffee, cake], [coffee])
    assert [row.transaction.remittance for row in life.all() if row.transaction.day == april(10)].count("coffee") == 2


def test_a_shared_id_at_a_page_break_with_another_text_is_another() -> None:
    """Where an id names all of one merchant, what begins a page in other words than the last of the page before is new."""
    batch_of_two = batch(april(17), "-3.50", "-12.00")
    one = reported("-9.99", april(18), ref="REWE-18", text="Karte REWE")
    other = reported("-9.99", april(18), ref="REWE-18", text="SEPA 8 Dank")
    life = Life(TODAY)
    life.sync([*batch_of_two, one], [other, reported("-1.00", april(19))])
    assert life.live() == booked_of([*batch_of_two, one, other, reported("-1.00", april(19))])


def test_one_id_twice_on_one_page_with_the_text_spelled_otherwise() -> None:
    """A page that begins with the last entry of the one before, and has its own overlap too, in capitals or cut off."""
    one = reported("-3.50", april(18), ref="a", text="Karte Bäckerei Krämer")
    again = replace(one, remittance="KARTE BÄCKEREI KR")
    life = Life(TODAY)
    for _ in range(2):
        life.sync([again], [one, again, reported("-5.00", april(18), ref="b")])
        life.today += timedelta(days=1)
    assert life.live() == booked_of([one, reported("-5.00", april(18), ref="b")])


def test_a_pending_form_too_late_for_its_booked_one_says_nothing_of_other_ids() -> None:
    """An id that names a booked entry and a pending one of two days later is none; the others still name theirs."""
    odd = [reported("-50.00", april(15), ref="x"), pending("-50.00", april(17), ref="x")]
    one = reported("-3.50", april(18), ref="a")
    life = Life(TODAY)
    for _ in range(2):
        life.sync([*odd, one], [one, reported("-5.00", april(18), ref="b")])
        life.today += timedelta(days=1)
    assert life.live() == booked_of([*odd, one, reported("-5.00", april(18), ref="b")])


def test_a_booked_entry_and_its_own_pending_form_are_one() -> None:
    """Under one id, on one page or two: the booked form alone is the row."""
    forms = [pending("-3.50", april(18), ref="a"), reported("-3.50", april(19), ref="a")]
    for pages in ([forms], [forms[:1], forms[1:]], [forms[1:], forms[:1]]):
        life = Life(TODAY)
        life.sync(*pages)
        life.sync(*pages)
        assert [(row.status, row.transaction.day) for row in life.all()] == [(RowStatus.BOOKED, april(19))]


# Pending to booked


PREAUTHORISED: list[dict[str, Any]] = [
    {"amount": "-1.00"},
    {"amount": "-100.00"},
    {"amount": "-75.00", "currency": "USD"},
    {"amount": "-1.00", "currency": "USD"},
]


@pytest.mark.parametrize("held", PREAUTHORISED, ids=lambda held: " ".join(held.values()))
@pytest.mark.parametrize("days", [1, 3, 14])
def test_a_pending_one_booked_under_its_id_at_another_amount(held: dict[str, Any], days: int) -> None:
    """A pre-authorisation, or a pending one in another currency, that is booked under its own id is one row."""
    fields = {"ref": "fuel", "text": "Shell Station"}
    life = life_with(replace(pending("0", april(5), **fields), **held), today=april(20))
    life.ask([booked := reported("-63.20", april(5 + days), **fields)])
    assert [(row.status, str(row.transaction.amount), row.transaction.currency) for row in life.all()] == [
        (RowStatus.BOOKED, "-63.20", "EUR")
    ]
    life.tomorrow(booked)
    assert life.live() == booked_of([booked])


@pytest.mark.parametrize(
    ("days", "text"),
    [(-2, "Shell Station"), (15, "Shell Station"), (2, "Zahnarzt Dr. Weiß")],
    ids=["two days before", "fifteen days after", "another text"],
)
def test_a_pending_id_that_came_back_used(days: int, text: str) -> None:
    """Booked at another amount too far off or with a conflicting text is another purchase; the pending one ends."""
    held = pending("-100.00", april(4), ref="fuel", text=None, counterparty_name="Shell Station")
    life = life_with(held)
    booked = reported("-63.20", april(4 + days), ref="fuel", text=None, counterparty_name=text)
    for _ in range(2):
        life.sync([booked], window=Window(april(-20)))
    assert sorted(row.status for row in life.all()) == [RowStatus.BOOKED, RowStatus.REMOVED]


def test_a_pending_one_that_is_listed_still_is_not_the_booked_one() -> None:
    """Two deposits under one merchant's id: the one that is still pending at its amount isn't what was booked."""
    held = pending("-100.00", april(17), ref="hotel", text="Hotel")
    life = life_with(held)
    answer = [held, reported("-63.20", april(28), ref="hotel", text="Hotel")]
    life.sync(answer)
    assert life.live() == booked_of(answer)


def test_a_pending_one_without_an_id_is_booked() -> None:
    """Without an id, under another day and in other words: within fourteen days it is the pending row, booked."""
    life = life_with(pending("-49.90", april(10), text="Kartenzahlung 4711"))
    life.ask([reported("-49.90", april(18), text="BUCHHANDLUNG AM MARKT")])
    assert [(row.status, row.transaction.day) for row in life.all()] == [(RowStatus.BOOKED, april(18))]


def test_the_same_day_and_money_in_other_words_is_one_row() -> None:
    """A booked row that the bank words anew is the same row: text is no identity."""
    life = life_with(reported("-49.90", april(18), text="Kartenzahlung 4711"))
    life.ask([reported("-49.90", april(18), text="BUCHHANDLUNG AM MARKT")])
    assert [(row.transaction.remittance, row.missing_at_bank) for row in life.all()] == [("BUCHHANDLUNG AM MARKT", 0)]


def test_of_two_entries_that_may_be_one_row_the_stronger_is() -> None:
    """The entry with the better text is the row that moved; the other one is new."""
    life = life_with(reported("-3.50", april(10), text="Karte Café Sol Hauptstraße"))
    life.ask(
        [
            reported("-3.50", april(11), text="Karte Café Ost"),
            reported("-3.50", april(12), text="Karte Café Sol Hauptstraße"),
        ]
    )
    assert [(row.id, row.transaction.day) for row in life.all()] == [
        ("row-000001", april(11)),
        ("row-000000", april(12)),
    ]


# What ids may say


def test_an_id_that_comes_back_after_three_weeks() -> None:
    """The same id on the same amount three weeks later is another purchase: an id claims at most fourteen days off."""
    life = life_with(reported("-9.99", april(1), ref="1", text="Abo"), today=april(10))
    life.today = april(25)
    life.sync([reported("-9.99", april(24), ref="1", text="Abo")], window=Window(april(-20)))
    assert [row.transaction.day for row in life.all()] == [april(1), april(24)]


def test_an_id_shared_by_different_entries_names_no_row() -> None:
    """Two new entries under one id: neither is the row that had it, two weeks before."""
    life = life_with(reported("-3.50", april(6), ref="r", text="coffee"), reported("-5.00", april(12), ref="s"))
    shared = [reported("-3.50", april(16), ref="r", text="tea"), reported("-8.00", april(16), ref="r", text="cake")]
    life.ask([reported("-5.00", april(12), ref="s"), reported("-3.50", april(6), text="coffee"), *shared])
    assert [row.transaction.day for row in life.all()] == [april(6), april(12), april(16), april(16)]
    assert life.rows.by_id["row-000000"].transaction.remittance == "coffee"


@pytest.mark.parametrize("none", ["NOTPROVIDED", "not provided", "0", "", "n/a"])
def test_a_placeholder_is_no_id(none: str) -> None:
    """What stands where an id should be names nothing: a placeholder on one entry a day makes no row of two."""
    life = life_with(reported("-9.99", april(10), ref=none, text="Abo"))
    for _ in range(2):
        life.tomorrow(
            reported("-9.99", april(10), ref=none, text="Abo"), reported("-9.99", april(17), ref=none, text="Abo")
        )
    assert all(not row.transaction.ids for row in life.all())
    assert [row.transaction.day for row in life.all()] == [april(10), april(17)]


# Reads that broke off


def test_a_read_that_broke_off_adds_nothing_without_an_id() -> None:
    """An entry without an id may be a row whose own report wasn't read: it is left to the next complete read."""
    life = life_with(reported("-9.99", april(10), ref="1"))
    life.sync([reported("-5.00", april(17)), reported("-6.00", april(17), ref="2", text="Buch")], cut=True)
    assert [str(row.transaction.amount) for row in life.all()] == ["-9.99", "-6.00"]


def test_a_read_that_broke_off_takes_no_row_from_a_nearer_one() -> None:
    """Its id names a row two days off, and another row of that money stands where it stands: nothing is changed."""
    rows = [reported("-9.99", april(15), ref="1"), reported("-9.99", april(17), ref="2", text="Shell Station")]
    life = life_with(*rows)
    life.sync([reported("-9.99", april(17), ref="1")], cut=True)
    assert [row.transaction.day for row in life.all()] == [april(15), april(17)]


def test_a_row_that_is_back_dated_by_thirteen_days() -> None:
    """A window reaches back fourteen days into what is covered: banks back-date."""
    life = life_with(reported("-9.99", april(18), ref="1"))
    bank = [reported("-9.99", april(18), ref="1"), reported("-700.00", april(7), text="Miete")]
    life.ask(bank)
    assert life.live() == booked_of(bank)


# The edge of the window, and days that are wrong


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("ref", [pytest.param(None, id="no id"), pytest.param("a", id="id")])
def test_a_row_that_steps_into_the_window(steps: int, ref: str | None) -> None:
    """A row stored just before the window's first day, reported just inside of it, is one row."""
    life = life_with(reported("-700.00", april(-40), text="Miete"))
    edge = life.window().since
    before, after = (reported("-19.99", edge + timedelta(days=n), ref=ref) for n in (-1, steps - 1))
    other = reported("-5.00", TODAY - timedelta(days=3), text="Buch")
    life = life_with(reported("-700.00", april(-40), text="Miete"), before, other)
    for _ in range(4):
        life.tomorrow(reported("-700.00", april(-40), text="Miete"), after, other)
    assert len(life.all()) == 3
    assert life.live() == booked_of([reported("-700.00", april(-40)), after, other])


def test_twins_shift_over_the_window_s_first_day_while_one_of_them_is_absent() -> None:
    """A lasting id from before the window takes no equal row from the one whose own report is absent this once."""
    life = life_with(reported("-700.00", april(-40), ref="rent", text="Miete"))
    edge = life.window().since
    twins = [reported("-4.20", edge + timedelta(days=n), ref=f"t{n}") for n in (-1, 0, 1)]
    life = life_with(*twins)
    shifted = dated(twins, 1)
    life.tomorrow(shifted[0], shifted[2])
    for _ in range(2):
        life.tomorrow(*shifted)
    assert life.live() == booked_of(shifted)
    assert len(life.all()) == 3
    assert [row_of(life, f"t{n}").transaction.day - edge for n in (-1, 0, 1)] == [timedelta(days=n) for n in (0, 1, 2)]


def test_what_was_put_off_is_well_inside_of_the_next_window() -> None:
    """The window after begins seven days earlier, so that it shows whether the row outside is still where it was."""
    rent = reported("-700.00", april(-40), text="Miete")
    edge = life_with(rent).window().since
    life = life_with(rent, reported("-19.99", edge - timedelta(days=1)))
    life.tomorrow(rent, reported("-19.99", edge + timedelta(days=1)))
    assert life.window().since <= edge - timedelta(days=6)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("ref", [None, "a"], ids=["no id", "id"])
def test_a_row_that_steps_out_of_the_window(steps: int, ref: str | None) -> None:
    """A row stored on the window's first day that is now before it is not reported, and isn't missing for that."""
    life = life_with(reported("-700.00", april(-40), text="Miete"))
    edge = life.window().since
    before, after = (reported("-19.99", edge + timedelta(days=n), ref=ref) for n in (steps - 1, -1))
    life = life_with(before)
    for _ in range(3):
        life.tomorrow(after)
        (row,) = life.all()
        assert row.missing_at_bank == 0


@pytest.mark.parametrize("window", [Window(april(10)), Window(april(10), april(15))], ids=["open", "closed"])
@pytest.mark.parametrize("ref", [None, "a"], ids=["no id", "id"])
def test_entries_outside_of_the_window_asked_for(window: Window, ref: str | None) -> None:
    """A bank that answers more days than it was asked for adds no row of those, and doubles none."""
    known = reported("-19.99", april(2), ref=ref)
    life = life_with(known, reported("-5.00", april(12)))
    unknown = reported("-7.77", april(3), ref=ref and "b", text="Buch")
    outside = [known, unknown, *([reported("-8.88", april(19))] if window.until else [])]
    for _ in range(3):
        life.sync([*outside, reported("-5.00", april(12))], window=window)
        life.today += timedelta(days=1)
    assert life.live() == booked_of([known, reported("-5.00", april(12))])
    assert len(life.all()) == 2


def daily(count: int, *, refs: bool, shops: Sequence[str]) -> list[ReportedTransaction]:
    """A purchase a day up to the 19th of April."""
    days = [april(19 - n) for n in range(count)]
    return [
        reported(f"-{7 + n % 4}.50", day, ref=f"t{n}" if refs else None, text=shops[n % len(shops)])
        for n, day in enumerate(days)
    ]


@pytest.mark.parametrize("refs", [pytest.param(True, id="ids"), pytest.param(False, id="no ids")])
@pytest.mark.parametrize("shift", [1, -1])
def test_all_dates_are_off_by_one_in_one_read_of_five(shift: int, *, refs: bool) -> None:
    """A read whose dates are all off by a day, and the next ones right again: nothing is doubled, nothing is missing.

    A row that the window has left behind on a wrong day is put right by the next read of its days.
    """
    shops = ("Bäckerei Krämer", "REWE Markt", "Café Sol", "Shell Station", "Stadtwerke", "Kino", "Zoo")
    bank = daily(40, refs=refs, shops=shops)
    life = life_with(*bank)
    for n in range(10):
        life.tomorrow(*(dated(bank, shift) if n % 5 == 1 else bank))
        if n % 5 == 4:
            life.sync(bank, window=Window(april(-40)))
            assert life.live() == booked_of(bank)
            assert len(life.all()) == len(bank)


# Answers that are not the whole


def test_a_bank_that_answers_its_newest_25_and_says_nothing() -> None:
    """The oldest stored rows are absent because the bank cut its answer off: none is missing."""
    bank = [reported(f"-{n}.50", april(18 - n // 2), ref=f"t{n}", text=f"Laden {n}") for n in range(24)]
    life = life_with(*bank)
    new = [reported(f"-{100 + n}.50", april(19), ref=f"n{n}", text=f"Laden {n}") for n in range(8)]
    life.sync([*new, *bank][:25])
    assert life.live() == booked_of([*new, *bank])


def test_an_answer_that_is_cut_off_within_a_day() -> None:
    """Of the oldest day that is told three rows are absent, and nothing older is told: none is missing."""
    oldest = [reported(f"-{n}.50", april(9), ref=f"t{n}", text=f"Laden {n}") for n in range(6)]
    rest = [reported(f"-{n}.50", april(15), ref=f"r{n}", text=f"Laden {n}") for n in range(6)]
    life = life_with(*oldest, *rest)
    life.sync([*oldest[4:], *rest])
    assert life.live() == booked_of([*oldest, *rest])


def test_an_answer_that_loses_its_oldest_rows_one_by_one() -> None:
    """One oldest row absent in one read and two more in the next: three are absent, so the answer is cut off."""
    bank = [reported(f"-{n}.50", april(9 + n), ref=f"t{n}", text=f"Laden {n}") for n in range(9)]
    life = life_with(*bank)
    life.sync(bank[1:])
    life.sync(bank[3:])
    assert [row.missing_at_bank for row in life.all()] == [1, *[0] * 8]


def test_a_row_absent_from_days_that_were_known_is_asked_for_again() -> None:
    """A row that is missing for the first time is asked for once more, even on a day that was covered long ago."""
    bank = daily(60, refs=True, shops=("Café Sol", "REWE Markt"))
    life = life_with(*bank)
    absent = next(entry for entry in bank if entry.booking_date == str(april(-5)))
    life.sync([entry for entry in bank if entry is not absent], window=Window(april(-30)))
    assert life.window().since <= april(-5)
    life.tomorrow(*bank)
    assert life.live() == booked_of(bank)


def test_days_that_a_cut_off_answer_does_not_reach_stay_open() -> None:
    """After an outage the newest 25 don't reach back to the last read: the days between are asked for again."""
    bank = [reported(f"-{n}.50", april(-8 - n // 2), ref=f"t{n}", text=f"Laden {n}") for n in range(24)]
    life = life_with(*bank, today=april(-7))
    life.today = TODAY
    new = [reported(f"-{100 + n}.50", april(19 - n // 3), ref=f"n{n}", text=f"Laden {n}") for n in range(60)]
    for _ in range(2):
        life.sync([*new, *bank][:25])
        life.today += timedelta(days=1)
    assert life.live() == booked_of([*new[:25], *bank])
    assert life.window().since <= april(-7)


@pytest.mark.parametrize("refs", [True, False], ids=["ids", "no ids"])
def test_rows_absent_from_one_read_of_twenty(refs: bool) -> None:
    """A row that one read lacks and the next one has is one row, and isn't missing."""
    bank = daily(14, refs=refs, shops=("Café Sol", "REWE Markt"))
    life = life_with(*bank)
    for n in range(14):
        life.tomorrow(*bank[:n], *bank[n + 1 :])
        life.tomorrow(*bank, days=0)
        assert life.live() == booked_of(bank)
        assert len(life.all()) == 14
        life.today = TODAY


def test_a_row_absent_from_the_second_read_of_a_history() -> None:
    """What the first read of the history had and the second one lacked is asked for once more, and isn't missing."""
    bank = daily(60, refs=True, shops=("Café Sol", "REWE Markt"))
    life = Life(TODAY)
    life.ask(bank)
    life.tomorrow(*(entry for n, entry in enumerate(bank) if n != 40))
    for _ in range(3):
        life.tomorrow(*bank)
    assert life.live() == booked_of(bank)


@pytest.mark.parametrize("refs", [True, False], ids=["ids", "no ids"])
def test_a_row_absent_from_the_one_read_after_an_outage(refs: bool) -> None:
    """A day is covered when it was read on two days: what the first read after an outage lacked comes with the next."""
    bank = daily(18, refs=refs, shops=("Café Sol", "REWE Markt"))
    life = life_with(today=april(1))
    life.today = april(20)
    absent = bank[-1]
    life.ask(entry for entry in bank if entry is not absent)
    life.tomorrow(*bank)
    assert life.live() == booked_of(bank)


def test_a_bank_id_in_two_namespaces_is_two_names() -> None:
    """An id is an alias within its namespace: another namespace's equal value names nothing."""
    life = life_with(reported("-3.50", april(18), ref="1"))
    other = replace(reported("-9.00", april(18), text="Buch"), ids=(BankId("entryReference", "1"),))
    life.ask([reported("-3.50", april(18), ref="1"), other])
    assert len(life.all()) == 2
