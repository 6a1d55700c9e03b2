"""The import decides as the slow reference does, on small random reads and stores."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bankimport.models import StoredTransaction, Transaction, Window
from tests.simulation import reference
from tests.simulation.lives import Rows, decide
from tests.simulation.small import ENTRIES, FIRST, NO_LINKS, stores
from tests.soak import SOAK

EXAMPLES = 20_000 if SOAK else 300
#: In one of so many the two differ: where an entry has two ids that say different things, and where more entries than
#: rows want a row and not the nearest of them gets it
RARELY = 250
WINDOW = Window(FIRST + timedelta(days=3))
AS_MANY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[*HealthCheck],
)

Told = Counter[tuple[object, ...]]
Pages = list[list[Transaction]]


def test_a_complete_read() -> None:
    """After a complete read the same rows are there: status, day, money, text, and how often they were missing."""
    differing: list[tuple[Pages, list[StoredTransaction]]] = []

    @AS_MANY
    @given(pages=st.lists(st.lists(ENTRIES, max_size=4), min_size=1, max_size=2), stored=stores(deletes=False))
    def compare(pages: Pages, stored: list[StoredTransaction]) -> None:
        expected = told(reference.reference(WINDOW, pages, stored, reference.Memory()).rows)
        other = told(reference.reference(WINDOW, pages, stored, reference.Memory(), backwards=True).rows)
        if expected == other != by_the_import(pages, stored, cut=False):  # of equally good answers any will do
            differing.append((pages, stored))

    compare()
    assert len(differing) <= EXAMPLES // RARELY, differing[0]


def test_a_read_that_broke_off() -> None:
    """After a read that broke off too."""
    differing: list[tuple[Pages, list[StoredTransaction]]] = []

    @AS_MANY
    @given(pages=st.lists(st.lists(NO_LINKS, max_size=4), min_size=1, max_size=2), stored=stores(deletes=False))
    def compare(pages: Pages, stored: list[StoredTransaction]) -> None:
        expected = told(reference.reference_of_a_part(WINDOW, pages, stored, reference.Memory()).rows)
        if by_the_import(pages, stored, cut=True) != expected:
            differing.append((pages, stored))

    compare()
    assert len(differing) <= EXAMPLES // RARELY, differing[0]


def by_the_import(pages: Sequence[Sequence[Transaction]], stored: Sequence[StoredTransaction], *, cut: bool) -> Told:
    """The rows after the import's decision."""
    rows, numbers = Rows(), itertools.count()
    rows.by_id = {row.id: row for row in stored}
    rows.apply(decide(WINDOW, pages, stored, new_id=lambda: f"new-{next(numbers)}", cut=cut).change_set)
    return told(rows.by_id.values())


def told(rows: Iterable[StoredTransaction]) -> Told:
    """The rows without their ids and the bank's: equal twins may change places."""
    return Counter((row.status, row.missing_at_bank, reference.content(row.transaction)) for row in rows)
