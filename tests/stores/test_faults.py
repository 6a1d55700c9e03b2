"""What goes wrong below the store: killed processes, lost connections, locks. All of a write is there, or none."""

import asyncio
import itertools
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from bankimport.errors import LeaseLost, MalformedData, StoreUnavailable
from bankimport.models import AccountState, BankAccount, BankConnection, Interval, Memory
from bankimport.ports import ChangeSet, NewRow
from bankimport.status import ConnectionStatus
from bankimport.stores import SqlStore, upgrade_async
from bankimport.stores.sql.engine import open_engine
from bankimport.testing.contracts.store import ALWAYS, DAY, Lazy, inserts, rows_of, transaction
from tests.stores.databases import execute, from_elsewhere, new_account, scalar
from tests.waiting import PATIENCE


async def test_a_process_killed_in_the_middle_of_a_write_leaves_nothing(store: SqlStore, url: str) -> None:
    """SIGKILL after 4,500 of 5,000 rows: no row, no coverage, no lock; the next run writes them all."""
    account = await new_account(store)
    command = [sys.executable, "-m", "tests.stores.applying", url, account.id]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), PATIENCE) == b"in the middle\n"
    process.kill()
    await process.wait()
    assert await rows_of(store, account) == {}
    assert await store.account_state(account) == AccountState()
    assert await store.apply(account, 0, ChangeSet(inserts=Lazy(5000)), None, None, 2)
    assert len(await rows_of(store, account)) == 5000


async def test_a_reply_that_was_lost_doubles_nothing(store: SqlStore, url: str) -> None:
    """The same change applied again after its commit is a lost race: it writes nothing."""
    account = await new_account(store)
    assert await store.apply(account, 0, inserts(1, 2), Memory((Interval(DAY, DAY),)), "c", 1)
    assert not await store.apply(account, 0, inserts(1, 2), Memory((Interval(DAY, DAY),)), "c", 1)
    assert await scalar(url, "SELECT count(*) FROM bank_transactions") == 2
    assert await scalar(url, "SELECT count(*) FROM bank_transaction_ids") == 4


async def test_two_stores_race_for_an_account(store: SqlStore, url: str) -> None:
    """Of two processes' pools too only one wins, and the loser's rows and aliases are not there."""
    account = await new_account(store)
    other = SqlStore(url)
    answers = await asyncio.gather(
        *(each.apply(account, 0, inserts(number), None, None, 1) for number, each in enumerate((store, other) * 4))
    )
    assert sum(answers) == 1
    assert await scalar(url, "SELECT count(*) FROM bank_transactions") == 1
    assert await scalar(url, "SELECT count(*) FROM bank_transaction_ids") == 2
    await other.aclose()


async def test_a_later_run_shuts_out_one_that_is_about_to_write(store: SqlStore, url: str) -> None:
    """The fence that another process has raised is seen inside the write's own transaction."""
    account = await new_account(store, fence=1)
    await execute(url, "UPDATE bank_connections SET fence = 2")
    with pytest.raises(LeaseLost):
        await store.apply(account, 0, inserts(1), None, None, 1)
    assert (await rows_of(store, account), (await store.account_state(account)).version) == ({}, 0)


class _Cut(Lazy):
    """Rows in the middle of which, the first time, every connection to the database is cut."""

    def __init__(self, count: int, url: str) -> None:
        super().__init__(count)
        self.url = url
        self.read = 0

    def __iter__(self) -> Iterator[NewRow]:
        self.read += 1
        for number, row in enumerate(super().__iter__()):
            if number == 3000 and self.read == 1:
                others = "datname = current_database() AND pid <> pg_backend_pid()"
                from_elsewhere(
                    execute(self.url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
                )
            yield row


async def test_a_connection_lost_in_the_middle_of_a_write(postgres_url: str) -> None:
    """The server cuts every connection: the write is done again, whole, and each row is there once."""
    await upgrade_async(postgres_url)
    store = SqlStore(postgres_url)
    account = await new_account(store)
    rows = _Cut(5000, postgres_url)
    assert await store.apply(account, 0, ChangeSet(inserts=rows), None, None, 1)
    assert (rows.read, len(await rows_of(store, account))) == (2, 5000)
    await store.aclose()


async def test_a_deadlock_is_tried_again(postgres_url: str) -> None:
    """PostgreSQL ends our transaction for another's sake: it is done again, and succeeds."""
    await upgrade_async(postgres_url)
    store = SqlStore(postgres_url)
    account = await new_account(store)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    engine = open_engine(postgres_url)
    async with engine.begin() as other:
        await other.execute(text("SET LOCAL deadlock_timeout = '20s'"))  # ours is the one to notice
        await other.execute(text("SELECT id FROM bank_accounts FOR UPDATE"))
        writing = asyncio.create_task(store.apply(account, 0, inserts(1), None, None, 1))
        while not await scalar(postgres_url, waiting):
            assert not writing.done()
        await other.execute(text("SELECT id FROM bank_connections FOR UPDATE"))
    assert await writing
    assert len(await rows_of(store, account)) == 1
    await engine.dispose()
    await store.aclose()


#: A sequence is not rolled back with the transactions that it refuses.
_REFUSING = (
    "CREATE SEQUENCE tries",
    """CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN
         IF nextval('tries') <= %d THEN RAISE EXCEPTION 'no order' USING ERRCODE = '40001'; END IF;
         RETURN NEW;
       END $$ LANGUAGE plpgsql""",
    "CREATE TRIGGER refusing BEFORE INSERT ON bank_transactions FOR EACH ROW EXECUTE FUNCTION refuse()",
)


@pytest.mark.parametrize(("refusals", "wrote"), [(20, True), (21, False)])
async def test_serialization_failures_are_tried_again_within_the_run(
    postgres_url: str,
    refusals: int,
    wrote: bool,
) -> None:
    """Twenty in a row cost no attempt of the job: the write is done again, some 10 ms apart; one more is given up."""
    await upgrade_async(postgres_url)
    store = SqlStore(postgres_url)
    account = await new_account(store)
    await execute(postgres_url, *(statement.replace("%d", str(refusals)) for statement in _REFUSING))
    began = time.monotonic()
    if wrote:
        assert await store.apply(account, 0, inserts(1), None, None, 1)
    else:
        with pytest.raises(StoreUnavailable):
            await store.apply(account, 0, inserts(1), None, None, 1)
    assert time.monotonic() - began > 20 * 0.005
    assert await scalar(postgres_url, "SELECT last_value FROM tries") == 21
    assert len(await rows_of(store, account)) == wrote
    await store.aclose()


async def test_the_pool_has_a_limit(postgres_url: str) -> None:
    """A hundred questions at once share at most twenty connections, and all are answered."""
    await upgrade_async(postgres_url)
    store = SqlStore(postgres_url)
    account = await new_account(store)
    changes: list[int] = []
    event.listen(store._engine.sync_engine, "connect", lambda *_: changes.append(1))
    event.listen(store._engine.sync_engine, "close", lambda *_: changes.append(-1))
    states = await asyncio.gather(*(store.account_state(account) for _ in range(100)))
    assert states == [AccountState()] * 100
    assert 1 < 1 + max(itertools.accumulate(changes)) <= 20
    await store.aclose()


async def test_a_locked_database_is_tried_again(tmp_path: Path) -> None:
    """Another writer's lock is waited for; when it stays, the store is unavailable, and a retry of the job helps."""
    url = f"sqlite+aiosqlite:///{tmp_path}/store.db"
    await upgrade_async(url)
    store = SqlStore(url)
    lock = sqlite3.connect(f"{tmp_path}/store.db", isolation_level=None)
    tries: list[int] = []

    def no_patience(connection: Any, *_: Any) -> None:
        connection.execute("PRAGMA busy_timeout=1")
        tries.append(len(tries))
        if len(tries) == 3:
            lock.execute("ROLLBACK")

    event.listen(store._engine.sync_engine, "checkout", no_patience)
    lock.execute("BEGIN IMMEDIATE")
    await store.add_connection(org_id="acme", bank="b", id="c")
    assert len(tries) == 3
    lock.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        await store.disconnect("c")
    found = await store.connection("c")
    assert found is not None
    assert found.status is ConnectionStatus.ACTIVE
    lock.close()
    await store.aclose()


@pytest.mark.parametrize("character", ["\x00", "\ud800"], ids=["NUL", "lone surrogate"])
async def test_a_value_that_the_database_cannot_hold_is_permanent(postgres_url: str, character: str) -> None:
    """PostgreSQL stores neither: no retry would help, and the error quotes nothing of the row."""
    await upgrade_async(postgres_url)
    store = SqlStore(postgres_url)
    account = await new_account(store)
    changes = ChangeSet(inserts=[NewRow("r", transaction(1, remittance=f"Miete{character}Erika"))])
    with pytest.raises(MalformedData) as told:
        await store.apply(account, 0, changes, None, None, 1)
    with pytest.raises(MalformedData):
        await store.upsert_accounts(await _owner(store), [BankAccount("r2", "k2", name=character)], fence=1)
    assert "Erika" not in str(told.value)
    assert (await store.account_state(account)).version == 0
    await store.aclose()


async def test_a_text_that_is_none_is_permanent(store: SqlStore) -> None:
    """Half of a surrogate pair can't be encoded for any database."""
    account = await new_account(store)
    with pytest.raises(MalformedData):
        changes = ChangeSet(inserts=[NewRow("r", transaction(1, counterparty_name="\udfff"))])
        await store.apply(account, 0, changes, None, None, 1)
    assert await rows_of(store, account) == {}


async def _owner(store: SqlStore) -> BankConnection:
    [connection] = await store.connections("acme")
    return connection


async def test_a_row_that_is_there_already_is_no_leak(store: SqlStore) -> None:
    """An id that is taken is refused whole, as something that deciding anew may heal; no value is quoted."""
    account = await new_account(store)
    changes = ChangeSet(inserts=[*inserts(1).inserts, *inserts(1).inserts])
    with pytest.raises(StoreUnavailable) as told:
        await store.apply(account, 0, changes, None, None, 1)
    assert "row-1" not in str(told.value)
    assert await rows_of(store, account) == {}


async def test_rows_of_a_connection_that_is_gone(store: SqlStore, url: str) -> None:
    """A host that deletes a connection deletes everything below it; a run that is at it writes nothing more."""
    account = await new_account(store)
    await store.apply(account, 0, inserts(1), None, None, 1)
    await execute(url, "DELETE FROM bank_connections")
    with pytest.raises(LeaseLost):
        await store.apply(account, 1, inserts(2), None, None, 1)
    for table in ("bank_accounts", "bank_transactions", "bank_transaction_ids", "bank_balances"):
        assert await scalar(url, f"SELECT count(*) FROM {table}") == 0
    assert await store.load_rows(BankAccount("r1", "k1", id=account.id), ALWAYS, ()) == ([], 0)
