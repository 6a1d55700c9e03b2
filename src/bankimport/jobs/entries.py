"""The entries of one read: a list, until there are so many that all but a few go to disk."""

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date
from typing import Final

from bankimport.imports.repeats import once
from bankimport.jobs.spool import Spool
from bankimport.models import IdKey, IdQuality, Transaction, Window

#: A read with more entries is long: it is kept on disk and decided in portions.
LONG: Final = 20_000
_PARTS: Final = 64


class Entries:
    """What a bank reported, as it comes in."""

    def __init__(self) -> None:
        self._list: list[Transaction] = []
        self._spool: Spool | None = None
        self.first = date.max
        self.last = date.min

    def extend(self, entries: Sequence[Transaction]) -> None:
        """Keep entries."""
        days = [entry.day for entry in entries]
        self.first, self.last = min([self.first, *days]), max([self.last, *days])
        if self._spool is None:
            self._list += entries
            if len(self._list) > LONG:
                self._go_long()
        else:
            self._put(entries, self._spool)

    def _go_long(self) -> None:
        self._spool, entries, self._list = Spool(), self._list, []
        self._names = [array("q") for _ in range(_PARTS)]
        self._put(entries, self._spool)

    def _put(self, entries: Iterable[Transaction], spool: Spool) -> None:
        names = self._names
        for entry in entries:
            for one in entry.ids:
                if one.quality is IdQuality.STRONG:
                    name = hash((one.namespace, one.value))
                    names[name % _PARTS].append(name)
            if entry.is_booked and entry.link is None and not entry.may_repeat:
                spool.add(entry)
            else:
                self._list.append(entry)

    @property
    def is_long(self) -> bool:
        """Whether they are on disk."""
        return self._spool is not None

    def __len__(self) -> int:
        return len(self._list) + (0 if self._spool is None else len(self._spool))

    def __iter__(self) -> Iterator[Transaction]:
        yield from self._list
        if self._spool is not None:
            yield from self._spool

    def close(self) -> None:
        """Give the disk back."""
        if self._spool is not None:
            self._spool.close()

    def replace_day(self, day: date, entries: Sequence[Transaction]) -> None:
        """Keep entries instead of the booked ones of a day, in a read that isn't long."""
        self._list = [e for e in self._list if e.day != day or not e.is_booked]
        self.extend(entries)

    def tidied(self, shared: Collection[str]) -> "TidyEntries":
        """Return the entries of a long read, each once: as `once` has it, of which only those take part whose id
        comes twice, which link, may repeat, or are not booked."""
        if self._spool is None:
            self._go_long()
        spool = self._spool or Spool()
        names = {name for part in self._names for name in _repeated(part)}
        aside = list(self._list)
        if names:
            aside += [entry for entry in spool if _has_one_of(names, entry.names)]
        kept, found = once(aside, shared)
        return TidyEntries(spool, names, kept, len(self) - len(aside), found)


class TidyEntries:
    """The entries of a long read, each once. `shared` are the namespaces of which an id names different entries."""

    def __init__(
        self, spool: Spool, names: set[int], aside: list[Transaction], alone: int, shared: Collection[str]
    ) -> None:
        self._spool, self._names, self._aside = spool, names, aside
        self._alone = alone
        self.shared = shared

    @property
    def aside(self) -> Sequence[Transaction]:
        """Those that were looked at one by one: all that aren't booked, link, or may repeat, and others."""
        return self._aside

    def count(self, keep: Callable[[Transaction], bool]) -> int:
        """Return how many there are of those that are kept, where all that aren't `aside` are."""
        return self._alone + sum(map(keep, self._aside))

    def __iter__(self) -> Iterator[Transaction]:
        yield from self._aside
        for entry in self._spool:
            if not self._names or not _has_one_of(self._names, entry.names):
                yield entry

    def counts(self) -> Iterator[tuple[Window, int]]:
        """Yield about how many entries there are on which days."""
        return self._spool.counts()

    def read(self, days: Window) -> list[Transaction]:
        """Return the entries of these days."""
        found = self._spool.read(days)
        if self._names:
            found = [entry for entry in found if not _has_one_of(self._names, entry.names)]
        found += [e for e in self._aside if days.holds(e.day)]
        return found


def _repeated(names: "array[int]") -> set[int]:
    once: set[int] = set()
    twice: set[int] = set()
    for name in names:
        (twice if name in once else once).add(name)
    return twice


def _has_one_of(names: set[int], keys: list[IdKey]) -> bool:
    return any(hash(key) in names for key in keys)
