"""How connections stand: gathered of the store, the provider and the ledger of reads."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bankimport.access.budget import free_at, horizon
from bankimport.access.consents import is_syncable
from bankimport.errors import InvalidRequest, NotFound, NotOffered
from bankimport.models import (
    AccountDetails,
    AccountState,
    BankAccount,
    BankConnection,
    Capabilities,
    ConnectionDetails,
    ConnectionFilter,
    ConnectionHealth,
    ConnectionPage,
    ConnectionSummary,
    CoveredDays,
    DayRead,
    Interval,
    ReadsToday,
    Scope,
)
from bankimport.ports import (
    AccessKey,
    AccessLedger,
    AccountOverview,
    BankProvider,
    BankStore,
    Clock,
    ConnectionSearch,
)
from bankimport.schedules.ticks import SYNCS
from bankimport.service.connections import Connections
from bankimport.service.explaining import explain
from bankimport.stores.deciding import could_be

_DAYS = (1, 3, 7, 14)
_COUNTED_FOR = timedelta(minutes=1)


class Overview:
    """Shows connections to those who own them."""

    def __init__(
        self, connections: Connections, store: BankStore, ledger: AccessLedger, clock: Clock, zone: ZoneInfo
    ) -> None:
        self._connections = connections
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._zone = zone
        self._counted: tuple[datetime | None, dict[int, int]] = None, {}

    async def page(self, org_id: str, cursor: str | None, limit: int) -> ConnectionPage:
        """Return a page of an organisation's connections; the cursor is the last id of the page before."""
        found = sorted(await self._connections.list(org_id), key=lambda each: each.id)
        left = [each for each in found if cursor is None or each.id > cursor]
        shown = tuple(ConnectionSummary(**self._summary(each)) for each in left[:limit])
        return ConnectionPage(connections=shown, next_cursor=shown[-1].id if len(left) > limit else None)

    async def search(self, wanted: ConnectionFilter, cursor: str | None, limit: int) -> ConnectionPage:
        """Return a page of the connections of all organisations; the cursor is `organisation/id`.

        Raises:
            InvalidRequest: the cursor is none of ours.
            NotOffered: the store can't look for them.
        """
        after = _pair(cursor)
        found = await self._searching().find_connections(wanted, after=after, limit=limit + 1, now=self._clock())
        shown = tuple(ConnectionSummary(**self._summary(each)) for each in found[:limit])
        more = f"{shown[-1].org_id}/{shown[-1].id}" if len(found) > limit else None
        return ConnectionPage(connections=shown, next_cursor=more)

    async def count(self, wanted: ConnectionFilter) -> Mapping[ConnectionHealth, int]:
        """Return how many connections of all organisations have each health.

        Raises:
            NotOffered: the store can't look for them.
        """
        return await self._searching().count_connections(wanted, now=self._clock())

    async def census(self) -> Mapping[str, Mapping[ConnectionHealth, int]]:
        """Return how many connections of each bank have each health; nothing where the store can't count them."""
        if not isinstance(self._store, ConnectionSearch):
            return {}
        return await self._store.count_connections_by_bank(now=self._clock())

    def _searching(self) -> ConnectionSearch:
        if not isinstance(self._store, ConnectionSearch):
            raise NotOffered(type(self._store).__name__, "look for connections of all organisations")
        return self._store

    async def details(self, connection_id: str, org_id: str | None, bank: BankProvider | None) -> ConnectionDetails:
        """Return a connection with its accounts.

        Raises:
            NotFound: no such connection, or not `org_id`'s.
        """
        connection = await self._connections.get(connection_id, org_id=org_id)
        if connection is None:
            raise NotFound("connection")
        known = await self._states([connection])
        return await self._details(connection, known.get(connection_id, ()), bank)

    async def many(
        self, org_id: str, connection_ids: Collection[str], banks: Mapping[str, BankProvider]
    ) -> Sequence[ConnectionDetails]:
        """Return those of an organisation's connections with their accounts, in the order of their ids."""
        found = [each for each in await self._connections.list(org_id) if each.id in connection_ids]
        known = await self._states(found)
        told = (self._details(each, known.get(each.id, ()), banks.get(each.bank)) for each in found)
        return await asyncio.gather(*told)

    async def _details(
        self, connection: BankConnection, known: Sequence[tuple[BankAccount, AccountState]], bank: BankProvider | None
    ) -> ConnectionDetails:
        bank_allows = await bank.capabilities(connection) if bank is not None else None
        accounts = [account for account, _ in known]
        told = (self._account(connection, account, state, bank_allows, accounts) for account, state in known)
        return ConnectionDetails(**self._summary(connection), accounts=tuple(await asyncio.gather(*told)))

    async def _states(
        self, connections: Sequence[BankConnection]
    ) -> Mapping[str, Sequence[tuple[BankAccount, AccountState]]]:
        """Return the accounts of connections, with one question where the store can."""
        if isinstance(self._store, AccountOverview):
            return await self._store.accounts_with_states([each.id for each in connections])
        found = {}
        for each in connections:
            accounts = await self._store_accounts(each.id)
            found[each.id] = [(account, await self._store.account_state(account)) for account in accounts]
        return found

    async def consents_ending(self) -> Mapping[int, int]:
        """Return how many consents end within so many days; counted again after a minute."""
        at, counted = self._counted
        now = self._clock()
        if at is None or now - at > _COUNTED_FOR:
            today = now.date()
            counted = dict.fromkeys(_DAYS, 0)
            async for connection in self._store.consents_ending(today + timedelta(days=_DAYS[-1] + 1)):
                left = (connection.consent_valid_until - today).days if connection.consent_valid_until else -1
                for days in _DAYS:
                    counted[days] += 0 <= left <= days
            self._counted = now, counted
        return counted

    async def _store_accounts(self, connection_id: str) -> Sequence[BankAccount]:
        read = getattr(self._store, "accounts", None)
        return await read(connection_id) if read is not None else ()

    def _summary(self, connection: BankConnection) -> dict[str, Any]:
        now = self._clock()
        syncable = is_syncable(connection, now.date())
        return {
            "id": connection.id,
            "org_id": connection.org_id,
            "bank": connection.bank,
            "institution": connection.institution,
            "status": connection.status,
            "status_reason": connection.status_reason,
            "explanation": explain(connection, now),
            "syncable": syncable,
            "consent_valid_until": connection.consent_valid_until,
            "last_sync_at": connection.last_sync_at,
            "next_sync_at": self._next_sync(connection, now) if syncable else None,
            "created_at": connection.created_at,
        }

    def _next_sync(self, connection: BankConnection, now: datetime) -> datetime:
        """Return when it is read next: when its bank allows it, or with the schedule's next tick."""
        tick = next(SYNCS.ticks(now, now + timedelta(days=1), self._zone)).astimezone(UTC)
        return max(tick, connection.next_sync_at) if connection.next_sync_at is not None else tick

    async def _account(
        self,
        connection: BankConnection,
        account: BankAccount,
        state: AccountState,
        bank: Capabilities | None,
        known: Sequence[BankAccount],
    ) -> AccountDetails:
        latest = max(state.coverage, key=lambda each: each.until, default=None)
        return AccountDetails(
            id=account.id,
            name=account.name,
            kind=account.kind,
            currency=account.currency,
            iban_end=account.iban[-4:] if account.iban else None,
            covered_since=latest.since if latest else None,
            covered_until=latest.until if latest else None,
            coverage=_days(state.coverage),
            read_once=_days(state.memory.once),
            attended_only=state.attended_only,
            listed=account.is_listed,
            undecided=account.undecided,
            could_be=could_be(known, account),
            reads_today=await self._reads_today(connection, account, bank),
        )

    async def _reads_today(
        self, connection: BankConnection, account: BankAccount, bank: Capabilities | None
    ) -> ReadsToday:
        zone = None if bank is None else bank.quota_zone
        counts = bank if bank is not None and Scope.TRANSACTIONS in bank.quota_scopes else None
        key = AccessKey(connection.bank, account.stable_key, Scope.TRANSACTIONS)
        reads = (await self._ledger.history(key, connection.id, horizon(self._clock(), zone))).reads
        return ReadsToday(
            used=len(reads),
            allowed=None if counts is None else counts.unattended_limit,
            frees_at=tuple(sorted(free_at(each.at, zone) for each in reads)),
        )


def _days(found: Iterable[Interval | DayRead]) -> tuple[CoveredDays, ...]:
    days = sorted((each.since, each.until) for each in found)
    return tuple(CoveredDays(since=since, until=until) for since, until in days)


def _pair(cursor: str | None) -> tuple[str, str] | None:
    if cursor is None:
        return None
    org_id, slash, connection_id = cursor.partition("/")
    if not slash:
        raise InvalidRequest("/cursor", "is not a cursor of this list")
    return org_id, connection_id
