"""The order of pages, entries and stored rows says nothing: the same change set, whatever it is."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bankimport.models import BankId, IdQuality, StoredTransaction, Transaction, Window
from tests.simulation.lives import decide
from tests.simulation.small import ENTRIES, FIRST, stores
from tests.soak import SOAK

EXAMPLES = 2000 if SOAK else 200

Change = tuple[Counter[object], frozenset[object], frozenset[object]]


def changed(pages: Sequence[Sequence[Transaction]], stored: Sequence[StoredTransaction], *, cut: bool) -> Change:
    """What a read changes, without the ids of new rows."""
    numbers = itertools.count()
    window = Window(FIRST + timedelta(days=3))
    change = decide(window, pages, stored, new_id=lambda: f"new-{next(numbers)}", cut=cut).change_set
    new = Counter(repr((*key(row.transaction),)) for row in change.inserts)
    updates = {(row.id, row.status, row.missing_at_bank, repr(key(row.transaction))) for row in change.updates}
    return Counter(new), frozenset(updates), frozenset(change.marks)


def key(entry: Transaction) -> tuple[object, ...]:
    """All of an entry."""
    return (
        entry.status, entry.day, entry.amount, entry.currency, entry.ids, entry.link, entry.counterparty_name,
        entry.remittance,
    )  # fmt: skip


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    pages=st.lists(st.lists(ENTRIES, max_size=5), min_size=1, max_size=3),
    stored=stores(),
    seed=st.integers(0, 2**16),
    cut=st.booleans(),
)
def test_the_order_says_nothing(
    pages: list[list[Transaction]], stored: list[StoredTransaction], seed: int, *, cut: bool
) -> None:
    """Pages, the entries on each page and the stored rows in another order change the same rows in the same way."""
    pages = alike([apart(page, number) for number, page in enumerate(pages)])
    before = changed(pages, stored, cut=cut)
    r = random.Random(seed)
    others = [r.sample(page, len(page)) for page in r.sample(pages, len(pages))]
    assert changed(others, r.sample(stored, len(stored)), cut=cut) == before


def apart(page: list[Transaction], number: int) -> list[Transaction]:
    """The page without the entries without an id that two pages could have in common: without an id it is the order
    that tells a page that overlaps."""
    return [entry for entry in page if has_name(entry) or entry.day.day % 3 == number]


def has_name(entry: Transaction) -> bool:
    """Whether an id names the entry."""
    return any(bank_id.quality is IdQuality.STRONG for bank_id in entry.ids)


def alike(pages: list[list[Transaction]]) -> list[list[Transaction]]:
    """The pages without an entry that has an id of another and says it in other words: which of the two is kept goes by
    the page (`may_repeat`), and only the words differ."""
    seen: dict[BankId, tuple[object, ...]] = {}

    def is_told_alike(entry: Transaction) -> bool:
        return all(seen.setdefault(one, key(entry)) == key(entry) for one in entry.ids)

    return [[entry for entry in page if is_told_alike(entry)] for page in pages]
