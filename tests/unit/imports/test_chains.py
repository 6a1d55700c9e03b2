"""Rules that a soak of the simulation has found wanting, each in the smallest case that shows it."""

import itertools
from datetime import date
from decimal import Decimal

from bankimport.imports import Reading, reconcile
from bankimport.models import BankId, RowStatus, StoredTransaction, Transaction, TransactionStatus, Window
from bankimport.ports import ChangeSet

READING = Reading(Window(date(2026, 1, 1)))


def booked(amount: str, day: date, *refs: str, text: str = "Card REWE Markt 0815") -> Transaction:
    """A booked entry."""
    ids = tuple(BankId("transactionId", ref) for ref in refs)
    return Transaction(
        TransactionStatus.BOOKED, day, Decimal(amount), "EUR", ids=ids, counterparty_name=text, remittance=text
    )


def decide(entries: list[Transaction], stored: list[StoredTransaction]) -> ChangeSet:
    """Reconcile a complete read, whatever the order of its entries: the answer has to be the same."""
    numbers = itertools.count()
    answers = [
        reconcile(READING, list(order), stored, new_id=lambda: f"new-{next(numbers)}")
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


def test_neighbours_too_far_apart_are_not_moved() -> None:
    """What moved by more than three days is a new entry, and the row that is missing is flagged."""
    stored = [row("a", booked("-19.99", date(2026, 4, 8))), row("b", booked("-19.99", date(2026, 4, 12)))]
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
