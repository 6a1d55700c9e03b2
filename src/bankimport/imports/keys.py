"""What entries and rows are looked up and sorted by, within one account."""

from datetime import timedelta

from bankimport.imports.evidence import KIND_ORDER
from bankimport.imports.identity import key_of
from bankimport.models import Transaction


def place(t: Transaction, booked: bool, moved: int = 0) -> tuple[object, ...]:  # noqa: FBT001 - called a million times
    """Return where it stands, or would when moved by so many days: booked or not, its day and money."""
    return booked, t.day + timedelta(days=moved), t.amount, t.currency


def order(t: Transaction) -> tuple[object, ...]:
    """Return its place in an order of entries that is the same whatever the order of the pages."""
    texts = t.counterparty_name or "", t.counterparty_iban or "", t.remittance or ""
    return KIND_ORDER[t.status], t.day, t.currency, t.amount, texts, sorted(map(key_of, t.ids))
