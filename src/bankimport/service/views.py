"""Looking at connections: how they stand, for their organisation and for operators."""

from collections.abc import Mapping

from bankimport.errors import InvalidRequest, Unavailable
from bankimport.models import ConnectionDetails, ConnectionFilter, ConnectionHealth, ConnectionPage
from bankimport.service.bounds import bounded
from bankimport.service.core import Core


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

    async def count_consents_ending(self) -> Mapping[int, int]:
        """Return how many consents end within 1, 3, 7 and 14 days, those that have ended left out; nothing while the
        store is away. It is counted once a minute."""
        try:
            return await self.bounds.within(self._overview.consents_ending())
        except Unavailable:
            return {}
