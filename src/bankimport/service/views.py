"""Looking at connections: how they stand, for their organisation and for operators."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Final

from bankimport.errors import InvalidRequest, NotFound, NotOffered, Unavailable
from bankimport.models import Balance, ConnectionDetails, ConnectionFilter, ConnectionHealth, ConnectionPage
from bankimport.ports import BalanceHistory
from bankimport.service.bounds import bounded
from bankimport.service.core import Core

_TEN_YEARS: Final = 3660


class ConnectionViews(Core):
    """How connections stand; `connections` changes them."""

    @bounded
    async def list_connections(self, org_id: str, *, cursor: str | None = None, limit: int = 50) -> ConnectionPage:
        """Return how an organisation's connections stand, in the order of their ids; `limit` 1 to 200.

        Raises:
            InvalidRequest: the limit is wrong.
            Unavailable: the store can't be reached.
        """
        if not 1 <= limit <= 200:
            raise InvalidRequest("/limit", "must be 1 to 200")
        return await self._overview.page(org_id, cursor, limit)

    @bounded
    async def get_connection(self, connection_id: str, org_id: str | None = None) -> ConnectionDetails:
        """Return how a connection stands, with its accounts and their reads.

        Raises:
            NotFound: no such connection, or not `org_id`'s.
            Unavailable: Redis or the store can't be reached.
        """
        connection = await self.connections.get(connection_id, org_id=org_id)
        bank = self.banks.get(connection.bank) if connection is not None else None
        return await self._overview.details(connection_id, org_id, bank)

    @bounded
    async def get_connections(self, org_id: str, connection_ids: Collection[str]) -> Sequence[ConnectionDetails]:
        """Return how several of an organisation's connections stand, with their accounts, in the order of their ids;
        what is not its own is left out.

        Raises:
            Unavailable: Redis or the store can't be reached.
        """
        return await self._overview.many(org_id, connection_ids, self.banks)

    @bounded
    async def find_connections(
        self, wanted: ConnectionFilter, *, cursor: str | None = None, limit: int = 50
    ) -> ConnectionPage:
        """Return a page of the connections of all organisations, for operators; `limit` 1 to 200.

        Raises:
            InvalidRequest: the cursor or the limit is wrong.
            NotOffered: the store can't look for them; `SqlStore` can.
            Unavailable: the store can't be reached.
        """
        if not 1 <= limit <= 200:
            raise InvalidRequest("/limit", "must be 1 to 200")
        return await self._overview.search(wanted, cursor, limit)

    @bounded
    async def count_connections(self, wanted: ConnectionFilter) -> Mapping[ConnectionHealth, int]:
        """Return how many connections of all organisations have each health, for operators.

        Raises:
            NotOffered, Unavailable: as for the page.
        """
        return await self._overview.count(wanted)

    @bounded
    async def get_balances(
        self, connection_id: str, account_id: str, *, since: date, until: date | None = None, org_id: str | None = None
    ) -> Sequence[Balance]:
        """Return an account's balances over time: of each day (UTC) the last one read, type by type, the oldest first.

        Raises:
            NotFound: no such connection or account, or not `org_id`'s.
            InvalidRequest: the days are in the wrong order, or more than ten years.
            NotOffered: the store doesn't keep them; `SqlStore` does.
            Unavailable: the store can't be reached.
        """
        last = until or self._clock().date()
        if not 0 <= (last - since).days <= _TEN_YEARS:
            raise InvalidRequest("/since", "must be before the last day, by ten years at most")
        accounts = await self.connections.accounts(connection_id, org_id=org_id)
        if account_id not in {each.id for each in accounts}:
            raise NotFound("account")
        if not isinstance(self.store, BalanceHistory):
            raise NotOffered(type(self.store).__name__, "keep balances over time")
        return await self.store.balance_history(account_id, since, last)

    async def count_consents_ending(self) -> Mapping[int, int]:
        """Return how many consents end within 1, 3, 7 and 14 days, those that have ended left out; nothing while the
        store is away. It is counted once a minute."""
        try:
            return await self.bounds.within(self._overview.consents_ending())
        except Unavailable:
            return {}
