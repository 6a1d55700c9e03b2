"""Writing one account's change set: in slices, never row by row, whatever its size."""

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bankimport.ports import ChangeSet
from bankimport.stores.sql.inserting import Inserter
from bankimport.stores.sql.rows import alias_rows, content
from bankimport.stores.sql.schema import transaction_ids, transactions
from bankimport.stores.sql.slices import sliced

_SLICE = 2000


async def write_changes(connection: AsyncConnection, account_id: str, changes: ChangeSet, now: datetime) -> None:
    """Write inserts, updates and marks of one account, with their aliases."""
    if changes.inserts:
        await Inserter(connection, account_id, now).insert(changes.inserts)
    for updates in sliced(changes.updates, _SLICE):
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
    for marks in sliced(changes.marks, _SLICE):
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


def _update_of(row: dict[str, Any]) -> Any:
    columns: dict[str, Any] = {name: bindparam(name) for name in row if name != "row_id"}
    return update(transactions).where(transactions.c.id == bindparam("row_id")).values(columns)


async def _add_aliases(connection: AsyncConnection, aliases: list[dict[str, Any]]) -> None:
    if not aliases:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    await connection.execute(dialect.insert(transaction_ids).on_conflict_do_nothing(), aliases)
