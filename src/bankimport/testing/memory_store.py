"""A `BankStore` in memory, for hosts' own tests: the contract of `bankimport.ports`, and nothing of a database."""

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import count
from typing import Any

from bankimport.access.consents import is_syncable
from bankimport.access.health import health_of
from bankimport.errors import Conflict, LeaseLost, NotFound
from bankimport.imports.accounts import assign, joined
from bankimport.models import (
    AccountState,
    Balance,
    BankAccount,
    BankConnection,
    BankId,
    ConnectionFilter,
    ConnectionHealth,
    Consent,
    IdKey,
    Memory,
    RowStatus,
    StoredTransaction,
    Window,
)
from bankimport.ports import ChangeSet
from bankimport.status import ConnectionStatus
from bankimport.stores.access_keys import with_keys
from bankimport.stores.deciding import decidable
from bankimport.stores.naming import check_ids
from bankimport.testing.memory_audit import MemoryAudit, is_about
from bankimport.testing.memory_authorisations import MemoryAuthorisations


@dataclass
class _Account:
    account: BankAccount
    state: AccountState = field(default_factory=AccountState)
    rows: dict[str, StoredTransaction] = field(default_factory=dict)
    aliases: dict[IdKey, set[str]] = field(default_factory=dict)
    balances: dict[str, Balance] = field(default_factory=dict)
    history: dict[tuple[str, date], Balance] = field(default_factory=dict)


class MemoryStore(MemoryAuthorisations, MemoryAudit):
    """A `BankStore`, `ConnectionStore`, `AuthorisationStore` and `AuditLog` in memory.

    `before` is awaited with the name of each write, so that a test can come between.
    """

    def __init__(self, *connections: BankConnection, before: Callable[[str], None] | None = None) -> None:
        self._connections = {connection.id: connection for connection in connections}
        self._authorisations = {}
        self._audit = {}
        self._accounts: dict[tuple[str, str], _Account] = {}
        self._numbers = count(1)
        self._by_id: dict[str, _Account] = {}
        self._fences: dict[str, int] = {}
        self.before = before or (lambda name: None)

    def add(self, connection: BankConnection) -> None:
        """Add or replace a connection."""
        self._connections[connection.id] = connection

    def rows(self, account_id: str) -> list[StoredTransaction]:
        """Return all rows of an account, for assertions."""
        return sorted(self._by_id[account_id].rows.values(), key=lambda row: (row.day, row.id))

    def balances(self, account_id: str) -> Mapping[str, Balance]:
        """Return an account's balances by type."""
        return self._by_id[account_id].balances

    def delete_by_user(self, account_id: str, row_id: str) -> None:
        """Mark a row as deleted by its user."""
        rows = self._by_id[account_id].rows
        rows[row_id] = replace(rows[row_id], deleted_by_user=True)

    async def syncable_organisations(self, now: datetime) -> AsyncIterator[str]:
        """See `BankStore`."""
        for org_id in sorted({c.org_id for c in self._connections.values() if is_syncable(c, now.date())}):
            yield org_id

    async def connections(self, org_id: str) -> Sequence[BankConnection]:
        """See `BankStore`."""
        return sorted((c for c in self._connections.values() if c.org_id == org_id), key=lambda c: c.id)

    async def find_connections(
        self, wanted: ConnectionFilter, *, after: tuple[str, str] | None, limit: int, now: datetime
    ) -> Sequence[BankConnection]:
        """See `ConnectionSearch`."""
        found = sorted((each.org_id, each.id) for each in self._meant(wanted, now))
        names = [name for org_id, name in found if after is None or (org_id, name) > after]
        return [replace(self._connections[name], credentials=None) for name in names[:limit]]

    async def count_connections(self, wanted: ConnectionFilter, *, now: datetime) -> Mapping[ConnectionHealth, int]:
        """See `ConnectionSearch`."""
        return Counter(health_of(each, now) for each in self._meant(wanted, now))

    async def count_connections_by_bank(self, *, now: datetime) -> Mapping[str, Mapping[ConnectionHealth, int]]:
        """See `ConnectionSearch`."""
        found: dict[str, Counter[ConnectionHealth]] = {}
        for each in self._connections.values():
            found.setdefault(each.bank, Counter())[health_of(each, now)] += 1
        return found

    def _meant(self, wanted: ConnectionFilter, now: datetime) -> Iterable[BankConnection]:
        for each in self._connections.values():
            known = (each.org_id, each.bank, health_of(each, now))
            asked = (wanted.org_id, wanted.bank, wanted.health)
            if all(want in (None, have) for want, have in zip(asked, known, strict=True)):
                yield each

    async def connection(self, connection_id: str) -> BankConnection | None:
        """See `BankStore`."""
        return self._connections.get(connection_id)

    async def consents_ending(self, before: date) -> AsyncIterator[BankConnection]:
        """See `BankStore`."""
        for connection in sorted(self._connections.values(), key=lambda c: (c.org_id, c.id)):
            last_day = connection.consent_valid_until
            if connection.status is not ConnectionStatus.DISCONNECTED and last_day is not None and last_day < before:
                yield connection

    async def add_connection(
        self,
        *,
        org_id: str,
        bank: str,
        consent_id: str | None = None,
        valid_until: date | None = None,
        credentials: Mapping[str, Any] | None = None,
        id: str | None = None,  # noqa: A002  # the contract's name
    ) -> str:
        """See `ConnectionStore`."""
        connection_id = id or f"conn_{secrets.token_urlsafe(9)}"
        check_ids(connection_id, org_id, bank)
        if connection_id in self._connections:
            raise Conflict(f"there is a connection {connection_id} already")
        self.add(
            BankConnection(
                connection_id,
                org_id,
                bank,
                consent_id=consent_id,
                consent_valid_until=valid_until,
                credentials=credentials,
                created_at=datetime.now(UTC),
            )
        )
        return connection_id

    async def own_connections(self, org_id: str, connection_ids: Sequence[str]) -> Collection[str]:
        """See `ConnectionStore`."""
        return [each.id for each in await self.connections(org_id) if each.id in set(connection_ids)]

    def _change(self, connection_id: str, **values: Any) -> None:
        if connection_id not in self._connections:
            raise NotFound("connection")
        self._connections[connection_id] = replace(self._connections[connection_id], **values)

    async def renew_consent(
        self,
        connection_id: str,
        consent_id: str,
        valid_until: date | None,
        *,
        credentials: Mapping[str, Any] | None = None,
    ) -> None:
        """See `ConnectionStore`."""
        more = {"credentials": credentials} if credentials is not None else {}
        status = {"status": ConnectionStatus.ACTIVE, "status_reason": None, "next_sync_at": None}
        self._change(connection_id, consent_id=consent_id, consent_valid_until=valid_until, **status, **more)

    async def disconnect(self, connection_id: str) -> None:
        """See `ConnectionStore`."""
        self._change(connection_id, status=ConnectionStatus.DISCONNECTED, status_reason=None, credentials=None)

    async def delete_connection(self, connection_id: str) -> None:
        """See `ConnectionStore`."""
        self._change(connection_id)
        del self._connections[connection_id]
        for key in [key for key in self._accounts if key[0] == connection_id]:
            del self._by_id[self._accounts.pop(key).account.id]

    async def erase_organisation(self, org_id: str, *, keep_rows: bool) -> Mapping[str, int]:
        """See `ErasingStore`."""
        theirs = [each.id for each in self._connections.values() if each.org_id == org_id]
        authorisations = [each.id for each in self._authorisations.values() if each.org_id == org_id]
        for each in authorisations:
            del self._authorisations[each]
        for each in theirs:
            if keep_rows:
                gone = {"status": ConnectionStatus.DISCONNECTED, "status_reason": None}
                self._change(each, consent_id=None, credentials=None, **gone)
            else:
                await self.delete_connection(each)
        entries = [] if keep_rows else [each.id for each in self._audit.values() if is_about(each, org_id, theirs)]
        for each in entries:
            del self._audit[each]
        return {"connections": len(theirs), "authorisations": len(authorisations), "audit": len(entries)}

    async def update_credentials(self, connection_id: str, credentials: Mapping[str, Any] | None) -> None:
        """See `ConnectionStore`."""
        self._change(connection_id, credentials=credentials)

    async def set_connection_status(
        self, connection_id: str, from_: Iterable[ConnectionStatus], to: ConnectionStatus, reason: str | None = None
    ) -> bool:
        """See `BankStore`."""
        self.before("set_connection_status")
        connection = self._connections[connection_id]
        same = (connection.status, connection.status_reason) == (to, reason)
        if same or connection.status not in set(from_):
            return False
        self._connections[connection_id] = replace(connection, status=to, status_reason=reason)
        return True

    async def set_consent(self, connection_id: str, consent: Consent) -> None:
        """See `BankStore`."""
        connection = self._connections[connection_id]
        self._connections[connection_id] = replace(connection, consent_valid_until=consent.valid_until)

    async def note_sync(self, connection_id: str, at: datetime | None, next_at: datetime | None = None) -> None:
        """See `BankStore`."""
        self.before("note_sync")
        connection = self._connections[connection_id]
        last = connection.last_sync_at if at is None else at
        self._connections[connection_id] = replace(connection, last_sync_at=last, next_sync_at=next_at)

    async def note_asked(self, connection_id: str, at: datetime) -> None:
        """See `BankStore`."""
        self.before("note_asked")
        self._connections[connection_id] = replace(self._connections[connection_id], asked_at=at)

    async def upsert_accounts(
        self, connection: BankConnection, accounts: Sequence[BankAccount], *, fence: int
    ) -> Sequence[BankAccount]:
        """See `BankStore`."""
        self.before("upsert_accounts")
        self._check(connection.id, fence)
        known = await self.accounts(connection.id)
        decided = assign([replace(account, consent_id=connection.consent_id) for account in accounts], known)
        for gone in decided.away:
            self._by_id[gone.id].account = replace(gone, is_listed=False)
        banks = {one.id: one.bank for one in self._connections.values() if one.id != connection.id}
        elsewhere = [one.account for (owner, _), one in self._accounts.items() if banks.get(owner) == connection.bank]
        taken = [account.stable_key for account in known]
        result = []
        for account in with_keys(decided.accounts, taken, elsewhere, connection.id):
            stored = account if account.id else replace(account, id=f"account-{next(self._numbers)}")
            if not account.id:
                self._accounts[connection.id, stored.stable_key] = self._by_id[stored.id] = _Account(stored)
            self._by_id[stored.id].account = stored
            result.append(stored)
        return result

    async def decide_account(self, connection_id: str, account_id: str, same_as: str | None) -> BankAccount:
        """See `AccountDecisions`."""
        account, old = decidable(await self.accounts(connection_id), account_id, same_as)
        decided = replace(account, undecided=None) if old is None else joined(account, old)
        if old is not None:
            del self._by_id[account.id], self._accounts[connection_id, account.stable_key]
        self._by_id[decided.id].account = decided
        return decided

    def _check(self, connection_id: str, fence: int) -> None:
        if fence < self._fences.get(connection_id, 0):
            raise LeaseLost("(a later run has written)")
        self._fences[connection_id] = fence

    async def accounts(self, connection_id: str) -> Sequence[BankAccount]:
        """See `BankStore`."""
        return [known.account for (owner, _), known in self._accounts.items() if owner == connection_id]

    async def account_state(self, account: BankAccount) -> AccountState:
        """See `BankStore`."""
        return self._by_id[account.id].state

    async def set_attended_only(self, account: BankAccount, *, only: bool = True) -> bool:
        """See `BankStore`."""
        known = self._by_id[account.id]
        was = known.state.attended_only
        known.state = replace(known.state, attended_only=only)
        return was is not only

    async def load_rows(
        self, account: BankAccount, window: Window, ids: Collection[BankId]
    ) -> tuple[Sequence[StoredTransaction], int]:
        """See `BankStore`."""
        known = self._by_id[account.id]
        named = {row_id for i in ids for row_id in known.aliases.get((i.namespace, i.value), ())}
        rows = [row for row in known.rows.values() if row.id in named or window.holds(row.day)]
        return rows, known.state.version

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
        self.before("apply")
        known = self._by_id[account.id]
        connection_id = next(owner for (owner, _), one in self._accounts.items() if one is known)
        self._check(connection_id, fence)
        if known.state.version != version:
            return False
        for new in change_set.inserts:
            _put(known, StoredTransaction(new.id, RowStatus(new.transaction.status.value), new.transaction))
        for update in change_set.updates:
            kept = known.rows[update.id]
            ids = {(i.namespace, i.value): i for i in (*kept.transaction.ids, *update.transaction.ids)}
            transaction = replace(update.transaction, ids=tuple(ids.values()))
            row = StoredTransaction(update.id, update.status, transaction, update.missing_at_bank, kept.deleted_by_user)
            _put(known, row)
        for mark in change_set.marks:
            known.rows[mark.id] = replace(known.rows[mark.id], status=mark.status, missing_at_bank=mark.missing_at_bank)
        known.state = replace(known.state, version=version + 1, memory=memory or known.state.memory, cursor=cursor)
        return True

    async def put_balances(self, account: BankAccount, balances: Sequence[Balance]) -> None:
        """See `BankStore`."""
        self.before("put_balances")
        known = self._by_id[account.id]
        for each in balances:
            known.balances[each.balance_type] = each
            known.history[each.balance_type, (each.fetched_at or datetime.now(UTC)).astimezone(UTC).date()] = each

    async def balance_history(self, account_id: str, since: date, until: date) -> Sequence[Balance]:
        """See `BalanceHistory`."""
        days = sorted(self._by_id[account_id].history.items(), key=lambda item: item[0])
        return [balance for (_, day), balance in days if since <= day <= until]

    async def aclose(self) -> None:
        """See `BankStore`."""


def _put(known: _Account, row: StoredTransaction) -> None:
    """Store a row; an id that came back used names every row that has had it."""
    known.rows[row.id] = row
    for bank_id in row.transaction.ids:
        known.aliases.setdefault((bank_id.namespace, bank_id.value), set()).add(row.id)
