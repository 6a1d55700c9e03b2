"""The store with many rows and many organisations: streams in slices, linear cost, flat memory, exact values."""

import asyncio
import time
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal

import pytest
from sqlalchemy import String, cast, insert, literal, select

from bankimport.models import Balance, BankId, Window
from bankimport.ports import ChangeSet, NewRow
from bankimport.stores import SqlStore
from bankimport.stores.sql.engine import open_engine
from bankimport.stores.sql.schema import connections
from bankimport.testing.contracts.store import ALWAYS, DAY, NOW, Lazy, inserts, rows_of
from tests.migrated import upgraded
from tests.stores.databases import new_account, scalar
from tests.waiting import wait_until


class _Watched(Lazy):
    """Counts how far it was read."""

    read = 0

    def __iter__(self) -> Iterator[NewRow]:
        self.read = 0
        for row in super().__iter__():
            self.read += 1
            yield row


async def test_memory_does_not_grow_with_the_rows_written(store: SqlStore) -> None:
    """Three times the rows take the same memory: no more than a few slices are ever held."""
    account = await new_account(store)
    peaks = []
    # the first fills the caches; of the second, slices enough for one to be ready while another is written, whenever
    for version, (first, count) in enumerate(((0, 3_000), (5_000, 8_000), (20_000, 24_000))):
        rows = Lazy(count, first=first)
        tracemalloc.start()
        assert await store.apply(account, version, ChangeSet(inserts=rows), None, None, 1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.3 * peaks[1]


async def test_a_large_write_lets_others_work(store: SqlStore) -> None:
    """While 10,000 rows are written and read back, the process's other tasks have their turns."""
    account = await new_account(store)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await store.apply(account, 0, ChangeSet(inserts=Lazy(10_000)), None, None, 1)
    written, turns = turns, 0
    await rows_of(store, account)
    task.cancel()
    assert written > 10
    assert turns > 10


async def test_a_cancelled_write_leaves_nothing(store: SqlStore) -> None:
    """A run that its time limit ends in the middle of a write has written nothing, and locks nobody out."""
    account = await new_account(store)
    rows = _Watched(50_000)
    writing = asyncio.create_task(store.apply(account, 0, ChangeSet(inserts=rows), None, None, 1))
    await wait_until(lambda: rows.read >= 8000)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await rows_of(store, account) == {}
    assert await store.apply(account, 0, inserts(1), None, None, 2)


@pytest.mark.soak
async def test_ten_times_the_rows_take_at_most_eleven_times_as_long(url: str) -> None:
    """The cost of a first import is linear."""
    taken = []
    for count in (20_000, 200_000):
        await upgraded(url)
        store = SqlStore(url)
        account = await new_account(store)
        rows = Lazy(count, first=count)
        began = time.perf_counter()
        assert await store.apply(account, 0, ChangeSet(inserts=rows), None, None, 1)
        taken.append(time.perf_counter() - began)
        await store.aclose()
    assert taken[1] <= 11 * taken[0]


async def test_a_hundred_thousand_organisations_stream(store: SqlStore, url: str) -> None:
    """Each comes once, in order, and they are never all in memory."""
    number = 100_000
    ns = select(literal(0).label("n")).cte("ns", recursive=True)
    ns = ns.union_all(select(ns.c.n + 1).where(ns.c.n < number + 999))
    row = {
        "id": literal("c") + cast(ns.c.n, String),
        "org_id": literal("org-") + cast(number + ns.c.n % number, String),
        "bank": literal("b"),
        "status": literal("ACTIVE"),
        "created_at": literal(NOW, connections.c.created_at.type),
    }
    engine = open_engine(url)
    async with engine.begin() as connection:
        await connection.execute(insert(connections).from_select([*row], select(*row.values())))
    await engine.dispose()
    tracemalloc.start()
    found = 0
    last = ""
    async for org_id in store.syncable_organisations(NOW):
        assert org_id > last
        found, last = found + 1, org_id
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == number
    assert peak < 5_000_000


async def test_many_names_are_found_wherever_their_rows_are(store: SqlStore) -> None:
    """More ids than a statement has room for; one that names two rows brings both."""
    account = await new_account(store)
    await store.apply(account, 0, ChangeSet(inserts=Lazy(1500)), None, None, 1)
    ids = [BankId("transactionId", f"t{number}") for number in range(0, 3000, 2)]
    nowhere = Window(DAY.replace(year=2100))
    rows, version = await store.load_rows(account, nowhere, ids)
    assert (sorted(row.id for row in rows), version) == (sorted(f"lazy-{n}" for n in range(0, 1500, 2)), 1)
    shared, _ = await store.load_rows(account, nowhere, [BankId("endToEndId", "shared")])
    assert len({row.id for row in shared}) == len(shared) == 1500
    everything, _ = await store.load_rows(account, ALWAYS, ids)
    assert len(everything) == 1500


async def test_balances_replace_those_of_their_type(store: SqlStore, url: str) -> None:
    """The last of a type counts, to the cent; another type's stays."""
    account = await new_account(store)
    await store.put_balances(account, [Balance("expected", Decimal("7.07"), "EUR", DAY, NOW)])
    for amount in ("1.10", "-12345678901234.5678"):
        await store.put_balances(account, [Balance("closingBooked", Decimal(amount), "EUR", DAY, NOW)])
    query = "SELECT amount FROM bank_balances WHERE balance_type = '{}'"
    assert Decimal(await scalar(url, query.format("closingBooked"))) == Decimal("-12345678901234.5678")
    assert Decimal(await scalar(url, query.format("expected"))) == Decimal("7.07")
