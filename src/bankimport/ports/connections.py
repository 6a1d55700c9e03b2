"""What a store may offer beside: connections by hand and by their people, decisions, search, the audit log, erasure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol, runtime_checkable

from bankimport.models import (
    AccountState,
    AuditEntry,
    AuditFilter,
    Authorisation,
    AuthorisationOutcome,
    Balance,
    BankAccount,
    BankConnection,
    ConnectionFilter,
    ConnectionHealth,
    Granted,
)


@runtime_checkable
class ConnectionStore(Protocol):
    """What a store offers beside `BankStore` if connections are managed through `bank_import.connections` and our
    routes. A host whose own code writes its connections needs none of it."""

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
        """Add a connection and return its id.

        Raises:
            InvalidRequest: an id is none, or the connection's is one of `bankimport.models.CONNECTION_WORDS`.
            Conflict: the id is taken.
            InvalidSettings: credentials are given, but no key to encrypt them with.
        """

    async def own_connections(self, org_id: str, connection_ids: Sequence[str]) -> Collection[str]:
        """Return those of the ids that are connections of the organisation, with one question to the database."""

    async def accounts(self, connection_id: str) -> Sequence[BankAccount]:
        """Return the accounts of a connection, in a stable order."""

    async def renew_consent(
        self,
        connection_id: str,
        consent_id: str,
        valid_until: date | None,
        *,
        credentials: Mapping[str, Any] | None = None,
    ) -> None:
        """Give a connection its new consent, and new credentials if there are any: it is `ACTIVE` again.

        Raises:
            NotFound: no such connection.
        """

    async def disconnect(self, connection_id: str) -> None:
        """Cut a connection and forget its credentials; its rows stay.

        Raises:
            NotFound: no such connection.
        """

    async def delete_connection(self, connection_id: str) -> None:
        """Delete a connection with its accounts and rows.

        Raises:
            NotFound: no such connection.
        """

    async def update_credentials(self, connection_id: str, credentials: Mapping[str, Any] | None) -> None:
        """Replace the credentials of a connection.

        Raises:
            NotFound: no such connection.
        """


@runtime_checkable
class AuthorisationStore(Protocol):
    """What a store offers beside `ConnectionStore` if people connect their banks through us. Each call is atomic."""

    async def add_authorisation(self, authorisation: Authorisation) -> None:
        """Begin an authorisation, with its connection in `PENDING` unless it is a renewal.

        What was begun for the connection before and goes on still has ended, as `cancelled`. The organisation's
        authorisations that were over a day ago, and connections that wait for one of them, go.
        """

    async def authorisation_of(self, state_hash: str) -> Authorisation | None:
        """Return the authorisation of a state, or None."""

    async def latest_authorisation(self, connection_id: str) -> Authorisation | None:
        """Return the one of a connection that was begun last, or None."""

    async def waiting_authorisations(self, user: str, bank: str, now: datetime) -> Sequence[Authorisation]:
        """Return those of a user at a bank that wait for the person, and whose time isn't over."""

    async def claim_authorisation(self, authorisation_id: str, now: datetime, stale: datetime) -> bool:
        """Set a waiting one, or one that was claimed before `stale`, to `finishing`; return whether it was."""

    async def end_authorisation(
        self,
        authorisation_id: str,
        outcome: AuthorisationOutcome,
        reason: str | None = None,
        *,
        granted: Granted | None = None,
        same_login: str | None = None,
    ) -> bool:
        """End one that goes on; return False, having changed nothing, if it has ended already.

        With `granted` its connection has the new consent, and is `ACTIVE`; without, a new connection goes and a renewed
        one is left as it is.
        """


@runtime_checkable
class AccountDecisions(Protocol):
    """What a store offers beside `BankStore` if somebody is asked what matching could not decide."""

    async def decide_account(self, connection_id: str, account_id: str, same_as: str | None) -> BankAccount:
        """End the doubt about an `undecided` account, and return the one that goes on: itself, or the stored one that
        it is, as `bankimport.imports.accounts.joined` has it. Then it goes itself, with what was read of it.

        Raises:
            NotFound: the connection has no such account.
            Conflict: there is no doubt about it, or the other is listed too, or in another currency.
        """


@runtime_checkable
class ConnectionSearch(Protocol):
    """What a store offers beside `BankStore` if operators are to see the connections of all organisations."""

    async def find_connections(
        self, wanted: ConnectionFilter, *, after: tuple[str, str] | None, limit: int, now: datetime
    ) -> Sequence[BankConnection]:
        """Return those that are meant, without their credentials, in the order of organisation and id; `after` is the
        pair of the last one seen. Each has the health of `bankimport.access.health.health_of`."""

    async def count_connections(self, wanted: ConnectionFilter, *, now: datetime) -> Mapping[ConnectionHealth, int]:
        """Return how many of those that are meant have each health."""

    async def count_connections_by_bank(self, *, now: datetime) -> Mapping[str, Mapping[ConnectionHealth, int]]:
        """Return how many connections of each bank have each health, with one question to the database."""


@runtime_checkable
class AccountOverview(Protocol):
    """What a store offers beside `ConnectionStore` so that a page of connections takes one question to the database;
    without it each of them takes several."""

    async def accounts_with_states(
        self, connection_ids: Sequence[str]
    ) -> Mapping[str, Sequence[tuple[BankAccount, AccountState]]]:
        """Return the accounts of connections as `accounts` and `account_state` do; a connection without any needn't be
        there."""


@runtime_checkable
class AuditLog(Protocol):
    """What a store offers beside `BankStore` if it is to remember what people did. It only ever grows: an entry is
    changed by nothing, and goes with its organisation alone."""

    async def add_audit_entry(self, entry: AuditEntry) -> None:
        """Keep an entry; one whose id is there already is the same."""

    async def audit_entries(self, wanted: AuditFilter, *, before: str | None, limit: int) -> Sequence[AuditEntry]:
        """Return those that are meant, the newest first, from before an id on."""


@runtime_checkable
class BalanceHistory(Protocol):
    """What a store offers beside `BankStore` if it keeps balances over time: of each day (UTC) the last one read."""

    async def balance_history(self, account_id: str, since: date, until: date) -> Sequence[Balance]:
        """Return an account's balances of these days, type by type, the oldest first."""


@runtime_checkable
class ErasingStore(Protocol):
    """What a store offers beside `BankStore` if an organisation can be erased."""

    async def erase_organisation(self, org_id: str, *, keep_rows: bool) -> Mapping[str, int]:
        """Remove all that is kept of an organisation, so that its bytes are gone too as far as a database can do that;
        return how many entries of each kind. May be done again.

        With `keep_rows`, because the law orders it, what a bookkeeper needs stays: connections (`DISCONNECTED`, without
        consent and credentials), accounts, rows, balances, and what people did.
        """
