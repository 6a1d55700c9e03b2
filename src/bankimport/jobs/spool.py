"""Entries of a long read on disk, by day: an anonymous file of this process, which ends with it."""

import pickle
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from tempfile import TemporaryFile
from typing import IO, Any, Final

from bankimport.models import BankId, Transaction, Window
from bankimport.models.maker import maker

#: so many entries are held before they are written
_HELD: Final = 4000
#: days that are written and read together
_TOGETHER: Final = 4

_transaction, _bank_id = maker(Transaction), maker(BankId)

Columns = tuple[list[Any], ...]


class Spool:
    """Entries by day, as many as the disk holds. Reading them goes from the oldest day to the newest."""

    def __init__(self) -> None:
        self._file: IO[bytes] = TemporaryFile(prefix="bankimport-")  # noqa: SIM115  # it lives as long as the spool
        self._recent: defaultdict[int, list[Transaction]] = defaultdict(list)
        self._held = 0
        self._blocks: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        self._counts: defaultdict[int, int] = defaultdict(int)

    def __len__(self) -> int:
        return sum(self._counts.values())

    def add(self, entry: Transaction) -> None:
        """Keep an entry."""
        group = entry.day.toordinal() // _TOGETHER
        self._recent[group].append(entry)
        self._counts[group] += 1
        self._held += 1
        if self._held >= _HELD:
            self._flush()

    def counts(self) -> Iterator[tuple[Window, int]]:
        """Yield how many entries there are on which days."""
        for group in sorted(self._counts):
            yield _days(group), self._counts[group]

    def read(self, days: Window) -> list[Transaction]:
        """Return the entries of these days."""
        return [entry for entry in self._between(days) if days.holds(entry.day)]

    def __iter__(self) -> Iterator[Transaction]:
        return self._between(Window(date.min))

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()

    def _between(self, days: Window) -> Iterator[Transaction]:
        self._flush()
        first = days.since.toordinal() // _TOGETHER
        last = None if days.until is None else days.until.toordinal() // _TOGETHER
        for group in sorted(self._blocks):
            if first <= group and (last is None or group <= last):
                for at, length in self._blocks[group]:
                    self._file.seek(at)
                    block = pickle.loads(self._file.read(length))  # noqa: S301  # an unlinked file of our own
                    yield from _unpacked(block)

    def _flush(self) -> None:
        if not self._held:
            return
        at = self._file.seek(0, 2)
        for group, entries in self._recent.items():
            length = self._file.write(pickle.dumps(_packed(entries), pickle.HIGHEST_PROTOCOL))
            self._blocks[group].append((at, length))
            at += length
        self._recent.clear()
        self._held = 0


def _days(group: int) -> Window:
    first = group * _TOGETHER
    return Window(date.fromordinal(max(first, 1)), date.fromordinal(first + _TOGETHER - 1))


def _packed(entries: Sequence[Transaction]) -> Columns:
    """Return plain values, a column at a time: they are written and read several times faster than objects. A day or
    a quality that many entries share is written once."""
    return (
        [t.status for t in entries],
        [t.day for t in entries],
        [str(t.amount) for t in entries],
        [t.currency for t in entries],
        [t.booking_date for t in entries],
        [t.value_date for t in entries],
        [[(i.namespace, i.value, i.quality) for i in t.ids] for t in entries],
        [None if t.link is None else (t.link.namespace, t.link.value, t.link.quality) for t in entries],
        [t.counterparty_name for t in entries],
        [t.counterparty_iban for t in entries],
        [t.remittance for t in entries],
        [t.raw for t in entries],
        [t.page for t in entries],
        [t.may_repeat for t in entries],
    )


def _unpacked(columns: Columns) -> Iterator[Transaction]:
    statuses, days, amounts, currencies, bookings, values, ids, links, *texts = columns
    return map(
        _transaction,
        statuses,
        days,
        map(Decimal, amounts),
        currencies,
        bookings,
        values,
        [tuple([_bank_id(*one) for one in each]) for each in ids],
        [None if link is None else _bank_id(*link) for link in links],
        *texts,
    )
