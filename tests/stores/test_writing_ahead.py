"""New rows are made ready in a thread while others are being written: one slice ahead, and never after the end."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bankimport.errors import StoreUnavailable
from bankimport.models import AccountState, BankAccount
from bankimport.ports import ChangeSet, NewRow
from bankimport.stores import SqlStore
from bankimport.stores.sql.inserting import Inserter
from bankimport.testing.contracts.store import Lazy, inserts, rows_of
from tests.stores.databases import new_account, scalar
from tests.waiting import wait_until


class _Slow(Lazy):
    """Rows that take a while to make from the 3,000th on; whether somebody is waiting for one just now."""

    read = 0
    is_read = False

    def __iter__(self) -> Iterator[NewRow]:
        self.read = 0
        for row in super().__iter__():
            self.read += 1
            if self.read == 3000:
                self.is_read = True
                time.sleep(0.3)  # the work that a cancellation or a refused write meets
                self.is_read = False
            yield row


class _Doubled(_Slow):
    """The same, but the second row has the id of the first, which no database takes."""

    def __iter__(self) -> Iterator[NewRow]:
        for number, row in enumerate(super().__iter__()):
            yield NewRow("same", row.transaction) if number < 2 else row


class _Failing(Lazy):
    """Rows that can't be made from the 3,000th on."""

    def __iter__(self) -> Iterator[NewRow]:
        for number, row in enumerate(super().__iter__()):
            if number == 3000:
                raise OSError("the disk is gone")
            yield row


async def test_one_slice_ahead_and_no_more(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first slice is being written the second is made ready, in a thread; the third has to wait."""
    account, rows, go_on = await new_account(store), _Slow(9000), asyncio.Event()
    write = Inserter._write

    async def held(*args: Any) -> None:
        await go_on.wait()
        await write(*args)

    monkeypatch.setattr(Inserter, "_write", held)
    writing = asyncio.create_task(store.apply(account, 0, ChangeSet(inserts=rows), None, None, 1))
    await wait_until(lambda: rows.read == 4000)
    await asyncio.sleep(0.1)  # no condition: for this long nobody reads on
    assert (rows.read, writing.done()) == (4000, False)
    go_on.set()
    assert await writing
    assert len(await rows_of(store, account)) == 9000


async def test_every_alias_is_written(store: SqlStore, url: str) -> None:
    """Whatever their number is, against that of a statement."""
    account = await new_account(store)
    done = 0
    for version, count in enumerate((1, 499, 500, 501, 1000, 1999, 2000, 2001, 4000)):
        rows = Lazy(count, first=done)
        assert await store.apply(account, version, ChangeSet(inserts=rows), None, None, 1)
        done += count
        assert await scalar(url, "SELECT count(*) FROM bank_transactions") == done
        assert await scalar(url, "SELECT count(*) FROM bank_transaction_ids") == 2 * done


async def test_a_failed_write_ends_the_reading_too(store: SqlStore) -> None:
    """When a slice is refused while the next is made ready, nothing is written and nobody reads on."""
    account, rows = await new_account(store), _Doubled(9000)
    with pytest.raises(StoreUnavailable):
        await store.apply(account, 0, ChangeSet(inserts=rows), None, None, 1)
    await _is_as_before(store, account, rows)


async def test_a_cancelled_write_ends_the_reading_too(store: SqlStore) -> None:
    """A run that is cancelled while the next slice is made ready waits for it, and then nobody reads on."""
    account, rows = await new_account(store), _Slow(9000)
    writing = asyncio.create_task(store.apply(account, 0, ChangeSet(inserts=rows), None, None, 1))
    await wait_until(lambda: rows.is_read)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await _is_as_before(store, account, rows)


async def test_rows_that_cannot_be_made(store: SqlStore) -> None:
    """An error while the next slice is made ready is the write's, and nothing is written."""
    account, rows = await new_account(store), _Failing(9000)
    with pytest.raises(StoreUnavailable):
        await store.apply(account, 0, ChangeSet(inserts=rows), None, None, 1)
    assert await rows_of(store, account) == {}


async def _is_as_before(store: SqlStore, account: BankAccount, rows: _Slow) -> None:
    read = rows.read
    assert not rows.is_read
    assert (await rows_of(store, account), await store.account_state(account)) == ({}, AccountState())
    assert await store.apply(account, 0, inserts(1), None, None, 2)
    assert rows.read == read
