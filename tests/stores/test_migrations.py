"""The migrations: from nothing, and from every schema that was ever released, to the tables of this version."""

import asyncio
import sqlite3
from dataclasses import replace
from decimal import Decimal

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

from bankimport.errors import SchemaOutdated
from bankimport.models import BankAccount, RowStatus
from bankimport.ports import ChangeSet, RowMark
from bankimport.stores import SqlStore, upgrade, upgrade_async
from bankimport.stores.sql.engine import open_engine
from bankimport.stores.sql.migrations import VERSION_TABLE, _config, head
from bankimport.stores.sql.schema import metadata
from bankimport.testing.contracts.store import rows_of
from tests.stores.databases import execute
from tests.stores.snapshots import RELEASED

REVISIONS = sorted(directory.name for directory in RELEASED.iterdir() if directory.is_dir())


async def differences(url: str) -> list[object]:
    """Return what Alembic finds different between a database and the tables of this version."""
    engine = open_engine(url)
    async with engine.connect() as connection:
        found: list[object] = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(
                    sync, opts={"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
                ),
                metadata,
            )
        )
    await engine.dispose()
    return found


async def restore(url: str, script: str) -> None:
    """Make a database of a dump."""
    parsed = make_url(url)
    if url.startswith("sqlite"):
        file = sqlite3.connect(parsed.database or "")
        file.executescript(script)
        file.close()
        return
    connection = await asyncpg.connect(host=parsed.query["host"], user="postgres", database=parsed.database)
    await connection.execute(script)
    await connection.close()


async def test_the_migrated_schema_is_the_one_of_the_code(url: str) -> None:
    """Nothing is missing, nothing is left over; types and defaults too."""
    await upgrade_async(url)
    assert await differences(url) == []


def test_every_revision_was_released_or_is_the_newest() -> None:
    """Only the newest revisions, being made, have no snapshot; `tests/stores/snapshots.py` makes it at the release."""
    made = [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]
    assert set(REVISIONS) <= set(made)
    assert set(made[-len(REVISIONS) :]) == set(REVISIONS)


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_released_schema_is_upgraded_with_its_rows(url: str, revision: str) -> None:
    """A database of an earlier version gets this one's schema, and all that was in it can be read and changed."""
    await restore(url, (RELEASED / revision / f"{make_url(url).get_backend_name()}.sql").read_text())
    assert await upgrade_async(url) == head()
    assert await differences(url) == []
    store = SqlStore(url)
    await store.check_schema()
    [connection] = await store.connections("acme")
    [account] = await store.accounts(connection.id)
    rows = await rows_of(store, account)
    assert {row_id: row.transaction.amount for row_id, row in rows.items()} == {
        "row-1": Decimal("-1.05"),
        "row-2": Decimal("-2.05"),
    }
    state = await store.account_state(account)
    assert (state.version, state.cursor, len(state.coverage)) == (1, "cursor", 1)
    assert await store.apply(account, 1, ChangeSet(marks=[RowMark("row-1", RowStatus.REMOVED, 1)]), None, None, 1)
    await store.aclose()


async def test_what_named_an_account_becomes_its_references(url: str) -> None:
    """An account of the first schema is recognised after a renewal by its IBAN, with its rows, its key and its ids; one
    that has nothing but its resource id is recognised by that, as long as the consent lasts."""
    await restore(url, (RELEASED / "0001" / f"{make_url(url).get_backend_name()}.sql").read_text())
    await execute(
        url,
        "UPDATE bank_connections SET consent_id = 'old'",
        "UPDATE bank_accounts SET iban = 'GB29 NWBK 6016 1331 9268 19'",
        "INSERT INTO bank_accounts (id, connection_id, stable_key, provider_id, currency) "
        "SELECT 'zzz', id, 'k2', 'r2', 'EUR' FROM bank_connections",
    )
    await upgrade_async(url)
    store = SqlStore(url)
    [connection] = await store.connections("acme")
    before = {account.id: account for account in await store.accounts(connection.id)}
    assert {(one.kind, one.value) for account in before.values() for one in account.references} == {
        ("iban", "GB29NWBK60161331926819"),
        ("bbanOfIban", "NWBK60161331926819"),
        ("bbanOfIban", "60161331926819"),
        ("key", "k1"),
        ("key", "k2"),
    }
    listed = [BankAccount("r2", currency="EUR"), BankAccount("new", currency="EUR", iban="gb29nwbk60161331926819")]
    second, first = await store.upsert_accounts(connection, listed, fence=2)
    assert (first.id, second.id) == tuple(sorted(before))
    assert [before[one.id].stable_key for one in (first, second)] == [first.stable_key, second.stable_key]
    assert len(await rows_of(store, first)) == 2
    renewed = [BankAccount("x", currency="EUR", iban="GB29NWBK60161331926819")]
    again = await store.upsert_accounts(replace(connection, consent_id="new"), renewed, fence=3)
    assert [(one.id, one.provider_id) for one in again] == [(first.id, "x")]
    assert {one.id: one.is_listed for one in await store.accounts(connection.id)} == {first.id: True, second.id: False}
    await store.aclose()


def test_upgrade_outside_of_a_loop(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a deployment script calls is a plain function; a second call finds nothing to do."""
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('db')}/store.db"
    assert upgrade(url) == upgrade(url) == head()


async def test_two_deployments_upgrade_at_once(url: str) -> None:
    """They take turns: both end at the newest schema, and neither fails."""
    assert await asyncio.gather(upgrade_async(url), upgrade_async(url)) == [head()] * 2


@pytest.mark.parametrize("found", [None, "0000", "9999"])
async def test_another_schema_is_refused_with_the_remedy(url: str, found: str | None) -> None:
    """An empty, an older or a newer database stops the worker with the sentence that mends it."""
    if found is not None:
        await upgrade_async(url)
        await execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '{found}'")
    store = SqlStore(url)
    with pytest.raises(SchemaOutdated, match="bankimport db upgrade"):
        await store.check_schema()
    await store.aclose()
