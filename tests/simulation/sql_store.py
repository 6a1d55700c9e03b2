"""The real SQL store with the handles that tests need: a connection as given, and a hook before each write."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import delete

from bankimport.models import BankConnection
from bankimport.stores import SqlStore
from bankimport.stores.sql.schema import connections
from bankimport.stores.sql.transacting import transact


class RealStore(SqlStore):
    """`SqlStore` with the two handles of `MemoryStore`."""

    def __init__(self, url: str) -> None:
        super().__init__(url, environment="development")
        self.before: Callable[[str], None] = lambda name: None

    async def add(self, connection: BankConnection) -> None:
        """Add or replace a connection, its accounts left alone."""
        known = await self.connection(connection.id)
        fields = (
            "id",
            "org_id",
            "bank",
            "status_reason",
            "consent_id",
            "consent_valid_until",
            "last_sync_at",
            "next_sync_at",
        )
        values = {name: getattr(connection, name) for name in fields} | {"status": connection.status.value}
        if known is not None:
            await self._update_connection(connection.id, values)
            return
        await self.add_connection(org_id=connection.org_id, bank=connection.bank, id=connection.id)
        await self._update_connection(connection.id, values)

    async def delete_by_user(self, account_id: str, row_id: str) -> None:
        """Mark a row as deleted by its user."""
        await self.delete_transaction(row_id)

    async def forget(self) -> None:
        """Remove everything."""

        async def work(db: Any) -> None:
            await db.execute(delete(connections))

        await transact(self._engine, work)

    async def set_connection_status(self, *args: Any, **options: Any) -> bool:
        self.before("set_connection_status")
        return await super().set_connection_status(*args, **options)

    async def note_sync(self, *args: Any, **options: Any) -> None:
        self.before("note_sync")
        await super().note_sync(*args, **options)

    async def upsert_accounts(self, *args: Any, **options: Any) -> Any:
        self.before("upsert_accounts")
        return await super().upsert_accounts(*args, **options)

    async def apply(self, *args: Any, **options: Any) -> bool:
        self.before("apply")
        return await super().apply(*args, **options)

    async def put_balances(self, *args: Any, **options: Any) -> None:
        self.before("put_balances")
        await super().put_balances(*args, **options)


class SqliteStore(RealStore):
    """The same on a SQLite file of its own."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"sqlite+aiosqlite:///{path}")
