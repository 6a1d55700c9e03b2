"""Inserting new rows the way each driver is quickest at, since a first import carries a million of them.

PostgreSQL copies, SQLite executes one prepared statement for a slice. How a value looks in a database is asked of the
tables' types, once for a change set; SQLAlchemy's own way would ask for every value of every row.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from bankimport.models import RowStatus, Transaction, TransactionStatus
from bankimport.ports import NewRow
from bankimport.stores.sql.engine import copy_in
from bankimport.stores.sql.rows import usable_ids
from bankimport.stores.sql.schema import transaction_ids, transactions
from bankimport.stores.sql.slices import sliced

Record = tuple[Any, ...]

_SLICE = 2000

_T = transactions.c
_I = transaction_ids.c
#: in the order of `Inserter._record` and `Inserter._aliases`
_ROW = (
    *(_T.id, _T.account_id, _T.status, _T.booking_date, _T.value_date, _T.day, _T.amount, _T.currency),
    *(_T.counterparty_name, _T.counterparty_iban, _T.remittance, _T.raw),
    *(_T.missing_at_bank, _T.deleted_by_user, _T.first_seen_at, _T.updated_at),
)
_ALIAS = (_I.account_id, _I.namespace, _I.value, _I.transaction_id, _I.quality)


class Inserter:
    """Inserts the new rows of one account, on a connection in a transaction."""

    def __init__(self, connection: AsyncConnection, account_id: str, now: datetime) -> None:
        self._connection = connection
        self._account_id = account_id
        self._money = self._bound(_T.amount)
        self._json = self._bound(_T.raw)
        self._day = self._bound(_T.day)
        self._days: dict[date | None, Any] = {None: None}
        at = self._bound(_T.first_seen_at)(now)
        self._end = (0, self._bound(_T.deleted_by_user)(False), at, at)

    def _bound(self, column: Column[Any]) -> Callable[[Any], Any]:
        dialect = self._connection.dialect
        processor = column.type.dialect_impl(dialect).bind_processor(dialect)
        return processor or (lambda value: value)

    async def insert(self, rows: Iterable[NewRow]) -> None:
        """Insert the rows with their aliases. While the database is at one slice, the next is made ready."""
        writing: asyncio.Task[None] | None = None
        try:
            for part in sliced(rows, _SLICE):
                records = [self._record(row.id, row.transaction) for row in part]
                await asyncio.sleep(0)  # others have work too, and so has the slice that is being written
                aliases = [alias for row in part for alias in self._aliases(row.id, row.transaction)]
                if writing is not None:
                    await writing
                writing = asyncio.create_task(self._write_slice(records, aliases))
                await asyncio.sleep(0)  # lets it begin
            if writing is not None:
                await writing
        finally:
            if writing is not None and not writing.done():
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)

    async def _write_slice(self, records: list[Record], aliases: list[Record]) -> None:
        await self._write(transactions, _ROW, records)
        if aliases:
            await self._write(transaction_ids, _ALIAS, aliases)

    def _record(self, row_id: str, entry: Transaction) -> Record:
        booked = entry.status is TransactionStatus.BOOKED
        return (
            row_id,
            self._account_id,
            (RowStatus.BOOKED if booked else RowStatus.PENDING).value,
            self._stored_day(entry.booking_date),
            self._stored_day(entry.value_date),
            self._stored_day(entry.day),
            self._money(entry.amount),
            entry.currency,
            entry.counterparty_name,
            entry.counterparty_iban,
            entry.remittance,
            self._json(entry.raw),
            *self._end,
        )

    def _stored_day(self, day: date | None) -> Any:
        """Return a day as the database stores it; a million rows share a few thousand of them."""
        if day not in self._days:
            self._days[day] = self._day(day)
        return self._days[day]

    def _aliases(self, row_id: str, entry: Transaction) -> list[Record]:
        account_id = self._account_id
        return [(account_id, one.namespace, one.value, row_id, one.quality.value) for one in usable_ids(entry.ids)]

    async def _write(self, table: Table, columns: Sequence[Column[Any]], records: list[Record]) -> None:
        names = [column.name for column in columns]
        if self._connection.dialect.name == "postgresql":
            await copy_in(self._connection, table.name, names, records)
            return
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608  # our own names
        await self._connection.exec_driver_sql(statement, records)
