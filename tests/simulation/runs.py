"""120 days of one simulated account through the pure decision, with a store that is a dictionary."""

import itertools
import random
from collections import Counter
from datetime import timedelta

from bankimport.imports import (
    Extent,
    Quarantined,
    Reading,
    automatic_window,
    covered,
    read_transaction,
    reconcile,
    window_to_load,
)
from bankimport.imports.identity import key_of, strong_keys
from bankimport.models import Interval, RowStatus, StoredTransaction, Transaction, Window
from bankimport.ports import ChangeSet
from tests.simulation.simulated_bank import FIRST_DAY, Ids, SimulatedBank


class Rows:
    """Stored rows as the store's contract has them."""

    def __init__(self) -> None:
        self.by_id: dict[str, StoredTransaction] = {}
        self.aliases: dict[tuple[str, str], str] = {}
        self.numbers = itertools.count()

    def new_id(self) -> str:
        return f"row-{next(self.numbers):06}"

    def load(self, window: Window, entries: list[Transaction]) -> list[StoredTransaction]:
        named = {self.aliases.get(key) for entry in entries for key in strong_keys(entry)}
        return [
            row
            for row in self.by_id.values()
            if row.id in named
            or (row.transaction.day >= window.since and (window.until is None or row.transaction.day <= window.until))
        ]

    def apply(self, change: ChangeSet) -> None:
        import dataclasses

        for new in change.inserts:
            status = RowStatus(new.transaction.status.value)
            self._put(StoredTransaction(new.id, status, new.transaction))
        for update in change.updates:
            kept = self.by_id[update.id].transaction
            ids = {key_of(i): i for i in (*kept.ids, *update.transaction.ids)}
            transaction = dataclasses.replace(update.transaction, ids=tuple(ids.values()))
            self._put(StoredTransaction(update.id, update.status, transaction, update.missing_at_bank))
        for mark in change.marks:
            row = self.by_id[mark.id]
            self.by_id[mark.id] = dataclasses.replace(row, status=mark.status, missing_at_bank=mark.missing_at_bank)

    def _put(self, row: StoredTransaction) -> None:
        import dataclasses

        self.by_id[row.id] = row
        for bank_id in row.transaction.ids:
            owner = self.aliases.get(key_of(bank_id))
            if owner not in (None, row.id):
                other = self.by_id[owner]
                ids = tuple(i for i in other.transaction.ids if key_of(i) != key_of(bank_id))
                self.by_id[owner] = dataclasses.replace(
                    other, transaction=dataclasses.replace(other.transaction, ids=ids)
                )
            self.aliases[key_of(bank_id)] = row.id

    def booked(self) -> Counter:
        rows = (row for row in self.by_id.values() if row.status is RowStatus.BOOKED)
        return Counter((r.transaction.day, r.transaction.amount, r.transaction.currency) for r in rows)


def run_pure(seed: int, ids: Ids, days: int = 120) -> int:
    """Sync for `days`; after each complete sync the stored booked rows are the bank's. Return how many there were."""
    bank, rows, coverage = SimulatedBank(seed, ids, days), Rows(), ()
    r = random.Random(f"syncs-{seed}-{ids}")
    first = FIRST_DAY - timedelta(days=90)
    complete_syncs, away_until = 0, FIRST_DAY
    coverage: tuple[Interval, ...]
    for offset in range(days):
        today = FIRST_DAY + timedelta(days=offset)
        if today < away_until:
            continue
        if r.random() < 0.02:
            away_until = today + timedelta(days=r.randrange(2, 22))
            continue
        for _ in range(r.choice((1, 1, 2, 3))):
            window = automatic_window(coverage, today=today, max_history=timedelta(days=90))
            pages = bank.pages(window, today)
            cut = r.random() < 0.15
            if cut:
                pages = pages[: r.randrange(len(pages))]
            entries = []
            for reported in itertools.chain.from_iterable(pages):
                entry = read_transaction(reported, "EUR")
                assert not isinstance(entry, Quarantined)
                entries.append(entry)
            reading = Reading(window, Extent.INCOMPLETE if cut else Extent.COMPLETE)
            seen = [entry.day for entry in entries]
            stored = rows.load(window_to_load(window, min(seen, default=None), max(seen, default=None)), entries)
            rows.apply(reconcile(reading, entries, stored, new_id=rows.new_id))
            if not cut:
                coverage = covered(coverage, window, today)
                complete_syncs += 1
                first_day = first
                expected = bank.booked(today, first_day)
                found = rows.booked()
                if found != expected:
                    raise AssertionError(
                        f"seed {seed}, ids {ids}, {today}: too many {dict(found - expected)}, lost {dict(expected - found)}"
                    )
    return complete_syncs
