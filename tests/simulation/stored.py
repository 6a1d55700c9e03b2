"""Where a life is stored: some of each kind in SQLite, the others in memory, which decides the same (they have one
contract, `testing/contracts/store`) and takes a fifth of the time; and what is stored there."""

import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

from bankimport.models import BankConnection, RowStatus, StoredTransaction, Window
from bankimport.ports import BankStore
from bankimport.testing.memory_store import MemoryStore
from tests.simulation.lives import Booked
from tests.simulation.simulated_bank import Ids
from tests.simulation.sql_store import SqliteStore
from tests.soak import SOAK


def is_on_disk(number: int, ids: Ids) -> bool:
    """Whether the life of this number is: the soak's first twenty with any ids, CI's first with ids that say all and
    with none."""
    return number < 20 if SOAK else number == 0 and ids in (Ids.STABLE, Ids.ABSENT)


@asynccontextmanager
async def store_of(connection: BankConnection, empty: Path, folder: Path, *, on_disk: bool) -> AsyncIterator[BankStore]:
    """A store that knows the connection and nothing else; `empty` is a database without a row."""
    if not on_disk:
        yield MemoryStore(connection)
        return
    store = SqliteStore(Path(shutil.copy(empty, folder / "life.db")))
    await store.add(connection)
    try:
        yield store
    finally:
        await store.aclose()


async def rows_of(store: BankStore, connection_id: str) -> list[StoredTransaction]:
    """Every row of a connection."""
    loaded = [await store.load_rows(each, Window(date.min), ()) for each in await store.accounts(connection_id)]
    return [row for rows, _ in loaded for row in rows]


def booked_of(rows: list[StoredTransaction], *, missing: bool = True) -> Booked:
    """The booked ones; without the `missing` ones, those that the bank still shows."""
    booked = (row for row in rows if row.status is RowStatus.BOOKED and (missing or not row.missing_at_bank))
    return Counter((row.day, row.transaction.amount, row.transaction.currency) for row in booked)
