"""An organisation's rows, one after the other: for an export, or for a person who asks what is kept of them."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bankimport.stores.sql.schema import accounts, connections, transactions
from bankimport.stores.sql.transacting import transact

#: The names of a row, in the order of a table.
EXPORTED: Final = (
    "connection_id", "account_id", "iban", "id", "status", "booking_date", "value_date", "amount", "currency",
    "counterparty_name", "counterparty_iban", "remittance", "first_seen_at", "updated_at",
)  # fmt: skip
_PAGE: Final = 1000


class Exports:
    """A part of the SQL store."""

    _reader: AsyncEngine

    async def exported_rows(self, org_id: str, since: date | None = None) -> AsyncIterator[dict[str, Any]]:
        """Yield an organisation's rows in a stable order, removed ones too, holding no more than a page of them."""
        tables = transactions.join(accounts, accounts.c.id == transactions.c.account_id)
        tables = tables.join(connections, connections.c.id == accounts.c.connection_id)
        columns = [accounts.c.connection_id, accounts.c.iban, *transactions.c]
        query = select(*columns).select_from(tables).where(connections.c.org_id == org_id)
        if since is not None:
            query = query.where(transactions.c.day >= since)
        last = ""
        while True:
            page = query.where(transactions.c.id > last).order_by(transactions.c.id).limit(_PAGE)

            async def work(db: AsyncConnection, page: Any = page) -> list[dict[str, Any]]:
                return [dict(row) for row in (await db.execute(page)).mappings()]

            rows = await transact(self._reader, work)
            for row in rows:
                yield {name: row[name] for name in EXPORTED}
            if len(rows) < _PAGE:
                return
            last = rows[-1]["id"]
