"""Inserting new rows the way each driver is quickest at, since a first import carries a million of them.

PostgreSQL copies, SQLite takes many rows in one statement. How a value looks in a database is asked of the tables'
types, once for a change set; SQLAlchemy's own way would ask for every value of every row.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import chain
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from bankimport.models import IdQuality, Transaction, TransactionStatus
from bankimport.ports import NewRow
from bankimport.stores.sql.engine import copy_in
from bankimport.stores.sql.rows import usable_ids
from bankimport.stores.sql.schema import transaction_ids, transactions
from bankimport.stores.sql.slices import T, sliced

Record = tuple[Any, ...]

_SLICE = 2000
#: So many rows are one statement of SQLite. Between two rows of `executemany` its thread waits for the interpreter, up
#: to 5 ms while another thread makes rows ready. Older SQLite takes 32,766 values in one statement.
_AT_ONCE = 1000
_BOOKED, _STRONG = TransactionStatus.BOOKED, IdQuality.STRONG

_T = transactions.c
_I = transaction_ids.c
#: in the order of `Inserter._record` and `Inserter._aliases`
_ROW = (
    *(_T.id, _T.account_id, _T.status, _T.booking_date, _T.value_date, _T.day, _T.amount, _T.currency),
    *(_T.counterparty_name, _T.counterparty_iban, _T.remittance, _T.raw),
    *(_T.missing_at_bank, _T.deleted_by_user, _T.first_seen_at, _T.updated_at),
)
_ALIAS = (_I.account_id, _I.namespace, _I.value, _I.transaction_id, _I.quality)


class _Days(dict[date | None, Any]):
    """Days as the database stores them; a million rows share a few thousand."""

    def __init__(self, bound: Callable[[date], Any]) -> None:
        super().__init__({None: None})
        self._bound = bound

    def __missing__(self, day: date) -> Any:
        stored = self[day] = self._bound(day)
        return stored


class Inserter:
    """Inserts the new rows of one account, on a connection in a transaction."""

    def __init__(self, connection: AsyncConnection, account_id: str, now: datetime) -> None:
        self._connection = connection
        self._account_id = account_id
        self._money = self._bound(_T.amount)
        self._json = self._bound(_T.raw)
        self._days = _Days(self._bound(_T.day))
        at = self._bound(_T.first_seen_at)(now)
        self._end = (0, self._bound(_T.deleted_by_user)(False), at, at)

    def _bound(self, column: Column[Any]) -> Callable[[Any], Any]:
        dialect = self._connection.dialect
        processor = column.type.dialect_impl(dialect).bind_processor(dialect)
        return processor or (lambda value: value)

    async def insert(self, rows: Iterable[NewRow]) -> None:
        """Insert the rows with their aliases. While the database is at one slice, a thread makes the next ready."""
        parts = self._made_ready(rows)
        ahead = _next_of(parts)
        try:
            # shielded: a thread can't be cancelled, and nobody else may read `rows` before it is done
            while part := await asyncio.shield(ahead):
                ahead = _next_of(parts)
                await self._write(transactions, _ROW, part[0])
                await self._write(transaction_ids, _ALIAS, part[1])
        finally:
            await asyncio.wait([ahead])
            ahead.exception()

    def _made_ready(self, rows: Iterable[NewRow]) -> Iterator[tuple[list[Record], list[Record]]]:
        """Yield the records of slices. The aliases are cut at a whole statement; the rest goes with the next slice."""
        kept: list[Record] = []
        for part in sliced(rows, _SLICE):
            kept += [alias for row in part for alias in self._aliases(row)]
            whole = len(kept) if len(part) < _SLICE else len(kept) - len(kept) % _AT_ONCE
            yield [self._record(row.id, row.transaction) for row in part], kept[:whole]
            kept = kept[whole:]
        if kept:
            yield [], kept

    def _record(self, row_id: str, entry: Transaction) -> Record:
        days = self._days
        return (
            row_id,
            self._account_id,
            "booked" if entry.status is _BOOKED else "pending",
            days[entry.booking_date],
            days[entry.value_date],
            days[entry.day],
            self._money(entry.amount),
            entry.currency,
            entry.counterparty_name,
            entry.counterparty_iban,
            entry.remittance,
            self._json(entry.raw),
            *self._end,
        )

    def _aliases(self, row: NewRow) -> list[Record]:
        account_id, row_id = self._account_id, row.id
        return [
            (account_id, one.namespace, one.value, row_id, "strong" if one.quality is _STRONG else "weak")
            for one in usable_ids(row.transaction.ids)
        ]

    async def _write(self, table: Table, columns: Sequence[Column[Any]], records: list[Record]) -> None:
        names = [column.name for column in columns]
        if not records:
            return
        if self._connection.dialect.name == "postgresql":
            await copy_in(self._connection, table.name, names, records)
            return
        for part in sliced(records, _AT_ONCE):
            one = f"({', '.join('?' * len(names))})"
            statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES "  # noqa: S608  # our own names
            if len(part) == _AT_ONCE:
                values = tuple(chain.from_iterable(part))
                await self._connection.exec_driver_sql(statement + ", ".join([one] * _AT_ONCE), values)
            else:  # a statement of its own for each length would be kept in the driver's cache
                await self._connection.exec_driver_sql(statement + one, part)


def _next_of(parts: Iterator[T]) -> asyncio.Future[T | None]:
    return asyncio.get_running_loop().run_in_executor(None, next, parts, None)
