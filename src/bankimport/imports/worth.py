"""What a bank's ids are worth: measured in each read, per namespace, by the rows that they name."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from bankimport.imports.likeness import Likeness, compare, wording
from bankimport.models import IdKey, IdWorth, RowStatus, StoredTransaction, Transaction

#: what each read leaves of the weight of those before it
_FADING: Final = 0.9
#: ids are believed where nine in ten agree
_AGREEING: Final = 9

#: the rows that have had an id; more than one where a bank uses ids again
Named = dict[IdKey, list[StoredTransaction]]


def rows_by_name(stored: Iterable[StoredTransaction]) -> Named:
    """Return the rows by each of their ids."""
    named: Named = {}
    for row in stored:
        for key in row.names:
            named.setdefault(key, []).append(row)
    return named


class Worth:
    """The ids of one account, in one read: counts, and answers which of them are believed. Of the namespaces `shared`
    an id has named different entries within this read."""

    def __init__(self, past: Mapping[str, IdWorth], shared: Iterable[str]) -> None:
        self._past = past
        self._agreed: Counter[str] = Counter()
        self._disagreed: Counter[str] = Counter()
        self._shared = frozenset(shared)

    def agrees(self, namespace: str) -> None:
        """Count an id that names the row it should."""
        self._agreed[namespace] += 1

    def count(self, entry: Transaction, named: Named) -> None:
        """Count the entry's ids.

        One that names a row of its money agrees, unless the texts conflict; one that has named rows of different money
        disagrees. One that has named several of equal money says nothing, nor does one whose row the bank may have
        corrected, or booked at another amount.
        """
        for key in entry.names:
            rows = named.get(key)
            verdict = None if rows is None else _verdict(entry, rows)
            if verdict is not None:
                votes = self._agreed if verdict else self._disagreed
                votes[key[0]] += 1

    def is_believed(self, namespace: str) -> bool:
        """Return whether nine in ten of its known ids agree, in this read and over the past ones. A single one that
        doesn't is a change that the bank made, not its habit."""
        agreed, disagreed = self._agreed[namespace], self._disagreed[namespace]
        return self.was_believed(namespace) and (disagreed <= 1 or agreed >= _AGREEING * disagreed)

    def was_believed(self, namespace: str) -> bool:
        """Return what the past reads alone say."""
        past = self._past.get(namespace)
        return past is None or past.agreed >= _AGREEING * past.disagreed

    def after(self) -> dict[str, IdWorth]:
        """Return what is known after this read."""
        found: dict[str, IdWorth] = {}
        for namespace in {*self._past, *self._agreed, *self._disagreed, *self._shared}:
            past = self._past.get(namespace, IdWorth())
            found[namespace] = IdWorth(
                round(_FADING * past.agreed + self._agreed[namespace], 3),
                round(_FADING * past.disagreed + self._disagreed[namespace], 3),
                past.is_shared or namespace in self._shared,
            )
        return found


def shared_before(past: Mapping[str, IdWorth]) -> Collection[str]:
    """Return the namespaces of which an id has named different entries within one read."""
    return {namespace for namespace, worth in past.items() if worth.is_shared}


def _verdict(entry: Transaction, rows: list[StoredTransaction]) -> bool | None:
    kept = rows[0].transaction
    if len(rows) > 1:
        return None if all(row.money == kept.money for row in rows) else False
    like, _ = compare(wording(entry), wording(kept))
    if entry.money != kept.money:
        is_own_pending = entry.is_booked and rows[0].status is not RowStatus.BOOKED
        is_corrected = entry.day == kept.day and like is Likeness.MATCHING
        return None if is_own_pending or is_corrected else False
    return like is not Likeness.CONFLICTING
