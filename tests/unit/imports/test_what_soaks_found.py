"""Rules that a soak of the simulation has found wanting, each in the smallest case that shows it."""

import dataclasses
import itertools
from datetime import date
from decimal import Decimal

from bankimport.imports import Extent, Reading, reconcile
from bankimport.models import BankId, RowStatus, StoredTransaction, Transaction, TransactionStatus, Window
from bankimport.ports import ChangeSet

READING = Reading(Window(date(2026, 1, 1)))


def booked(amount: str, day: date, *refs: str, text: str = "Card REWE Markt 0815") -> Transaction:
    """A booked entry."""
    ids = tuple(BankId("transactionId", ref) for ref in refs)
    return Transaction(
        TransactionStatus.BOOKED, day, Decimal(amount), "EUR", ids=ids, counterparty_name=text, remittance=text
    )


def decide(entries: list[Transaction], stored: list[StoredTransaction], reading: Reading = READING) -> ChangeSet:
    """Reconcile a read, whatever the order of its entries: the answer has to be the same."""
    numbers = itertools.count()
    answers = [
        reconcile(reading, list(order), stored, new_id=lambda: f"new-{next(numbers)}").change_set
        for order in itertools.permutations(entries)
    ]
    assert len({len(answer.inserts) for answer in answers}) == 1
    return answers[0]


def row(name: str, entry: Transaction) -> StoredTransaction:
    """A booked row."""
    return StoredTransaction(name, RowStatus.BOOKED, entry)


def test_neighbours_that_move_in_step_keep_their_rows() -> None:
    """Equal purchases on the 8th and the 10th that are shown on the 6th and the 8th are still those two."""
    stored = [row("a", booked("-19.99", date(2026, 4, 8))), row("b", booked("-19.99", date(2026, 4, 10)))]
    change = decide([booked("-19.99", date(2026, 4, 6)), booked("-19.99", date(2026, 4, 8))], stored)
    assert (len(change.inserts), len(change.marks)) == (0, 0)
    assert {update.id: update.transaction.day.day for update in change.updates} == {"a": 6, "b": 8}


def test_neighbours_further_apart_are_moved_up_to_fourteen_days() -> None:
    """What is left over on both sides, of one money and text, has moved far, by ten days here; by fifteen it is another,
    and the row that is missing is flagged."""
    stored = [row("a", booked("-19.99", date(2026, 4, 8))), row("b", booked("-19.99", date(2026, 4, 12)))]
    change = decide([booked("-19.99", date(2026, 4, 2)), booked("-19.99", date(2026, 4, 8))], stored)
    assert (len(change.inserts), change.marks) == (0, [])
    stored = [row("a", booked("-19.99", date(2026, 4, 8))), row("b", booked("-19.99", date(2026, 4, 17)))]
    change = decide([booked("-19.99", date(2026, 4, 2)), booked("-19.99", date(2026, 4, 8))], stored)
    assert (len(change.inserts), [mark.id for mark in change.marks]) == (1, ["b"])


def test_an_id_that_two_rows_have_had_goes_to_the_one_reported_unchanged() -> None:
    """A moved entry under a re-issued id doesn't take the row that is reported as it was under another id."""
    stored = [
        row("moved", booked("-9.99", date(2026, 3, 9), "r208", "r215", text="PayPal Europe 187")),
        row("stays", booked("-9.99", date(2026, 3, 12), "r215", "r222", text="Bäckerei Krämer")),
    ]
    entries = [
        booked("-9.99", date(2026, 3, 12), "r215", text="PayPal Europe 187"),
        booked("-9.99", date(2026, 3, 12), "r222", text="Bäckerei Krämer"),
    ]
    change = decide(entries, stored)
    assert (len(change.inserts), len(change.marks)) == (0, 0)
    assert [update.id for update in change.updates] == ["moved"]


def test_of_two_alike_the_nameless_one_takes_the_equal_row() -> None:
    """In whatever order they come: the one with an id has a row of its own to change."""
    day = date(2026, 3, 10)
    stored = [row("named", booked("-3.50", day, "a")), row("plain", booked("9.99", day))]
    change = decide([booked("9.99", day), booked("9.99", day, "a")], stored)
    assert ([update.id for update in change.updates], len(change.inserts)) == (["named"], 0)


def test_ids_given_to_others_of_one_day_change_no_row() -> None:
    """A bank swaps the ids of two purchases of one day and amount, and a third one's: each row keeps its purchase."""
    day = date(2026, 2, 3)
    stored = [
        row("a", booked("-9.99", day, "r106", text="Bäckerei Krämer")),
        row("b", booked("-9.99", day, "r107", text="REWE Markt")),
        row("c", booked("-4.20", day, "r108", text="Café Sol")),
    ]
    entries = [
        booked("-9.99", day, "r107", text="Bäckerei Krämer"),
        booked("-9.99", day, "r108", text="REWE Markt"),
        booked("-4.20", date(2026, 2, 5), "r109", text="Café Sol"),
    ]
    change = decide(entries, stored)
    assert (len(change.inserts), len(change.marks)) == (0, 0)
    assert {u.id: u.transaction.counterparty_name for u in change.updates} == {
        "a": "Bäckerei Krämer",
        "b": "REWE Markt",
        "c": "Café Sol",
    }


def test_an_id_that_half_agrees_leaves_an_entry_to_the_row_that_stands_there() -> None:
    """A text that changed under another's old id: the row of the same day and amount is meant, not the id's."""
    day = date(2026, 3, 2)
    stored = [
        row("here", booked("-9.99", day, "r170", text="Card PayPal Europe")),
        row("named", booked("-3.93", day, "r172", text="Stadtwerke")),
    ]
    entries = [
        booked("-9.99", day, "r172", text="SEPA 168 PayPal Europe"),
        booked("-3.93", date(2026, 3, 4), "r180", text="Stadtwerke"),
    ]
    change = decide(entries, stored)
    assert (len(change.inserts), len(change.marks)) == (0, 0)
    assert {u.id: u.transaction.day.day for u in change.updates} == {"here": 2, "named": 4}


def test_an_id_of_the_same_day_alone_undoes_no_equal_content() -> None:
    """An entry found by its content stays, though a row of another amount on its day has had its id."""
    day = date(2026, 3, 2)
    stored = [
        row("same", booked("-3.93", day, "r172", text="Stadtwerke")),
        row("other", booked("-50.00", day, "r173", text="Shell Station")),
        row("here", booked("-9.99", day, "r170", text="Card PayPal Europe")),
    ]
    entries = [
        booked("-3.93", day, "r173", text="Stadtwerke"),
        booked("-50.00", date(2026, 3, 4), "r175", text="Shell Station"),
        booked("-9.99", day, "r172", text="SEPA 168 PayPal Europe"),
    ]
    change = decide(entries, stored)
    assert (len(change.inserts), len(change.marks)) == (0, 0)
    assert {u.id: str(u.transaction.amount) for u in change.updates} == {
        "same": "-3.93", "other": "-50.00", "here": "-9.99",
    }  # fmt: skip


def test_an_id_of_a_conflicting_text_undoes_no_equal_content() -> None:
    """A purchase reported unchanged under another's id stays, though a new one has its old id."""
    stored = [
        row("stays", booked("-3.50", date(2026, 3, 17), "r191", text="Shell Station")),
        row("other", booked("-3.50", date(2026, 3, 14), "r198", text="Krämer")),
    ]
    entries = [
        booked("-3.50", date(2026, 3, 17), "r198", text="Shell Station"),
        booked("-3.50", date(2026, 4, 1), "r191", text="Shell Station"),
    ]
    reading = Reading(Window(date(2026, 3, 16)))
    change = decide(entries, stored, reading)
    assert ([u.id for u in change.updates], len(change.inserts), len(change.marks)) == (["stays"], 1, 0)


def test_an_id_that_half_agrees_takes_no_other_row_in_a_cut_read() -> None:
    """A row of the same day and amount may be the one that is meant: the row of the id stays as it is."""
    day = date(2026, 3, 9)
    stored = [
        row("here", booked("-3.50", day, "r164", text="SEPA 161 PayPal")),
        row("named", booked("-3.50", date(2026, 3, 7), "r167", text="REWE Markt")),
    ]
    reading = Reading(READING.window, Extent.INCOMPLETE)
    change = decide([booked("-3.50", day, "r167", text="PayPal REWE")], stored, reading)
    assert "named" not in [update.id for update in change.updates]
    assert change.inserts == []


def test_an_id_of_the_same_day_alone_leaves_an_entry_to_the_equal_one_that_moved() -> None:
    """The id's row is another's of that day: the row of the entry's own amount, three days off, is meant."""
    day = date(2026, 2, 1)
    stored = [
        row("moved", booked("-19.99", date(2026, 2, 4), "r88")),
        row("named", booked("-4.20", day, "r82", text="Shell Station")),
    ]
    entries = [booked("-19.99", day, "r82"), booked("-19.99", date(2026, 2, 9), "r86", text="Shell Station")]
    change = decide(entries, stored)
    assert {u.id: str(u.transaction.amount) for u in change.updates} == {"moved": "-19.99"}


def test_a_changed_amount_keeps_its_id_when_the_moved_one_is_claimed_by_its_own() -> None:
    """A tip under a stable id, to the amount of a neighbour that moves under its own: both are updates."""
    day = date(2026, 2, 1)
    stored = [row("tipped", booked("-9.00", day, "a")), row("moved", booked("-9.99", date(2026, 2, 3), "b"))]
    change = decide([booked("-9.99", day, "a"), booked("-9.99", date(2026, 2, 4), "b")], stored)
    assert ([u.id for u in change.updates if u.id == "tipped"], change.inserts, change.marks) == (["tipped"], [], [])


def test_an_id_of_a_booked_row_and_a_pending_one_moves_the_booked_one() -> None:
    """A twin once had the id while pending: when the booked one moves onto the twin's day, the twin isn't it."""
    stored = [row("booked", booked("-9.99", date(2026, 2, 13), "t84"))]
    twin = dataclasses.replace(booked("-9.99", date(2026, 2, 12), "t84"), status=TransactionStatus.PENDING)
    stored.append(StoredTransaction("twin", RowStatus.PENDING, twin))
    entries = [booked("-9.99", date(2026, 2, 12), "t84"), dataclasses.replace(twin, ids=())]
    change = decide(entries, stored)
    assert ([u.id for u in change.updates if u.status is RowStatus.BOOKED], change.marks) == (["booked"], [])
    assert change.inserts == []


def test_an_id_further_off_than_rows_move_claims_its_row_while_ids_are_believed() -> None:
    """Equal purchases of the 5th and the 9th, of which the first moves by seven days under its id: the other has moved
    as far. Nothing doubles and nothing is missing, whichever is whose."""
    stored = [row("a", booked("-50.00", date(2026, 2, 5), "r1")), row("b", booked("-50.00", date(2026, 2, 9), "r2"))]
    entries = [booked("-50.00", date(2026, 2, 12), "r1"), booked("-50.00", date(2026, 2, 2), "r9")]
    change = decide(entries, stored)
    assert (len(change.inserts), len(change.marks)) == (0, 0)
    assert {update.id: update.transaction.day.day for update in change.updates} == {"a": 12, "b": 2}


def test_a_cut_read_gives_no_row_the_text_of_another_by_its_id() -> None:
    """An id whose day and amount agree and whose counterparty conflicts may be another's now: a whole read tells."""
    day = date(2026, 2, 20)
    stored = [
        row("shell", booked("-9.99", day, "r156", text="Shell Station")),
        row("rewe", booked("-9.99", date(2026, 2, 23), "r142", text="REWE Markt")),
    ]
    moved = booked("-9.99", day, "r156", text="REWE Markt")
    change = decide([moved], stored, Reading(READING.window, Extent.INCOMPLETE))
    assert (change.inserts, change.updates, change.marks) == ([], [], [])


def test_a_cut_read_says_nothing_by_an_id_that_two_rows_have_had() -> None:
    """Equal purchases of the 8th and the 12th have both had the id under which one now stands on the 10th."""
    stored = [
        row("a", booked("-9.99", date(2026, 3, 8), "r174", "r175")),
        row("b", booked("-9.99", date(2026, 3, 12), "r173", "r174")),
    ]
    moved = booked("-9.99", date(2026, 3, 10), "r174")
    change = decide([moved], stored, Reading(READING.window, Extent.INCOMPLETE))
    assert (change.inserts, change.updates, change.marks) == ([], [], [])
    change = decide([moved, booked("-9.99", date(2026, 3, 8), "r175")], stored)
    assert {u.id: u.transaction.day.day for u in change.updates} == {"b": 10}
    assert (change.inserts, change.marks) == ([], [])


def test_of_two_equal_rows_the_one_whose_id_moved_is_left_to_it() -> None:
    """The twin without an id may be either row; the pending one that had the id once is neither."""
    day = date(2026, 3, 11)
    stored = [
        row("plain", booked("-9.99", day)),
        row("named", booked("-9.99", day, "t180")),
        StoredTransaction(
            "once",
            RowStatus.PENDING,
            dataclasses.replace(booked("-9.99", day, "t180"), status=TransactionStatus.PENDING),
        ),
    ]
    for ids in (["plain", "named", "once"], ["named", "plain", "once"]):
        rows = [dataclasses.replace(r, id=i) for r, i in zip(stored, ids, strict=True)]
        named = rows[1].id
        change = decide([booked("-9.99", day), booked("-9.99", date(2026, 3, 8), "t180")], rows)
        assert ([u.id for u in change.updates], change.inserts) == ([named], [])
        assert [mark.id for mark in change.marks if mark.status is RowStatus.BOOKED] == []
