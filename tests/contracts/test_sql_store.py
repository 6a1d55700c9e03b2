"""The SQL store on SQLite and on PostgreSQL: the contract of all stores, and what SQL alone promises."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from bankimport.errors import Conflict, InvalidRequest, InvalidSettings, NotFound, StoreUnavailable
from bankimport.models import AuditEntry, AuthorisationOutcome, BankAccount, Begun, Granted
from bankimport.status import ConnectionStatus
from bankimport.stores import SqlStore
from bankimport.testing.contracts import (
    AccountDecisionContract,
    AuditContract,
    AuthorisationContract,
    ConnectionSearchContract,
    ErasureContract,
)
from bankimport.testing.contracts.authorisations import authorisation
from bankimport.testing.contracts.store import StoreContract, inserts, rows_of
from tests.migrated import upgraded
from tests.stores.databases import execute, scalar, store, url

__all__ = ["store", "url"]


class TestSqlStore(StoreContract):
    """The contract, on both databases."""


class TestSqlSearch(ConnectionSearchContract):
    """The contract of operators' lists, on both databases."""

    @pytest.fixture
    async def store(self, url: str) -> AsyncIterator[SqlStore]:
        """A store with a key, since one of the promises is about credentials."""
        await upgraded(url)
        store = SqlStore(url, credentials_key=Fernet.generate_key().decode())
        yield store
        await store.aclose()


async def test_a_page_of_accounts_at_once(store: SqlStore) -> None:
    """The accounts of several connections, with what their reads have taught, are those that each tells by itself."""
    names = []
    for org, listed in (("acme", 2), ("acme", 0), ("globex", 1)):
        names.append(await store.add_connection(org_id=org, bank="bank"))
        connection = await store.connection(names[-1])
        assert connection is not None
        accounts = [BankAccount(f"r{n}", f"k{n}", "EUR", iban=f"DE0{n}") for n in range(listed)]
        for account in await store.upsert_accounts(connection, accounts, fence=1):
            await store.set_attended_only(account)
    found = await store.accounts_with_states(names[:2])
    assert set(found) == {names[0]}
    assert [account for account, _ in found[names[0]]] == list(await store.accounts(names[0]))
    assert [state for _, state in found[names[0]]] == [
        await store.account_state(account) for account, _ in found[names[0]]
    ]
    assert all(state.attended_only for _, state in found[names[0]])
    assert await store.accounts_with_states([]) == {}


class TestSqlErasure(ErasureContract):
    """The contract of erasing, on both databases."""

    @pytest.fixture
    async def store(self, url: str) -> AsyncIterator[SqlStore]:
        """A store that may keep credentials."""
        await upgraded(url)
        store = SqlStore(url, environment="development")
        yield store
        await store.aclose()


class TestSqlDecisions(AccountDecisionContract):
    """The contract of deciding about accounts, on both databases."""


class TestSqlAudit(AuditContract):
    """The contract of what people did, on both databases."""


class TestSqlAuthorisations(AuthorisationContract):
    """The contract of authorisations, on both databases."""


async def test_what_an_authorisation_needs_is_encrypted(url: str) -> None:
    """The verifier of a code, and the credentials that come of it, stand in no table as they are."""
    await upgraded(url)
    store = SqlStore(url, credentials_key=Fernet.generate_key().decode())
    begun = authorisation(begun=Begun("", secrets={"verifier": "secret-verifier"}))
    await store.add_authorisation(begun)
    assert "secret-verifier" not in await scalar(url, "SELECT secrets FROM bank_authorisations")
    assert await store.latest_authorisation("conn-1") == begun
    granted = Granted("c", credentials={"access_token": "secret-token"})
    await store.end_authorisation("auth-1", AuthorisationOutcome.CONNECTED, granted=granted)
    assert await scalar(url, "SELECT secrets FROM bank_authorisations") is None
    assert "secret-token" not in await scalar(url, "SELECT credentials FROM bank_connections")
    connection = await store.connection("conn-1")
    assert connection is not None
    assert connection.credentials == {"access_token": "secret-token"}
    await store.aclose()


async def test_what_people_did_is_changed_by_nobody(store: SqlStore, url: str) -> None:
    """The database itself refuses to change an entry, whoever asks."""
    entry = AuditEntry(id="1", at=datetime.now(UTC), via="page", action="queue.pause", reason="maintenance")
    await store.add_audit_entry(entry)
    with pytest.raises(DBAPIError, match="append-only"):
        await execute(url, "UPDATE bank_audit SET reason = 'another'")
    assert await scalar(url, "SELECT reason FROM bank_audit") == "maintenance"


async def test_hosts_read_the_public_tables(store: SqlStore, url: str) -> None:
    """Amounts and statuses stand in the tables under their public names."""
    account = await StoreContract().account(store)
    await store.apply(account, 0, inserts(3), None, None, 1)
    amount = await scalar(url, "SELECT amount FROM bank_transactions WHERE status = 'booked'")
    value = await scalar(url, "SELECT value FROM bank_transaction_ids WHERE namespace = 'transactionId'")
    assert (Decimal(amount), value) == (Decimal("-3.05"), "t3")


async def test_ids_are_checked_and_unique(store: SqlStore) -> None:
    """A wrong id and a taken one are refused, and nothing is added."""
    await store.add_connection(org_id="acme", bank="sandbox", id="c1")
    with pytest.raises(Conflict):
        await store.add_connection(org_id="acme", bank="sandbox", id="c1")
    with pytest.raises(InvalidRequest, match="/orgId"):
        await store.add_connection(org_id="a/b", bank="sandbox")
    assert len(await store.all_connections()) == 1


async def test_credentials_are_encrypted(url: str) -> None:
    """They are read with the key, or an older one beside a new one, and the table tells nothing."""
    await upgraded(url)
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    store = SqlStore(url, credentials_key=old)
    await store.add_connection(org_id="acme", bank="b", id="c", credentials={"access_token": "secret-token"})
    await store.aclose()
    assert "secret-token" not in await scalar(url, "SELECT credentials FROM bank_connections")
    rotated = SqlStore(url, credentials_key=f"{new},{old}")
    found = await rotated.connection("c")
    assert found is not None
    assert found.credentials == {"access_token": "secret-token"}
    assert "secret-token" not in repr(found)
    await rotated.aclose()


async def test_credentials_without_a_key_are_refused_in_production(url: str) -> None:
    """In development they are stored as they are, since there is nothing to protect."""
    await upgraded(url)
    production, development = SqlStore(url), SqlStore(url, environment="development")
    with pytest.raises(InvalidSettings, match="BANK_SYNC_CREDENTIALS_KEY"):
        await production.add_connection(org_id="acme", bank="b", credentials={"a": "b"})
    await development.add_connection(org_id="acme", bank="b", id="c", credentials={"a": "b"})
    found = await development.connection("c")
    assert found is not None
    assert found.credentials == {"a": "b"}
    await production.aclose()
    await development.aclose()


async def test_a_renewed_consent_makes_active_again(store: SqlStore) -> None:
    """The connection, its accounts and its rows stay; only the consent is new."""
    connection_id = await store.add_connection(org_id="acme", bank="b", consent_id="old")
    await store.set_connection_status(
        connection_id, [ConnectionStatus.ACTIVE], ConnectionStatus.REQUIRES_REAUTH, "expired"
    )
    await store.renew_consent(connection_id, "new", date(2027, 1, 1))
    found = await store.connection(connection_id)
    assert found is not None
    assert (found.status, found.status_reason, found.consent_id) == (ConnectionStatus.ACTIVE, None, "new")
    with pytest.raises(NotFound):
        await store.renew_consent("nobody", "new", None)


async def test_a_disconnected_connection_has_no_credentials(url: str) -> None:
    """Cutting a connection forgets its secrets."""
    await upgraded(url)
    store = SqlStore(url, environment="development")
    await store.add_connection(org_id="acme", bank="b", id="c", credentials={"a": "b"})
    await store.disconnect("c")
    found = await store.connection("c")
    assert found is not None
    assert (found.status, found.credentials) == (ConnectionStatus.DISCONNECTED, None)
    await store.aclose()


async def test_what_a_user_deleted_is_known(store: SqlStore) -> None:
    """The row stays, marked, so that the import doesn't bring it back."""
    account = await StoreContract().account(store)
    await store.apply(account, 0, inserts(1), None, None, 1)
    assert await store.delete_transaction("row-1")
    assert not await store.delete_transaction("nobody")
    assert (await rows_of(store, account))["row-1"].deleted_by_user


@pytest.mark.parametrize(
    "wrong", ["nonsense", "mysql://host/db", "sqlite:///sync.db"], ids=["no url", "unknown database", "no async driver"]
)
def test_a_wrong_url_is_named(wrong: str) -> None:
    """The error names the variable and what is allowed, never the URL."""
    with pytest.raises(InvalidSettings, match="BANK_SYNC_DATABASE_URL") as told:
        SqlStore(wrong)
    assert wrong not in str(told.value)


async def test_a_database_that_is_away_is_unavailable(tmp_path: Path) -> None:
    """A server that nobody answers for is retryable, and the error has no word of the statement."""
    store = SqlStore(f"postgresql+asyncpg://postgres@/x?host={tmp_path}")
    with pytest.raises(StoreUnavailable) as told:
        await store.connection("c")
    assert "SELECT" not in str(told.value)
    await store.aclose()


async def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """SQLite out of space in the middle of a change: all or nothing, and a retry with space heals it."""
    url = f"sqlite+aiosqlite:///{tmp_path}/full.db"
    await upgraded(url)
    store = SqlStore(url)
    connection = await StoreContract().add(store)
    [account] = await store.upsert_accounts(connection, [BankAccount("r", "k", "EUR")], fence=1)
    changes = inserts(*range(3000))
    await store.aclose()
    narrow = SqlStore(url)
    from sqlalchemy import event

    def limit(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA max_page_count=60")

    event.listen(narrow._engine.sync_engine, "connect", limit)
    with pytest.raises(StoreUnavailable):
        await narrow.apply(account, 0, changes, None, None, 1)
    await narrow.aclose()
    wide = SqlStore(url)
    assert await rows_of(wide, account) == {}
    assert await wide.apply(account, 0, changes, None, None, 1)
    assert len(await rows_of(wide, account)) == 3000
    await wide.aclose()


async def test_a_host_shares_its_engine(url: str) -> None:
    """A store on a host's engine keeps the same promises, foreign keys too, and leaves the engine open."""
    await upgraded(url)
    engine = create_async_engine(url)
    for number in (1, 2):
        store = SqlStore(engine)
        account = await StoreContract().account(store)
        assert await store.apply(account, 0, inserts(number), None, None, 1)
        await store.aclose()
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM bank_connections"))
        assert await connection.scalar(text("SELECT count(*) FROM bank_transactions")) == 0
    await engine.dispose()
