"""Entries of a long read on disk, by day: an anonymous file of this process, which ends with it."""

import pickle
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from tempfile import TemporaryFile
from typing import IO, Any, Final

from bankimport.models import BankId, IdQuality, Transaction, TransactionStatus, Window

#: so many entries are held before they are written
_HELD: Final = 4000
#: days that are written and read together
_TOGETHER: Final = 4

_STATUSES: Final = {status.value: status for status in TransactionStatus}
_STRONG: Final = IdQuality.STRONG

Record = tuple[Any, ...]


class Spool:
    """Entries by day, as many as the disk holds. Reading them goes from the oldest day to the newest."""

    def __init__(self) -> None:
        self._file: IO[bytes] = TemporaryFile(prefix="bankimport-")  # noqa: SIM115  # it lives as long as the spool
        self._recent: defaultdict[int, list[Record]] = defaultdict(list)
        self._held = 0
        self._blocks: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        self._counts: defaultdict[int, int] = defaultdict(int)

    def __len__(self) -> int:
        return sum(self._counts.values())

    def add(self, entry: Transaction) -> None:
        """Keep an entry."""
        group = entry.day.toordinal() // _TOGETHER
        self._recent[group].append(_packed(entry))
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
        return [
            entry
            for entry in self._between(days)
            if days.since <= entry.day and (days.until is None or entry.day <= days.until)
        ]

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
                    yield from map(_unpacked, block)

    def _flush(self) -> None:
        if not self._held:
            return
        at = self._file.seek(0, 2)
        for group, records in self._recent.items():
            length = self._file.write(pickle.dumps(records, pickle.HIGHEST_PROTOCOL))
            self._blocks[group].append((at, length))
            at += length
        self._recent.clear()
        self._held = 0


def _days(group: int) -> Window:
    first = group * _TOGETHER
    return Window(date.fromordinal(max(first, 1)), date.fromordinal(first + _TOGETHER - 1))


def _packed(t: Transaction) -> Record:
    """Return plain values: they are written and read several times faster than objects."""
    return (
        t.status.value,
        t.day.toordinal(),
        str(t.amount),
        t.currency,
        None if t.booking_date is None else t.booking_date.toordinal(),
        None if t.value_date is None else t.value_date.toordinal(),
        [(i.namespace, i.value, i.quality is _STRONG) for i in t.ids],
        None if t.link is None else (t.link.namespace, t.link.value, t.link.quality is _STRONG),
        t.counterparty_name,
        t.counterparty_iban,
        t.remittance,
        t.raw,
    )


def _unpacked(record: Record) -> Transaction:
    status, day, amount, currency, booking, value, ids, link, name, iban, remittance, raw = record
    return Transaction(
        _STATUSES[status],
        date.fromordinal(day),
        Decimal(amount),
        currency,
        None if booking is None else date.fromordinal(booking),
        None if value is None else date.fromordinal(value),
        tuple([_bank_id(each) for each in ids]),
        None if link is None else _bank_id(link),
        name,
        iban,
        remittance,
        raw,
    )


def _bank_id(parts: tuple[str, str, bool]) -> BankId:
    namespace, value, strong = parts
    return BankId(namespace, value, IdQuality.STRONG if strong else IdQuality.WEAK)
