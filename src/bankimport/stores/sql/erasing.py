"""An organisation goes out of a SQL database."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Delete, Select, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bankimport.errors import StoreUnavailable
from bankimport.status import ConnectionStatus
from bankimport.stores.sql.schema import (
    accounts,
    audit,
    authorisations,
    connections,
    transactions,
    webhook_deliveries,
    webhook_endpoints,
    webhook_lanes,
)
from bankimport.stores.sql.transacting import transact

#: How each table loses an organisation; a test fails where one is missing.
ERASED: Final = {
    "bank_authorisations": "by its organisation, under a legal hold too",
    "bank_transactions": "by its account, in slices",
    "bank_transaction_ids": "with its row",
    "bank_balances": "with its account",
    "bank_balance_history": "with its account",
    "bank_account_references": "with its account",
    "bank_accounts": "with its connection",
    "bank_connections": "by its organisation; under a legal hold consent and credentials alone",
    "bank_audit": "by its organisation",
    "bank_webhook_endpoints": "by its organisation, under a legal hold too",
    "bank_webhook_deliveries": "by its organisation, whoever was told, under a legal hold too",
    "bank_webhook_lanes": "by its organisation, under a legal hold too",
}
_SLICE: Final = 2000
_CUT: Final = {
    "status": ConnectionStatus.DISCONNECTED.value,
    "status_reason": None,
    "consent_id": None,
    "credentials": None,
    "next_sync_at": None,
}


class Erasures:
    """A part of the SQL store."""

    _engine: AsyncEngine

    async def erase_organisation(self, org_id: str, *, keep_rows: bool) -> Mapping[str, int]:
        """See `ErasingStore`."""
        theirs = select(connections.c.id).where(connections.c.org_id == org_id)
        removed = {
            name: await self._do(delete(table).where(table.c.org_id == org_id))
            for name, table in (
                ("authorisations", authorisations),
                ("webhooks", webhook_deliveries),
                ("webhook_lanes", webhook_lanes),
                ("webhook_endpoints", webhook_endpoints),
            )
        }
        if keep_rows:
            query = update(connections).where(connections.c.org_id == org_id).values(_CUT)
            await transact(self._engine, lambda db: db.execute(query))
        else:
            removed["transactions"] = await self._rows_removed(theirs)
            subjects = [f"connection:{each}" for each in await self._ids(theirs)]
            about = or_(audit.c.org_id == org_id, audit.c.subject.in_(subjects))
            removed["audit"] = await self._do(delete(audit).where(about))
            removed["accounts"] = await self._do(delete(accounts).where(accounts.c.connection_id.in_(theirs)))
            removed["connections"] = await self._do(delete(connections).where(connections.c.org_id == org_id))
        await self._forget_bytes()
        return removed

    async def _rows_removed(self, theirs: Select[Any]) -> int:
        """Remove rows account by account, so many at a time that no writer waits for long."""
        number = 0
        for account_id in await self._ids(select(accounts.c.id).where(accounts.c.connection_id.in_(theirs))):
            some = select(transactions.c.id).where(transactions.c.account_id == account_id).limit(_SLICE)
            while found := await self._do(delete(transactions).where(transactions.c.id.in_(some))):
                number += found
        return number

    async def _ids(self, query: Select[Any]) -> Sequence[str]:
        async def work(db: AsyncConnection) -> list[str]:
            return [row[0] for row in await db.execute(query)]

        return await transact(self._engine, work)

    async def _do(self, query: Delete) -> int:
        async def work(db: AsyncConnection) -> int:
            return (await db.execute(query)).rowcount

        return await transact(self._engine, work)

    async def _forget_bytes(self) -> None:
        """Write an SQLite file anew: what was deleted, and what was changed before, stays in its free pages and in the
        log beside it. PostgreSQL's VACUUM runs by itself.

        Raises:
            StoreUnavailable: somebody else holds the file for too long.
        """
        if self._engine.dialect.name != "sqlite":
            return
        async with self._engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            try:
                await driver.execute("VACUUM")
                [busy, *_] = await (await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")).fetchone()
            except Exception as error:  # the driver's own
                raise StoreUnavailable from error
            if busy:
                raise StoreUnavailable
