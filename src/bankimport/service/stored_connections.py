"""The accesses to banks as they are stored: looked at, and added, changed and cut by hand."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from bankimport.errors import InvalidRequest, NotFound, NotOffered
from bankimport.models import BankAccount, BankConnection
from bankimport.ports import BankProvider, BankStore, Clock, ConnectionStore
from bankimport.service.audit import Audit
from bankimport.service.bounds import Bounds, bounded, unhurried
from bankimport.stores.naming import check_ids


class StoredConnections:
    """What needs nobody's consent: the half of `Connections` that is between a host and its store."""

    def __init__(
        self, store: BankStore, banks: Mapping[str, BankProvider], clock: Clock, bounds: Bounds, audit: Audit
    ) -> None:
        self._store = store
        self._banks = banks
        self._clock = clock
        self.bounds = bounds
        self._audit = audit

    @bounded
    async def add(
        self,
        *,
        org_id: str,
        bank: str,
        consent_id: str | None = None,
        valid_until: date | None = None,
        credentials: Mapping[str, Any] | None = None,
        id: str | None = None,  # noqa: A002  # the contract's name
    ) -> str:
        """Add a connection and return its id; one is made if none is given.

        Args:
            org_id: the organisation it belongs to.
            bank: the name of one of the providers.
            consent_id: the consent's id at the bank.
            valid_until: the consent's last day.
            credentials: what the provider needs of this connection alone, such as a token; kept encrypted.

        Raises:
            InvalidRequest: an id is none, the bank is unknown, or the consent has ended already.
            Conflict: the id is taken.
            InvalidSettings: credentials are given, but no key to encrypt them with.
            NotOffered, Unavailable
        """
        if bank not in self._banks:
            known = ", ".join(sorted(self._banks)) or "there is none"
            raise InvalidRequest("/bank", f"must be one of the banks: {known}")
        self._check_day(valid_until)
        check_ids("made" if id is None else id, org_id, bank)
        offering = self._offering("add connections")
        connection_id = await offering.add_connection(
            org_id=org_id,
            bank=bank,
            consent_id=consent_id,
            valid_until=valid_until,
            credentials=credentials,
            id=id,
        )
        await self._audit.note("connection.add", org_id=org_id, subject=f"connection:{connection_id}", bank=bank)
        return connection_id

    @bounded
    async def get(self, connection_id: str, *, org_id: str | None = None) -> BankConnection | None:
        """Return a connection; None if there is none, or it is not `org_id`'s."""
        found = await self._store.connection(connection_id)
        return found if found is not None and org_id in (None, found.org_id) else None

    @bounded
    async def list(self, org_id: str) -> Sequence[BankConnection]:
        """Return an organisation's connections, in a stable order."""
        return await self._store.connections(org_id)

    @bounded
    async def accounts(self, connection_id: str, *, org_id: str | None = None) -> Sequence[BankAccount]:
        """Return the accounts that were read of a connection.

        Raises:
            NotFound, NotOffered, Unavailable
        """
        await self._own(connection_id, org_id)
        return await self._offering("list accounts").accounts(connection_id)

    @bounded
    async def set_consent(
        self,
        connection_id: str,
        *,
        consent_id: str,
        valid_until: date | None = None,
        credentials: Mapping[str, Any] | None = None,
        org_id: str | None = None,
    ) -> None:
        """Give a connection a consent that you have obtained: it is `ACTIVE` again, with the same accounts and rows.

        Raises:
            NotFound: no such connection, or not `org_id`'s.
            InvalidRequest: the consent has ended already.
            NotOffered, Unavailable
        """
        self._check_day(valid_until)
        await self._own(connection_id, org_id)
        offering = self._offering("renew connections")
        await offering.renew_consent(connection_id, consent_id, valid_until, credentials=credentials)
        await self._note("connection.set-consent", connection_id)

    @bounded
    async def disconnect(self, connection_id: str, *, org_id: str | None = None) -> None:
        """Cut a connection: it is never synced again, its credentials are forgotten, its rows stay.

        Raises:
            NotFound, NotOffered, Unavailable
        """
        await self._own(connection_id, org_id)
        await self._offering("disconnect connections").disconnect(connection_id)
        await self._note("connection.disconnect", connection_id)

    @unhurried
    async def delete(self, connection_id: str, *, org_id: str | None = None) -> None:
        """Delete a connection with its accounts and rows, for good.

        Raises:
            NotFound, NotOffered, Unavailable
        """
        await self._own(connection_id, org_id)
        offering = self._offering("delete connections")
        gone = await self.get(connection_id)
        await offering.delete_connection(connection_id)
        owner = gone.org_id if gone is not None else org_id
        await self._audit.note("connection.delete", org_id=owner, subject=f"connection:{connection_id}")

    @bounded
    async def update_credentials(self, connection_id: str, credentials: Mapping[str, Any] | None) -> None:
        """Replace what the provider needs of this connection: a bank has handed out a new token.

        Raises:
            NotFound, InvalidSettings, NotOffered, Unavailable
        """
        offering = self._offering("update credentials")
        await offering.update_credentials(connection_id, credentials)

    @bounded
    async def owned(self, org_id: str, connection_ids: Sequence[str]) -> None:
        """Check, with one question to the store, that connections are an organisation's.

        Raises:
            NotFound: one of them isn't.
        """
        wanted = set(connection_ids)
        if isinstance(self._store, ConnectionStore):
            own = set(await self._store.own_connections(org_id, sorted(wanted)))
        else:
            own = {each.id for each in await self._store.connections(org_id)}
        if not wanted <= own:
            raise NotFound("connection")

    async def _note(self, action: str, connection_id: str) -> None:
        found = await self.get(connection_id)
        owner = found.org_id if found is not None else None
        await self._audit.note(action, org_id=owner, subject=f"connection:{connection_id}")

    async def _own(self, connection_id: str, org_id: str | None) -> None:
        if org_id is not None and await self.get(connection_id, org_id=org_id) is None:
            raise NotFound("connection")

    def _check_day(self, valid_until: date | None) -> None:
        if valid_until is not None and valid_until < self._clock().date():
            raise InvalidRequest("/validUntil", "must not be in the past: this consent has ended")

    def _offering(self, what: str) -> ConnectionStore:
        if not isinstance(self._store, ConnectionStore):
            raise NotOffered(type(self._store).__name__, what)
        return self._store
