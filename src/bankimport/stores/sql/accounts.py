"""The accounts of a connection and what names them: the tables behind `BankStore.upsert_accounts`."""

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bankimport.imports.accounts import assign, joined
from bankimport.models import AccountReference, AccountState, BankAccount, BankConnection
from bankimport.stores.access_keys import with_keys
from bankimport.stores.deciding import decidable
from bankimport.stores.sql.rows import account_of, state_of
from bankimport.stores.sql.schema import account_references, accounts, connections
from bankimport.stores.sql.slices import sliced
from bankimport.stores.sql.transacting import transact


async def stored_accounts(db: AsyncConnection, condition: Any) -> list[BankAccount]:
    """Return the accounts of a condition with their references, in the order of their ids."""
    named: defaultdict[str, list[AccountReference]] = defaultdict(list)
    ids = select(accounts.c.id).where(condition)
    for row in await db.execute(select(account_references).where(account_references.c.account_id.in_(ids))):
        named[row.account_id].append(AccountReference(row.kind, row.value))
    rows = await db.execute(select(accounts).where(condition).order_by(accounts.c.id))
    return [account_of(row, tuple(sorted(named[row.id]))) for row in rows]


async def upsert(db: AsyncConnection, connection: BankConnection, listed: Sequence[BankAccount]) -> list[BankAccount]:
    """Carry out what `assign` decides of a bank's list; return the listed accounts as they are stored now."""
    known = await stored_accounts(db, accounts.c.connection_id == connection.id)
    decided = assign([replace(account, consent_id=connection.consent_id) for account in listed], known)
    new = [account for account in decided.accounts if not account.id]
    others = await _elsewhere(db, connection, new)
    keyed = with_keys(decided.accounts, [account.stable_key for account in known], others, connection.id)
    before = {account.id: account for account in known}
    result = []
    for account in keyed:
        stored = account if account.id else replace(account, id=f"acc_{secrets.token_urlsafe(9)}")
        if account.id:
            await _change(db, before[account.id], stored)
        else:
            await db.execute(insert(accounts), {**_columns(stored), "id": stored.id, "connection_id": connection.id})
            await _name(db, stored.id, stored.references)
        result.append(stored)
    away = [account.id for account in decided.away if account.is_listed]
    for ids in sliced(away, 500):
        await db.execute(update(accounts).where(accounts.c.id.in_(ids)).values(is_listed=False))
    return result


class Accounts:
    """A part of the SQL store."""

    _reader: AsyncEngine

    async def accounts_with_states(
        self, connection_ids: Sequence[str]
    ) -> Mapping[str, Sequence[tuple[BankAccount, AccountState]]]:
        """See `AccountOverview`."""
        theirs = accounts.c.connection_id.in_(connection_ids)

        async def work(db: AsyncConnection) -> dict[str, list[tuple[BankAccount, AccountState]]]:
            known = {account.id: account for account in await stored_accounts(db, theirs)}
            found: dict[str, list[tuple[BankAccount, AccountState]]] = {}
            for row in await db.execute(select(accounts).where(theirs).order_by(accounts.c.id)):
                if row.id in known:
                    found.setdefault(row.connection_id, []).append((known[row.id], state_of(row)))
            return found

        return await transact(self._reader, work)


class Decisions:
    """A part of the SQL store."""

    _engine: AsyncEngine

    async def decide_account(self, connection_id: str, account_id: str, same_as: str | None) -> BankAccount:
        """See `AccountDecisions`. A run that reads the account just now can't write it any more, and begins anew."""

        async def work(db: AsyncConnection) -> BankAccount:
            known = await stored_accounts(db, accounts.c.connection_id == connection_id)
            account, old = decidable(known, account_id, same_as)
            if old is None:
                decided = replace(account, undecided=None)
                await _change(db, account, decided)
                return decided
            await db.execute(delete(accounts).where(accounts.c.id == account.id))
            decided = joined(account, old)
            await _change(db, old, decided)
            return decided

        return await transact(self._engine, work)


async def _elsewhere(
    db: AsyncConnection, connection: BankConnection, new: Collection[BankAccount]
) -> Iterable[BankAccount]:
    """Return the accounts of other connections to the same bank that share a reference with a new one."""
    values = sorted({reference.value for account in new for reference in account.references})
    found: dict[str, BankAccount] = {}
    same_bank = select(connections.c.id).where(connections.c.bank == connection.bank, connections.c.id != connection.id)
    for some in sliced(values, 500):
        named = select(account_references.c.account_id).where(account_references.c.value.in_(some))
        condition = accounts.c.id.in_(named) & accounts.c.connection_id.in_(same_bank)
        found |= {account.id: account for account in await stored_accounts(db, condition)}
    return found.values()


async def _change(db: AsyncConnection, old: BankAccount, new: BankAccount) -> None:
    if _columns(old) != _columns(new):
        await db.execute(update(accounts).where(accounts.c.id == new.id).values(_columns(new)))
    gone = set(old.references) - set(new.references)
    if gone:
        its = account_references.c
        same = or_(*((its.kind == one.kind) & (its.value == one.value) for one in gone))
        await db.execute(delete(account_references).where(its.account_id == new.id, same))
    await _name(db, new.id, set(new.references) - set(old.references))


async def _name(db: AsyncConnection, account_id: str, references: Collection[AccountReference]) -> None:
    if references:
        rows = [{"account_id": account_id, "kind": one.kind, "value": one.value} for one in sorted(references)]
        await db.execute(insert(account_references), rows)


def _columns(account: BankAccount) -> dict[str, Any]:
    return {
        "stable_key": account.stable_key,
        "provider_id": account.provider_id,
        "consent_id": account.consent_id,
        "iban": account.iban,
        "currency": account.currency,
        "name": account.name,
        "kind": account.kind,
        "is_listed": account.is_listed,
        "undecided": None if account.undecided is None else account.undecided.value,
    }
