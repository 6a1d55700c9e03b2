"""banking.md §4.1 to §4.6: who is whom, as properties of the pure function and as sentences for each tier."""

import dataclasses
import itertools
import random
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankimport.imports import Extent, Reading, reconcile, window_to_load
from bankimport.imports.repeats import once
from bankimport.models import (
    BankId,
    IdQuality,
    RowStatus,
    StoredTransaction,
    Transaction,
    TransactionStatus,
    Window,
)
from bankimport.ports import ChangeSet
from bankimport.reading.ids import usable_ids

TODAY = date(2026, 3, 10)
ALL = Reading(Window(TODAY - timedelta(days=90)), is_whole=True)
CUT = Reading(ALL.window, Extent.INCOMPLETE)
DELTA = Reading(ALL.window, Extent.DELTA)
BOOKED, PENDING, CANCELLED = TransactionStatus.BOOKED, TransactionStatus.PENDING, TransactionStatus.CANCELLED


def entry(
    amount: str = "-3.50", ago: int = 0, ref: str | None = None, status: TransactionStatus = BOOKED, **more: Any
) -> Transaction:
    """One entry, so many days ago."""
    ids = () if ref is None else (BankId("transactionId", ref),)
    return Transaction(status, TODAY - timedelta(days=ago), Decimal(amount), "EUR", ids=ids, **more)


def row(name: str, transaction: Transaction, **more: Any) -> StoredTransaction:
    """One stored row."""
    return StoredTransaction(name, RowStatus(transaction.status.value), transaction, **more)


def decide(reading: Reading, incoming: list[Transaction], stored: list[StoredTransaction], **more: Any) -> ChangeSet:
    """Reconcile, with ids counted from n0."""
    numbers = itertools.count()
    return reconcile(reading, incoming, stored, new_id=lambda: f"n{next(numbers)}", **more).change_set


def apply(stored: list[StoredTransaction], change: ChangeSet) -> list[StoredTransaction]:
    """Return the rows after a change set."""
    rows = {r.id: r for r in stored}
    for new in change.inserts:
        rows[f"{new.id}-{len(rows)}"] = row(f"{new.id}-{len(rows)}", new.transaction)
    for update in change.updates:
        ids = {i.key: i for i in (*rows[update.id].transaction.ids, *update.transaction.ids)}
        kept = dataclasses.replace(update.transaction, ids=tuple(ids.values()))
        rows[update.id] = StoredTransaction(update.id, update.status, kept, update.missing_at_bank)
    for mark in change.marks:
        rows[mark.id] = dataclasses.replace(rows[mark.id], status=mark.status, missing_at_bank=mark.missing_at_bank)
    return list(rows.values())


def money(entries: list[Transaction]) -> Counter[tuple[date, Decimal]]:
    """Day and amount of the booked ones, with their counts."""
    return Counter((e.day, e.amount) for e in entries if e.status is BOOKED)


def stored_money(rows: list[StoredTransaction]) -> Counter[tuple[date, Decimal]]:
    """Day and amount of the booked rows, with their counts."""
    return Counter((r.day, r.transaction.amount) for r in rows if r.is_booked)


def tidy(entries: list[Transaction]) -> list[Transaction]:
    """The entries of a read, each once."""
    return once(entries, ())[0]


entries = st.builds(
    entry,
    amount=st.sampled_from(["-3.50", "-3.50", "9.99", "-20.00"]),
    ago=st.integers(0, 6),
    ref=st.sampled_from([None, None, "a", "b", "c", "d", "e"]),
    status=st.sampled_from([BOOKED, BOOKED, PENDING, CANCELLED]),
    remittance=st.sampled_from([None, "Cafe Sol", "Cafe Sol danke", "Markt 7"]),
    counterparty_name=st.sampled_from([None, None, "Sol", "Markt"]),
)
reads = st.lists(entries, max_size=12)
#: a seed for shuffling; hypothesis' own shuffled lists would shrink for minutes
seeds = st.integers(0, 10**6)


@given(reads)
def test_a_first_read_is_stored_as_it_is(read: list[Transaction]) -> None:
    """After the first complete read the booked rows are what was read, page overlap aside."""
    rows = apply([], decide(ALL, read, []))
    assert stored_money(rows) == money(tidy(read))


@given(reads, reads)
def test_the_same_answer_again_changes_nothing(first: list[Transaction], second: list[Transaction]) -> None:
    """Whatever was stored before, the same answer again settles within the reads that a removal takes."""
    rows = apply([], decide(ALL, first, []))
    for _ in range(4):
        rows = apply(rows, decide(ALL, second, rows))
    assert not decide(ALL, second, rows)


@given(reads, reads, seeds)
def test_the_order_does_not_matter(first: list[Transaction], second: list[Transaction], seed: int) -> None:
    """Pages in another order end in the same rows."""
    shuffled = list(second)
    random.Random(seed).shuffle(shuffled)
    rows = apply([], decide(ALL, first, []))
    one, other = (apply(rows, decide(ALL, read, rows)) for read in (second, shuffled))

    def seen(found: list[StoredTransaction]) -> Counter[Any]:
        return Counter(
            (
                r.status,
                r.day,
                r.transaction.amount,
                r.transaction.remittance,
                r.transaction.counterparty_name,
            )
            for r in found
        )

    assert seen(one) == seen(other)


@given(reads, reads)
def test_each_row_is_changed_at_most_once(first: list[Transaction], second: list[Transaction]) -> None:
    """A row is claimed by one entry at most; nothing booked is ever removed or made pending."""
    rows = apply([], decide(ALL, first, []))
    change = decide(ALL, second, rows)
    ids = [each.id for each in (*change.updates, *change.marks)]
    assert len(ids) == len(set(ids))
    booked = {r.id for r in rows if r.is_booked}
    assert all(each.status is RowStatus.BOOKED for each in (*change.updates, *change.marks) if each.id in booked)


@given(reads, reads)
def test_every_booked_entry_has_a_row(first: list[Transaction], second: list[Transaction]) -> None:
    """After a complete read every booked entry of it has a row of its own."""
    rows = apply([], decide(ALL, first, []))
    rows = apply(rows, decide(ALL, second, rows))
    assert not money(tidy(second)) - stored_money(rows)


@given(reads, reads, st.integers(0, 12))
def test_an_incomplete_read_removes_and_flags_nothing(
    first: list[Transaction], second: list[Transaction], cut: int
) -> None:
    """Only a completely read window proves absence: cut short, no row is marked as missing, and none is lost."""
    rows = apply([], decide(ALL, first, []))
    change = decide(CUT, second[:cut], rows)
    ended = {i.key for e in second[:cut] if e.status is CANCELLED for i in e.ids}
    assert all(mark.status is RowStatus.REMOVED and ended for mark in change.marks)
    after = apply(rows, change)
    assert len(after) == len(rows) + len(change.inserts)
    assert all(new.transaction.ids for new in change.inserts)


# Each tier in a sentence: what is stored, what is read, and who becomes whom


@pytest.mark.parametrize(
    ("stored", "read", "claimed"),
    [
        pytest.param(entry(ref="a"), entry("-4.00", ref="a"), True, id="1: strong id, the date agrees"),
        pytest.param(entry(ref="a", ago=9), entry(ref="a"), True, id="1: strong id, the amount agrees"),
        pytest.param(entry(ref="a", ago=9), entry("-4.00", ref="a"), False, id="1: strong id, neither agrees: came back used"),
        pytest.param(
            entry("-20", ref="p", status=PENDING),
            entry("-25", ago=-4, ref="b", link=BankId("transactionId", "p")), True, id="2: a link",
        ),
        pytest.param(
            entry(remittance="Cafe Sol 17"), entry(remittance="Cafe Sol 18"), True, id="3: same day and money, matching text",
        ),
        pytest.param(
            entry(remittance="Cafe Sol", ago=3), entry(remittance="CAFE SOL"), True, id="4: moved by three days, matching text",
        ),
        pytest.param(
            entry(remittance="Cafe Sol", ago=14), entry(remittance="Cafe Sol"), True, id="4: moved by fourteen days",
        ),
        pytest.param(
            entry(remittance="Cafe Sol", ago=15), entry(remittance="Cafe Sol"), False, id="4: by fifteen is another",
        ),
        pytest.param(
            entry(remittance="Cafe Sol", ago=4), entry(remittance="Markt 7"), False, id="4: by four, without matching text",
        ),
        pytest.param(
            entry(counterparty_name="Sol"), entry(counterparty_name="Markt"), True, id="5: same day and money, whatever text",
        ),
        pytest.param(entry(ago=2), entry(remittance="Cafe Sol"), True, id="6: moved, weaker text"),
        pytest.param(
            entry(ago=2, counterparty_name="Sol"), entry(counterparty_name="Markt"), False, id="6: moved, but conflicting",
        ),
        pytest.param(entry(ago=14, status=PENDING), entry(), True, id="7: booked 14 days later"),
        pytest.param(entry(ago=15, status=PENDING), entry(), False, id="7: booked 15 days later is another"),
        pytest.param(entry(ago=-1, status=PENDING), entry(), True, id="7: booked a day before"),
        pytest.param(entry(ago=-2, status=PENDING), entry(), False, id="7: booked two days before is another"),
        pytest.param(
            entry(ago=1, status=PENDING, counterparty_iban="DE1"), entry(counterparty_iban="DE2"), False,
            id="7: another counterparty",
        ),
        pytest.param(entry("-3.51", ago=1, status=PENDING), entry(), False, id="7: another amount"),
        pytest.param(entry(), entry(status=PENDING), False, id="a booked row is never pending again"),
    ],
)  # fmt: skip
def test_a_tier(stored: Transaction, read: Transaction, claimed: bool) -> None:
    """Evidence of that strength makes the entry the row; weaker evidence makes it a new one."""
    change = decide(ALL, [read], [row("r", stored)])
    assert len(change.inserts) == (0 if claimed else 1)
    assert [update.id for update in change.updates] == (["r"] if claimed else [])


@pytest.mark.parametrize(
    ("strong", "weak"),
    [
        pytest.param(entry(ago=1, ref="a"), entry(ago=2), id="an id before equal money"),
        pytest.param(
            entry(remittance="Cafe Sol", ago=2), entry(remittance="Cafe", ago=1), id="better text before nearer day"
        ),
        pytest.param(entry(), entry(ago=1), id="the same day before a moved one"),
        pytest.param(entry(ago=3), entry(ago=1, status=PENDING), id="moved before pending to booked"),
        pytest.param(entry(ago=1, status=PENDING), entry(ago=3, status=PENDING), id="the nearer day"),
    ],
)
def test_the_strongest_evidence_first(strong: Transaction, weak: Transaction) -> None:
    """Of two rows that could be meant, the one with the stronger evidence is."""
    read = entry(ref="a", remittance="Cafe Sol")
    for rows in itertools.permutations([row("strong", strong), row("weak", weak)]):
        change = decide(ALL, [read], list(rows))
        assert [update.id for update in change.updates] == ["strong"]


def test_a_neighbour_that_moved_gives_the_row_back() -> None:
    """Two equal entries that both move, one onto the other's old day, keep their rows by their ids."""
    rows = [row("a", entry(ago=5, ref="a")), row("b", entry(ago=4, ref="b"))]
    change = decide(ALL, [entry(ago=4, ref="a"), entry(ago=0, ref="b")], rows)
    assert {(u.id, u.transaction.day) for u in change.updates} == {
        ("a", TODAY - timedelta(days=4)),
        ("b", TODAY),
    }


def test_a_row_before_the_window_is_not_missing() -> None:
    """A booked row from before the window is neither missing nor moved: it wasn't asked for."""
    reading = Reading(Window(TODAY - timedelta(days=14)))
    change = decide(reading, [entry(ago=11)], [row("old", entry(ago=15))])
    assert len(change.inserts) == 1
    assert not change.marks


def test_a_monthly_payment_under_a_reused_id() -> None:
    """An id that comes back for next month's payment of the same amount is a new row; the old one stays."""
    reading = Reading(Window(TODAY - timedelta(days=14)))
    change = decide(reading, [entry("-9.99", ref="7")], [row("last month", entry("-9.99", ago=30, ref="7"))])
    assert (len(change.inserts), len(change.updates)) == (1, 0)


def test_an_incomplete_read_inserts_only_what_is_surely_new() -> None:
    """Cut short, a strong id never seen is inserted, unless a stored row of its amount may be what it is."""
    rows = [row("r", entry("-20", ref="old")), row("s", entry("-9", ref="s"))]
    read = [entry("-7", ref="x"), entry("-9", ref="rotated"), entry("-8"), entry("-20", ago=1, ref="old")]
    change = decide(CUT, read, rows)
    assert [new.transaction.amount for new in change.inserts] == [Decimal(-7)]
    assert [update.transaction.day for update in change.updates] == [TODAY - timedelta(days=1)]


def test_a_delta_only_changes_what_it_names() -> None:
    """What a delta doesn't name is still there; a removed pending row ends, a removed booked one is flagged."""
    rows = [
        row("a", entry(ref="a")),
        row("b", entry("-9.99", ref="b")),
        row("c", entry("-20", ref="c", status=PENDING)),
        row("d", entry("-30", ref="d")),
    ]
    gone = [BankId("transactionId", "b"), BankId("transactionId", "c")]
    change = decide(DELTA, [entry("-31", ago=2, ref="d"), entry(ref="new")], rows, removed=gone)
    assert [(u.id, u.transaction.amount) for u in change.updates] == [("d", Decimal(-31))]
    assert len(change.inserts) == 1
    assert {(m.id, m.status) for m in change.marks} == {("b", RowStatus.BOOKED), ("c", RowStatus.REMOVED)}


def test_a_stale_pending_form_of_a_booked_row_needs_nothing() -> None:
    """A pending entry that names a booked row is its stale form: it is neither a row nor a change."""
    booked = dataclasses.replace(entry(ref="b"), ids=(BankId("transactionId", "p"), BankId("transactionId", "b")))
    change = decide(ALL, [entry(ref="b"), entry(ago=1, ref="p", status=PENDING)], [row("r", booked)])
    assert not change


def test_twins_are_counted_against_a_thousand_of_their_kind() -> None:
    """A thousand equal entries without ids, and one more, are a thousand rows and one insert, quickly."""
    rows = [row(f"r{n:04}", entry(ago=n % 80, remittance=f"Fahrt {n}")) for n in range(1000)]
    read = [entry(ago=n % 80, remittance=f"Fahrschein {n}") for n in range(1000)]
    change = decide(ALL, [*read, entry()], rows)
    assert (len(change.inserts), len(change.updates)) == (1, 1000)


# Identity


@pytest.mark.parametrize(
    "value", ["", " ", "0", "000", "NOTPROVIDED", "not provided", "Not-Provided", "N/A", "null", "-", None]
)
def test_a_placeholder_is_no_id(value: Any) -> None:
    """What banks write where they have no id is none."""
    assert usable_ids([BankId("n", value)]) == ()


def test_ids_are_trimmed_and_bounded() -> None:
    """An id loses blanks and control characters; a very long one is kept by its digest, and stays distinct."""
    assert usable_ids([BankId("n", " a\x00b "), BankId("n", "ab")]) == (BankId("n", "ab"),)
    one, other = usable_ids([BankId("n", "x" * 5000), BankId("m", "x" * 4999)])
    assert len(one.value) <= 128
    assert one.value != other.value


def test_page_overlap_is_collapsed() -> None:
    """A strong id twice with equal content is one entry; without an id, or with a weak one, it is two."""
    weak = dataclasses.replace(entry(), ids=(BankId("n", "w", IdQuality.WEAK),))
    assert len(tidy([entry(ref="a"), entry(ref="a")])) == 1
    assert len(tidy([entry(), entry()])) == 2
    assert len(tidy([weak, weak])) == 2


def test_a_shared_id_is_none() -> None:
    """A strong id of two different entries names neither."""
    assert [e.ids for e in tidy([entry("-1", ref="x"), entry("-2", ref="x"), entry("-3", ref="y")])] == [
        (),
        (),
        (BankId("transactionId", "y"),),
    ]


def test_twins_that_share_a_reference_are_two() -> None:
    """Equal content under one reference, told apart by another strong id, is no page overlap."""
    twins = [
        dataclasses.replace(entry(), ids=(BankId("entryReference", "r"), BankId("transactionId", each)))
        for each in "ab"
    ]
    assert [len(e.ids) for e in tidy(twins)] == [1, 1]


def test_what_is_loaded_reaches_a_margin_beyond_what_was_read() -> None:
    """Rows up to 15 days before the window, or before what was reported, take part."""
    assert window_to_load(Window(TODAY), None, None) == Window(TODAY - timedelta(days=15))
    assert window_to_load(Window(TODAY), date(2026, 1, 20), TODAY) == Window(date(2026, 1, 5))
    assert window_to_load(Window(date.min, TODAY), None, None) == Window(date.min, TODAY + timedelta(days=15))


def test_many_of_one_money_and_day_are_all_paired() -> None:
    """A thousand texts of one amount and day that are all written anew are the same thousand rows."""
    rows = [row(f"r{n:04}", entry(remittance=f"Fahrt {n} nach Ort{n}")) for n in range(1000)]
    change = decide(ALL, [entry(remittance=f"Ticket {n} aus Stadt{n}") for n in range(1000)], rows)
    assert (len(change.inserts), len(change.updates), len(change.marks)) == (0, 1000, 0)


def test_a_chain_of_thousands_moves_as_one() -> None:
    """Ten thousand equal entries on ninety days that all move by a day are the same rows."""
    rows = [row(f"r{n:05}", entry(ago=n % 80 + 4, remittance="Cafe")) for n in range(10_000)]
    change = decide(ALL, [entry(ago=n % 80 + 3, remittance="Cafe") for n in range(10_000)], rows)
    assert (len(change.inserts), len(change.marks)) == (0, 0)
