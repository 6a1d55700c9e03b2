"""Writing one account's change set: in slices, never row by row, whatever its size."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bankimport.ports import ChangeSet, NewRow
from bankimport.stores.sql.rows import alias_rows, content, new_row
from bankimport.stores.sql.schema import transaction_ids, transactions

T = TypeVar("T")

_SLICE = 2000


def sliced(values: Iterable[T], size: int = _SLICE) -> Iterator[list[T]]:
    """Yield the values in lists of at most `size`."""
    iterator = iter(values)
    while part := list(islice(iterator, size)):
        yield part


async def write_changes(connection: AsyncConnection, account_id: str, changes: ChangeSet, now: datetime) -> None:
    """Write inserts, updates and marks of one account, with their aliases."""
    for part in sliced(changes.inserts):
        await _insert(connection, account_id, part, now)
    for updates in sliced(changes.updates):
        rows = [
            {
                "row_id": each.id,
                "status": each.status.value,
                "missing_at_bank": each.missing_at_bank,
                "updated_at": now,
                **content(each.transaction),
            }
            for each in updates
        ]
        await connection.execute(_update_of(rows[0]), rows)
        await _add_aliases(
            connection, [alias for each in updates for alias in alias_rows(account_id, each.id, each.transaction.ids)]
        )
    for marks in sliced(changes.marks):
        rows = [
            {
                "row_id": each.id,
                "status": each.status.value,
                "missing_at_bank": each.missing_at_bank,
                "updated_at": now,
            }
            for each in marks
        ]
        await connection.execute(_update_of(rows[0]), rows)


async def _insert(connection: AsyncConnection, account_id: str, part: list[NewRow], now: datetime) -> None:
    rows = [new_row(account_id, each.id, each.transaction, now) for each in part]
    await connection.execute(insert(transactions), rows)
    aliases = [alias for each in part for alias in alias_rows(account_id, each.id, each.transaction.ids)]
    if aliases:
        await connection.execute(insert(transaction_ids), aliases)


def _update_of(row: dict[str, Any]) -> Any:
    columns: dict[str, Any] = {name: bindparam(name) for name in row if name != "row_id"}
    return update(transactions).where(transactions.c.id == bindparam("row_id")).values(columns)


async def _add_aliases(connection: AsyncConnection, aliases: list[dict[str, Any]]) -> None:
    if not aliases:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    await connection.execute(dialect.insert(transaction_ids).on_conflict_do_nothing(), aliases)
