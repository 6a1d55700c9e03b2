"""Decide a read too large for memory: in portions against what is stored, then the few that are left together."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Final

from bankimport.imports import Decision, Extent, Reading, window_to_load
from bankimport.imports.portions import Conclusion, Portions, portions_of, wandering_ids
from bankimport.imports.worth import shared_before
from bankimport.jobs.entries import Entries, TidyEntries
from bankimport.jobs.spool import Spool
from bankimport.models import (
    AccountState,
    BankAccount,
    StoredTransaction,
    Transaction,
    Window,
)
from bankimport.ports import BankStore, NewRow

#: about so many entries are decided, or looked up, at once
_PORTION: Final = 5000
_NO_DAYS: Final = Window(date.max, date.max)

NewId = Callable[[], str]


@dataclass(frozen=True, slots=True)
class _Portion:
    """Some days of the read, and what was stored of them at `version`."""

    days: Window
    entries: Sequence[Transaction]
    stored: Sequence[StoredTransaction]
    version: int


class NewRows(Collection[NewRow]):
    """New rows, made as they are read, as often as somebody reads them, with other ids each time."""

    def __init__(self, entries: Callable[[], Iterator[Transaction]], count: int, new_id: NewId) -> None:
        self._entries, self._count, self._new_id = entries, count, new_id

    def __len__(self) -> int:
        return self._count

    def __contains__(self, row: object) -> bool:
        return any(row == each for each in self)

    def __iter__(self) -> Iterator[NewRow]:
        return (NewRow(self._new_id(), entry) for entry in self._entries())


class LongRead:
    """One long read of an account, while it is decided. Its file on disk ends with its last reader."""

    def __init__(self, reading: Reading, entries: Entries, account: BankAccount, store: BankStore) -> None:
        self._reading, self._entries = reading, entries
        self._account, self._store = account, store
        self._left = Spool()

    async def decide(self, state: AccountState, new_id: NewId) -> Decision | None:
        """Return what the read changes and teaches; None if somebody wrote the account meanwhile."""
        entries = await asyncio.to_thread(self._entries.tidied, shared_before(state.memory.worth))
        portions = Portions(self._reading, state.memory, entries.shared)
        if state.version == 0:  # nothing was ever written, so everything is new
            return await asyncio.to_thread(self._all_new, portions, entries, new_id)
        days = window_to_load(self._reading.window, self._entries.first, self._entries.last)
        async with aclosing(self._loaded(entries, days)) as parts:
            async for part in parts:
                if part.version != state.version:
                    return None
                for entry in await asyncio.to_thread(portions.take, part.entries, part.stored, part.days):
                    self._left.add(entry)
        outside = await self._outside(days, state.version)
        return None if outside is None else await asyncio.to_thread(self._conclude, portions, outside, new_id)

    async def _loaded(self, entries: TidyEntries, days: Window) -> AsyncGenerator[_Portion, None]:
        """Yield the portions with what is stored on their days. While one is decided, the next is loaded."""
        ahead: asyncio.Task[_Portion] | None = None
        try:
            for part in portions_of(days, entries.counts(), _PORTION):
                loaded = None if ahead is None else await ahead
                ahead = asyncio.create_task(self._load(entries, part))
                if loaded is not None:
                    yield loaded
            if ahead is not None:
                yield await ahead
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)

    async def _load(self, entries: TidyEntries, days: Window) -> _Portion:
        here = await asyncio.to_thread(entries.read, days)
        stored, version = await self._store.load_rows(self._account, days, wandering_ids(here))
        return _Portion(days, here, stored, version)

    def _all_new(self, portions: Portions, entries: TidyEntries, new_id: NewId) -> Decision:
        found = portions.conclude(entries.aside, ())
        window, reading = self._reading.window, self._reading
        inside = window.holds(self._entries.first) and window.holds(self._entries.last)
        whole = inside and reading.extent is Extent.COMPLETE
        count = len(found.new) + entries.count(found.is_new) if whole else None
        return found.decision(_new_rows(found, entries, new_id, count))

    async def _outside(self, days: Window, version: int) -> list[StoredTransaction] | None:
        """Return the rows that no portion had and that ids or links name; None if somebody wrote meanwhile."""
        rows: dict[str, StoredTransaction] = {}
        for part in _parted(self._left):
            ids = [i for entry in part for i in entry.lookups]
            if not ids:
                continue
            named, later = await self._store.load_rows(self._account, _NO_DAYS, ids)
            if later != version:
                return None
            rows.update((row.id, row) for row in named if not days.holds(row.day))
        return list(rows.values())

    def _conclude(self, portions: Portions, outside: Iterable[StoredTransaction], new_id: NewId) -> Decision:
        found = portions.conclude(self._left, outside)
        return found.decision(_new_rows(found, self._left, new_id))


def _new_rows(found: Conclusion, entries: Iterable[Transaction], new_id: NewId, count: int | None = None) -> NewRows:
    """Return the rows that are new of what some row might have been, and of these entries; they are counted unless
    somebody knows how many they are."""

    def new() -> Iterator[Transaction]:
        yield from found.new
        yield from filter(found.is_new, entries)

    return NewRows(new, sum(1 for _ in new()) if count is None else count, new_id)


def _parted(entries: Iterable[Transaction]) -> Iterator[Sequence[Transaction]]:
    iterator = iter(entries)
    while part := list(islice(iterator, _PORTION)):
        yield part
