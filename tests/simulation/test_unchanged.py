"""The short way for what is reported as it is stored decides as the long one does."""

from collections import Counter
from collections.abc import Sequence

import pytest

from bankimport.imports import Decision, Reading, portions, reconcile
from bankimport.imports.worth import Worth
from bankimport.models import StoredTransaction, Transaction
from bankimport.ports import ChangeSet
from tests.simulation import runs
from tests.simulation.simulated_bank import Ids
from tests.soak import SOAK

SEEDS = 200 if SOAK else 1


def nothing_aside(
    incoming: Sequence[Transaction], stored: Sequence[StoredTransaction], worth: Worth
) -> tuple[list[Transaction], list[StoredTransaction]]:
    """Leave everything to the long way."""
    return list(incoming), list(stored)


def content(t: Transaction, kind: object) -> tuple[object, ...]:
    """What two reports of one entry have in common when nothing changed between them."""
    return kind, t.day, t.amount, t.currency, t.counterparty_name, t.counterparty_iban, t.remittance


def told(change: ChangeSet, stored: Sequence[StoredTransaction]) -> Counter[tuple[object, ...]]:
    """The rows as they are afterwards, without our ids and the bank's: equal twins may change places."""
    rows = {
        row.id: (row.status, row.missing_at_bank, content(row.transaction, row.transaction.status)) for row in stored
    }
    rows |= {u.id: (u.status, u.missing_at_bank, content(u.transaction, u.transaction.status)) for u in change.updates}
    rows |= {m.id: (m.status, m.missing_at_bank, rows[m.id][2]) for m in change.marks}
    new = ((None, 0, content(new.transaction, new.transaction.status)) for new in change.inserts)
    return Counter([*rows.values(), *new])


@pytest.mark.timeout(7200 if SOAK else 300)
@pytest.mark.parametrize("ids", list(Ids))
def test_the_short_way_changes_no_decision(monkeypatch: pytest.MonkeyPatch, ids: Ids) -> None:
    """Whatever the bank's ids are like, both ways leave the same rows, read by read."""
    short_way = portions.set_unchanged_aside
    set_aside = 0

    def both(
        reading: Reading, entries: Sequence[Transaction], stored: Sequence[StoredTransaction], **options: object
    ) -> Decision:
        nonlocal set_aside
        monkeypatch.setattr(portions, "set_unchanged_aside", nothing_aside)
        long = reconcile(reading, entries, stored, **options)  # type: ignore[arg-type]  # handed on as they came
        monkeypatch.setattr(portions, "set_unchanged_aside", short_way)
        set_aside += len(entries) - len(short_way(entries, stored, Worth({}, ()))[0])
        short = reconcile(reading, entries, stored, **options)  # type: ignore[arg-type]  # as above
        assert told(short.change_set, stored) == told(long.change_set, stored)
        return short

    monkeypatch.setattr(runs, "reconcile", both)
    assert sum(runs.run_pure(seed, ids) for seed in range(SEEDS)) > SEEDS * 50
    assert set_aside > 0 or ids in (Ids.ABSENT, Ids.ROTATING)
