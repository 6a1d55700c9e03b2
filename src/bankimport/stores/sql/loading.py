"""Reading rows back for reconciliation: as a stream, so that a long history holds up no other job of the process."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bankimport.models import BankId, IdQuality, StoredTransaction, Window
from bankimport.models.maker import maker
from bankimport.stores.sql.rows import ROW_COLUMNS, stored_of
from bankimport.stores.sql.schema import accounts, transaction_ids, transactions
from bankimport.stores.sql.slices import sliced

_ROWS_AT_ONCE = 1000
_IDS_AT_ONCE = 400
_I = transaction_ids.c
_bank_id = maker(BankId)
_QUALITIES = {quality.value: quality for quality in IdQuality}


async def load(
    connection: AsyncConnection, account_id: str, window: Window, ids: Collection[BankId]
) -> tuple[list[StoredTransaction], int]:
    """Return the rows of the window, the rows that `ids` name wherever they are, and the account's version.

    The version is read first: what is written in between makes the rows newer than it, and the write that follows is
    refused and decided anew.
    """
    version = await connection.scalar(select(accounts.c.version).where(accounts.c.id == account_id))
    within = [transactions.c.account_id == account_id, transactions.c.day >= window.since]
    if window.until is not None:
        within.append(transactions.c.day <= window.until)
    found = await _load(connection, within)
    known = {(alias.namespace, alias.value) for row in found for alias in row.transaction.ids} if ids else set()
    missing = [one for one in ids if (one.namespace, one.value) not in known]
    if missing:
        loaded = {row.id for row in found}
        named = [row_id for row_id in await _named(connection, account_id, missing) if row_id not in loaded]
        for part in sliced(named, _IDS_AT_ONCE):
            found += await _load(connection, [transactions.c.id.in_(part)])
    return found, int(version or 0)


async def _load(connection: AsyncConnection, where: Iterable[ColumnElement[bool]]) -> list[StoredTransaction]:
    """Return the rows for which `where` holds, each with all its aliases."""
    aliases: defaultdict[str, list[BankId]] = defaultdict(list)
    query = select(_I.transaction_id, _I.namespace, _I.value, _I.quality)
    joined = query.join(transactions, transactions.c.id == _I.transaction_id).where(*where)
    namespaces: dict[str, str] = {}  # one string for each, not one a row
    async for part in _stream(connection, joined):
        for row_id, namespace, value, quality in part:
            aliases[row_id].append(_bank_id(namespaces.setdefault(namespace, namespace), value, _QUALITIES[quality]))
    stored: list[StoredTransaction] = []
    async for part in _stream(connection, select(*ROW_COLUMNS).where(*where)):
        stored += [stored_of(row, tuple(aliases.pop(row[0], ()))) for row in part]
    return stored


async def _stream(connection: AsyncConnection, query: Select[Any]) -> AsyncIterator[Sequence[Sequence[Any]]]:
    """Yield rows, some at a time; whoever else has work in this process gets a turn between."""
    async with connection.stream(query.execution_options(yield_per=_ROWS_AT_ONCE)) as result:
        async for part in result.partitions():
            yield part


async def _named(connection: AsyncConnection, account_id: str, names: Iterable[BankId]) -> list[str]:
    """Return the ids of the rows that have one of these aliases, each once; an alias may name several.

    One namespace at a time: PostgreSQL seeks a list of values in the index, but takes pairs as so many ORs and reads
    the account's whole index for them.
    """
    values: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        values[name.namespace].add(name.value)
    found: dict[str, None] = {}
    for namespace in values:
        for part in sliced(values[namespace], _IDS_AT_ONCE):
            query = select(_I.transaction_id).where(
                _I.account_id == account_id, _I.namespace == namespace, _I.value.in_(part)
            )
            found.update(dict.fromkeys(await connection.scalars(query)))
    return list(found)
