"""`bank_import.connections`: the accesses to banks, added, looked at, renewed, cut."""

import secrets
from collections.abc import Mapping, Sequence

from bankimport.errors import InvalidRequest, NotFound
from bankimport.models import (
    AuthorisationBegun,
    AuthorisationEnd,
    AuthorisationStatus,
    BankAccount,
    Institution,
    PsuContext,
)
from bankimport.ports import BankProvider, BankStore, Clock
from bankimport.service.audit import Audit
from bankimport.service.authorising import Authorising, Wish
from bankimport.service.banking import Banking
from bankimport.service.bounds import Bounds, bounded, unhurried
from bankimport.service.connection_jobs import ConnectionJobs
from bankimport.service.deciding import decide
from bankimport.service.institutions import Institutions
from bankimport.service.revoking import revoke
from bankimport.service.stored_connections import StoredConnections
from bankimport.settings import Settings
from bankimport.status import ConnectionStatus
from bankimport.stores.naming import check_ids


class Connections(StoredConnections):
    """The connections of all organisations. With `org_id`, another organisation's is not found.

    What changes something needs a store that is a `ConnectionStore`, as `SqlStore` is; with another the methods raise
    `NotOffered`.
    """

    def __init__(
        self,
        store: BankStore,
        banks: Mapping[str, BankProvider],
        jobs: ConnectionJobs,
        settings: Settings,
        clock: Clock,
        bounds: Bounds,
        audit: Audit,
    ) -> None:
        super().__init__(store, banks, clock, bounds, audit)
        self.banking = Banking(store, banks, jobs, settings, clock, bounds, audit)
        self.authorising = Authorising(self.banking)
        self._institutions = Institutions(self.banking)

    async def connect(
        self,
        *,
        org_id: str,
        bank: str,
        user: str,
        institution: str | None = None,
        return_to: str | None = None,
        language: str | None = None,
        callback_url: str | None = None,
        psu: PsuContext | None = None,
        psu_id: str | None = None,
    ) -> AuthorisationBegun:
        """Begin to connect a bank: send the person to the `url` of the answer, and nobody else.

        Args:
            org_id: the organisation that the connection will belong to.
            bank: the name of one of the providers.
            user: your id of the person, who alone can end it.
            institution: which bank, where the provider has many; see `institutions`.
            return_to: where the person comes back to, with `connection` and `outcome` in the query; must be listed in
                `BANK_SYNC_RETURN_TO`.
            language: two letters; what the bank's pages speak, where it has a choice.
            callback_url: instead of `BANK_SYNC_CALLBACK_URL`.
            psu: the person's address and browser; some banks want them.
            psu_id: what the person is called at the bank, where it asks in its own app; never kept.

        Raises:
            InvalidRequest: an id is none, the bank or the institution is unknown, or `return_to` isn't listed.
            InvalidSettings: `BANK_SYNC_CALLBACK_URL` is not set.
            ConnectingFailed: the bank refuses.
            NotOffered, Unavailable
        """
        connection_id = f"conn_{secrets.token_urlsafe(9)}"
        check_ids(connection_id, org_id, bank)
        wish = Wish(
            org_id=org_id,
            bank=bank,
            user=_checked_user(user),
            connection_id=connection_id,
            is_renewal=False,
            institution=institution,
            language=language,
            return_to=return_to,
            callback_url=callback_url,
            psu=psu,
            psu_id=psu_id,
        )
        return await self.authorising.begin(wish)

    async def renew(
        self,
        connection_id: str,
        *,
        user: str,
        org_id: str | None = None,
        institution: str | None = None,
        return_to: str | None = None,
        language: str | None = None,
        callback_url: str | None = None,
        psu: PsuContext | None = None,
        psu_id: str | None = None,
    ) -> AuthorisationBegun:
        """Begin to renew a connection's consent; the old one serves until the new one is verified, and if it never is.

        `institution` is needed where the provider has many banks and the connection was not made by `connect`, which
        remembers it; the first renewal does too.

        Raises:
            NotFound: no such connection, or not `org_id`'s.
            InvalidRequest, InvalidSettings, ConnectingFailed, NotOffered, Unavailable: as `connect`.
        """
        connection = await self.get(connection_id, org_id=org_id)
        if connection is None or connection.status is ConnectionStatus.PENDING:
            raise NotFound("connection")
        wish = Wish(
            org_id=connection.org_id,
            bank=connection.bank,
            user=_checked_user(user),
            connection_id=connection.id,
            is_renewal=True,
            institution=institution or connection.institution,
            language=language,
            return_to=return_to,
            callback_url=callback_url,
            psu=psu,
            psu_id=psu_id,
        )
        return await self.authorising.begin(wish)

    async def finish(
        self, bank: str, parameters: Mapping[str, str], *, user: str | None, psu: PsuContext | None = None
    ) -> AuthorisationEnd:
        """End what was begun: `parameters` are the query with which the bank has sent the person back to your route.

        The same callback again has the same answer. `GET …/callback/{bank}` of our routes is this.

        Raises:
            AuthorisationRefused: the callback is nobody's, or another user began.
            NotOffered, Unavailable
        """
        return await self.authorising.finish(bank, parameters, user=user, psu=psu)

    @unhurried
    async def authorisation(
        self,
        connection_id: str,
        *,
        org_id: str | None = None,
        user: str | None = None,
        psu: PsuContext | None = None,
    ) -> AuthorisationStatus:
        """Return how the latest authorisation of a connection stands.

        Where the person authorises in the bank's own app this is what asks the bank, and what ends it: poll it until
        it has ended. `user` is who asks; `psu` their address, for the import that begins then if it is they who began.

        Raises:
            NotFound, NotOffered, Unavailable
        """
        return await self.authorising.status(connection_id, org_id, user=user, psu=psu)

    async def give_up(self, connection_id: str, *, org_id: str | None = None) -> None:
        """End an authorisation that goes on: a new connection goes, a renewed one is as it was.

        Raises:
            NotFound, NotOffered, Unavailable
        """
        await self.authorising.give_up(connection_id, org_id)

    async def revoke(self, connection_id: str, *, org_id: str | None = None) -> None:
        """Withdraw an access: nothing is read from now on, the bank is told, the credentials are forgotten. Rows stay.

        Raises:
            NotFound, NotOffered
            Unavailable, ConnectingFailed: the bank didn't take it. Nothing is read all the same; call it again.
        """
        await revoke(self.banking, connection_id, org_id)

    async def institutions(self, bank: str, *, country: str | None = None) -> Sequence[Institution]:
        """Return the banks that a provider can connect, of a country (`DE`) or of all; none where it is one bank.

        Each list is asked for once an hour.

        Raises:
            InvalidRequest, NotOffered, Unavailable, ConnectingFailed
        """
        return await self._institutions.of(bank, country)

    @bounded
    async def decide_account(
        self, connection_id: str, account_id: str, *, same_as: str | None, org_id: str | None = None
    ) -> BankAccount:
        """End the doubt about an `undecided` account: it is the stored one `same_as`, which the bank lists no more, or
        (None) one of its own. Return the one that goes on.

        A joined account keeps its id and rows; what was read of the undecided one goes and is read again, without the
        person after a day, since the bank has counted what was read today.

        Raises:
            NotFound: no such connection or account, or not `org_id`'s.
            Conflict: there is no doubt about it, or the other is listed too, or in another currency.
            NotOffered, Unavailable
        """
        return await decide(self.banking, connection_id, account_id, same_as, org_id)


def _checked_user(user: str) -> str:
    if not 0 < len(user) <= 256 or not user.isprintable():
        raise InvalidRequest("/user", "must be 1 to 256 printable characters")
    return user
