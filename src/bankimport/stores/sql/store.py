"""The SQL store: connections, accounts and rows on SQLite and PostgreSQL. It decides nothing about transactions."""

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Literal

from sqlalchemy import Row, Select, and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bankimport.errors import Conflict, LeaseLost, NotFound
from bankimport.models import (
    AccountState,
    BankAccount,
    BankConnection,
    BankId,
    ConnectionFilter,
    ConnectionHealth,
    Consent,
    Memory,
    StoredTransaction,
    WebhookType,
    Window,
)
from bankimport.ports import ChangeSet
from bankimport.status import ConnectionStatus
from bankimport.stores.naming import check_ids
from bankimport.stores.sql import migrations, searching
from bankimport.stores.sql.accounts import Accounts, Decisions, stored_accounts, upsert
from bankimport.stores.sql.auditing import Audits
from bankimport.stores.sql.authorisations import Authorisations
from bankimport.stores.sql.balances import Balances
from bankimport.stores.sql.credentials import Vault
from bankimport.stores.sql.delivering import Delivering
from bankimport.stores.sql.engine import adopt_engine, for_reading, open_engine
from bankimport.stores.sql.erasing import Erasures
from bankimport.stores.sql.exporting import Exports
from bankimport.stores.sql.loading import load
from bankimport.stores.sql.remembering import memory_columns
from bankimport.stores.sql.rows import connection_of, state_of
from bankimport.stores.sql.schema import accounts, connections, transactions
from bankimport.stores.sql.streaming import Streams
from bankimport.stores.sql.telling import Written, tell, tell_of_rows
from bankimport.stores.sql.transacting import dispose, transact
from bankimport.stores.sql.webhooks import Webhooks
from bankimport.stores.sql.writing import write_changes

#: what webhooks tell of a change
Tells = tuple[WebhookType, Mapping[str, Any]]


class SqlStore(Accounts, Authorisations, Audits, Balances, Decisions, Erasures, Exports, Streams, Webhooks, Delivering):
    """The `BankStore` of a SQL database.

    Args:
        url: `sqlite+aiosqlite:///file` or `postgresql+asyncpg://user@host/database`, or an engine of the host's for one
            of them, not used before, which stays the host's to dispose of.
        credentials_key: Fernet key (or several, comma-separated, the newest first) of stored credentials.
        environment: in production credentials are refused without a key.

    Raises:
        InvalidSettings: the URL or the key is wrong.
        MissingExtra: the database's driver is not installed.
    """

    def __init__(
        self,
        url: str | AsyncEngine,
        *,
        credentials_key: str | None = None,
        environment: Literal["production", "development"] = "production",
    ) -> None:
        self._is_ours = isinstance(url, str)
        self._engine = open_engine(url) if isinstance(url, str) else adopt_engine(url)
        self._reader = for_reading(self._engine)
        self._vault = Vault(credentials_key, environment)
        self._wakes = []

    async def check_schema(self) -> None:
        """Check that the database has the schema of this version.

        Raises:
            SchemaOutdated: it has an older or a newer one, or none.
        """
        await transact(self._reader, migrations.check)

    async def aclose(self) -> None:
        """Close all connections of the pool, unless it is the host's."""
        if self._is_ours:
            await dispose(self._engine)

    # Connections -----------------------------------------------------------------------------------------------

    async def add_connection(
        self,
        *,
        org_id: str,
        bank: str,
        consent_id: str | None = None,
        valid_until: date | None = None,
        credentials: Mapping[str, Any] | None = None,
        id: str | None = None,  # noqa: A002  # the column's name
    ) -> str:
        """Add a connection and return its id.

        Raises:
            InvalidRequest: an id is none.
            Conflict: the id is taken.
            InvalidSettings: credentials are given, but no key to encrypt them with.
        """
        connection_id = id or f"conn_{secrets.token_urlsafe(9)}"
        check_ids(connection_id, org_id, bank)
        row = {
            "id": connection_id,
            "org_id": org_id,
            "bank": bank,
            "status": ConnectionStatus.ACTIVE.value,
            "consent_id": consent_id,
            "consent_valid_until": valid_until,
            "credentials": self._vault.close(credentials),
            "created_at": datetime.now(UTC),
        }

        async def work(connection: AsyncConnection) -> None:
            taken = await connection.scalar(select(connections.c.id).where(connections.c.id == connection_id))
            if taken is not None and id is None:
                return  # ours, from the first try, whose answer was lost
            if taken is not None:
                raise Conflict(f"there is a connection {connection_id} already")
            await connection.execute(insert(connections), row)

        await transact(self._engine, work)
        return connection_id

    async def own_connections(self, org_id: str, connection_ids: Sequence[str]) -> Collection[str]:
        """See `ConnectionStore`."""
        query = select(connections.c.id).where(connections.c.org_id == org_id, connections.c.id.in_(connection_ids))
        return [row.id for row in await self._rows(query)]

    async def renew_consent(
        self,
        connection_id: str,
        consent_id: str,
        valid_until: date | None,
        *,
        credentials: Mapping[str, Any] | None = None,
    ) -> None:
        """Give a connection its new consent: it is `ACTIVE` again, with the same accounts and rows.

        Raises:
            NotFound: no such connection.
        """
        values = {
            "consent_id": consent_id,
            "consent_valid_until": valid_until,
            "status": ConnectionStatus.ACTIVE.value,
            "status_reason": None,
            "next_sync_at": None,
            **({"credentials": self._vault.close(credentials)} if credentials is not None else {}),
        }
        if not await self._update_connection(connection_id, values, tells=_standing(ConnectionStatus.ACTIVE)):
            raise NotFound("connection")

    async def disconnect(self, connection_id: str) -> None:
        """Cut a connection: it is never synced again; its rows stay.

        Raises:
            NotFound: no such connection.
        """
        values = {"status": ConnectionStatus.DISCONNECTED.value, "status_reason": None, "credentials": None}
        if not await self._update_connection(connection_id, values, tells=_standing(ConnectionStatus.DISCONNECTED)):
            raise NotFound("connection")

    async def delete_connection(self, connection_id: str) -> None:
        """Delete a connection with its accounts and rows, for good.

        Raises:
            NotFound: no such connection.
        """
        query = delete(connections).where(connections.c.id == connection_id)

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(query)).rowcount == 1

        if not await transact(self._engine, work):
            raise NotFound("connection")

    async def update_credentials(self, connection_id: str, credentials: Mapping[str, Any] | None) -> None:
        """Replace the credentials of a connection.

        Raises:
            NotFound: no such connection.
            InvalidSettings: there is no key to encrypt them with.
        """
        if not await self._update_connection(connection_id, {"credentials": self._vault.close(credentials)}):
            raise NotFound("connection")

    async def connections(self, org_id: str) -> Sequence[BankConnection]:
        """See `BankStore`."""
        rows = await self._rows(select(connections).where(connections.c.org_id == org_id).order_by(connections.c.id))
        return [connection_of(row, self._vault) for row in rows]

    async def all_connections(self) -> Sequence[BankConnection]:
        """Return the connections of all organisations, for an operator's list."""
        rows = await self._rows(select(connections).order_by(connections.c.org_id, connections.c.id))
        return [connection_of(row, self._vault) for row in rows]

    async def find_connections(
        self, wanted: ConnectionFilter, *, after: tuple[str, str] | None, limit: int, now: datetime
    ) -> Sequence[BankConnection]:
        """See `ConnectionSearch`."""
        rows = await self._rows(searching.found(wanted, after, limit, now))
        return [connection_of(row, self._vault) for row in rows]

    async def count_connections(self, wanted: ConnectionFilter, *, now: datetime) -> Mapping[ConnectionHealth, int]:
        """See `ConnectionSearch`."""
        return searching.numbers(await self._rows(searching.counted(wanted, now)))

    async def count_connections_by_bank(self, *, now: datetime) -> Mapping[str, Mapping[ConnectionHealth, int]]:
        """See `ConnectionSearch`."""
        return searching.census(await self._rows(searching.counted_by_bank(now)))

    async def connection(self, connection_id: str) -> BankConnection | None:
        """See `BankStore`."""
        rows = await self._rows(select(connections).where(connections.c.id == connection_id))
        return connection_of(rows[0], self._vault) if rows else None

    async def set_connection_status(
        self, connection_id: str, from_: Iterable[ConnectionStatus], to: ConnectionStatus, reason: str | None = None
    ) -> bool:
        """See `BankStore`."""
        changed = or_(connections.c.status != to.value, connections.c.status_reason.is_distinct_from(reason))
        condition = and_(connections.c.status.in_([status.value for status in from_]), changed)
        values = {"status": to.value, "status_reason": reason}
        return await self._update_connection(connection_id, values, condition, tells=_standing(to, reason))

    async def set_consent(self, connection_id: str, consent: Consent) -> None:
        """See `BankStore`."""
        await self._update_connection(connection_id, {"consent_valid_until": consent.valid_until})

    async def note_sync(self, connection_id: str, at: datetime | None, next_at: datetime | None = None) -> None:
        """See `BankStore`."""
        last = {} if at is None else {"last_sync_at": at}
        planned = None if next_at is None else next_at.astimezone(UTC).isoformat(timespec="seconds")
        tells = None if at is None else (WebhookType.SYNCED, {"nextSyncAt": planned})
        await self._update_connection(connection_id, {**last, "next_sync_at": next_at}, tells=tells)

    async def note_asked(self, connection_id: str, at: datetime) -> None:
        """See `BankStore`."""
        await self._update_connection(connection_id, {"asked_at": at})

    async def _update_connection(
        self, connection_id: str, values: Mapping[str, Any], condition: Any = None, tells: Tells | None = None
    ) -> bool:
        """Change a connection, and tell of it in the same transaction; return whether there was one to change."""
        query = update(connections).where(connections.c.id == connection_id).values(values)
        if condition is not None:
            query = query.where(condition)

        async def work(db: AsyncConnection) -> tuple[bool, bool]:
            if (await db.execute(query)).rowcount != 1:
                return False, False
            return True, tells is not None and await tell(db, connection_id, *tells, datetime.now(UTC))

        changed, told = await transact(self._engine, work)
        self._woken(told)
        return changed

    async def _rows(self, query: Select[Any]) -> list[Row[Any]]:
        async def work(connection: AsyncConnection) -> list[Row[Any]]:
            return list(await connection.execute(query))

        return await transact(self._reader, work)

    # Accounts --------------------------------------------------------------------------------------------------

    async def upsert_accounts(
        self, connection: BankConnection, accounts_: Sequence[BankAccount], *, fence: int
    ) -> Sequence[BankAccount]:
        """See `BankStore`."""

        async def work(db: AsyncConnection) -> list[BankAccount]:
            await _raise_fence(db, connection.id, fence)
            return await upsert(db, connection, accounts_)

        return await transact(self._engine, work)

    async def accounts(self, connection_id: str) -> Sequence[BankAccount]:
        """See `BankStore`."""

        async def work(db: AsyncConnection) -> list[BankAccount]:
            return await stored_accounts(db, accounts.c.connection_id == connection_id)

        return await transact(self._reader, work)

    async def account_state(self, account: BankAccount) -> AccountState:
        """See `BankStore`."""
        rows = await self._rows(select(accounts).where(accounts.c.id == account.id))
        return state_of(rows[0]) if rows else AccountState()

    async def set_attended_only(self, account: BankAccount, *, only: bool = True) -> bool:
        """See `BankStore`."""
        where = and_(accounts.c.id == account.id, accounts.c.attended_only.is_(not only))

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(update(accounts).where(where).values(attended_only=only))).rowcount == 1

        return await transact(self._engine, work)

    # Rows ------------------------------------------------------------------------------------------------------

    async def load_rows(
        self, account: BankAccount, window: Window, ids: Collection[BankId]
    ) -> tuple[Sequence[StoredTransaction], int]:
        """See `BankStore`."""

        async def work(connection: AsyncConnection) -> tuple[list[StoredTransaction], int]:
            return await load(connection, account.id, window, ids)

        return await transact(self._reader, work)

    async def apply(
        self,
        account: BankAccount,
        version: int,
        change_set: ChangeSet,
        memory: Memory | None,
        cursor: str | None,
        fence: int,
    ) -> bool:
        """See `BankStore`."""
        now = datetime.now(UTC)
        values = {"version": version + 1, "cursor": cursor, **({} if memory is None else memory_columns(memory))}

        async def work(db: AsyncConnection) -> tuple[bool, bool]:
            owner = select(accounts.c.connection_id).where(accounts.c.id == account.id)
            connection_id = await db.scalar(owner) or ""
            await _raise_fence(db, connection_id, fence)
            same = and_(accounts.c.id == account.id, accounts.c.version == version)
            if (await db.execute(update(accounts).where(same).values(values))).rowcount != 1:
                return False, False
            new = Written(change_set.inserts)
            await write_changes(db, account.id, replace(change_set, inserts=new), now)
            return True, await tell_of_rows(db, connection_id, account.id, change_set, new.ids, now)

        done, told = await transact(self._engine, work)
        self._woken(told)
        return done

    async def delete_transaction(self, transaction_id: str) -> bool:
        """Hide a row for its user: what a user deleted stays deleted, whatever the bank says. Return whether it was."""
        query = update(transactions).where(transactions.c.id == transaction_id).values(deleted_by_user=True)

        async def work(connection: AsyncConnection) -> bool:
            return (await connection.execute(query)).rowcount == 1

        return await transact(self._engine, work)


async def _raise_fence(connection: AsyncConnection, connection_id: str, fence: int) -> None:
    """Lock the connection's row for this run, and refuse it if a later run has been here."""
    allowed = and_(connections.c.id == connection_id, connections.c.fence <= fence)
    if (await connection.execute(update(connections).where(allowed).values(fence=fence))).rowcount != 1:
        raise LeaseLost(connection_id)


def _standing(status: ConnectionStatus, reason: str | None = None) -> Tells:
    return WebhookType.CONNECTION, {"status": status.value, "reason": reason}
