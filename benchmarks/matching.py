"""`python -m benchmarks.matching`: how long one decision takes where many entries could be many rows (CPU seconds)."""

import itertools
import time
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from bankimport.imports import Reading, reconcile
from bankimport.models import RowStatus, StoredTransaction, Transaction, TransactionStatus, Window

DAY = date(2026, 4, 1)
READING = Reading(Window(DAY - timedelta(days=100)))
Case = tuple[str, Sequence[Transaction], Sequence[Transaction]]


def entry(number: int, *, days: int = 90, moved: int = 0, amount: str = "-3.50", text: str = "Café") -> Transaction:
    """One booked entry without an id, on one of so many days."""
    day = DAY + timedelta(days=number % days + moved)
    return Transaction(TransactionStatus.BOOKED, day, Decimal(amount), "EUR", counterparty_name=text, remittance=text)


def cases() -> list[Case]:
    """What is stored, and what is read."""
    twenty, two = range(20_000), range(2_000)
    return [
        ("20,000 equal ones of a day", [entry(0) for _ in twenty], [entry(0) for _ in twenty]),
        ("20,000 equal ones moved by a day", [entry(n) for n in twenty], [entry(n, moved=1) for n in twenty]),
        (
            "20,000 amounts moved by a day",
            [entry(n, amount=f"-{n}.01") for n in twenty],
            [entry(n, amount=f"-{n}.01", moved=1) for n in twenty],
        ),
        (
            "2,000 texts of one amount moved by a day",
            [entry(n, text=f"Fahrt {n} nach Ort{n}") for n in two],
            [entry(n, text=f"Fahrt {n} nach Ort{n}", moved=1) for n in two],
        ),
        (
            "2,000 texts of one amount, all written anew",
            [entry(n, text=f"Fahrt {n} nach Ort{n}") for n in two],
            [entry(n, text=f"Ticket {n} aus Stadt{n}") for n in two],
        ),
        (
            "2,000 texts of one amount and day, all written anew",
            [entry(n, days=1, text=f"Fahrt {n} nach Ort{n}") for n in two],
            [entry(n, days=1, text=f"Ticket {n} aus Stadt{n}") for n in two],
        ),
    ]


def main() -> None:
    """Print a line for each case."""
    for name, before, after in cases():
        stored = [StoredTransaction(f"r{n:06}", RowStatus.BOOKED, t) for n, t in enumerate(before)]
        numbers = itertools.count()
        begin = time.process_time()
        change = reconcile(READING, after, stored, new_id=lambda numbers=numbers: f"n{next(numbers)}").change_set
        spent = time.process_time() - begin
        print(f"{name:55} {spent:5.2f} s  {len(change.inserts)} new, {len(change.marks)} missing")


if __name__ == "__main__":
    main()
