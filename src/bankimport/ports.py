"""What we need of others: a bank provider, a store, a ledger of accesses. Docstrings are the contract.

Any method may raise `bankimport.errors.Transient` (a provider) or `StoreUnavailable` (a store); both are retried.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
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
    BankId,
    Begun,
    Callback,
    Capabilities,
    ConnectionFilter,
    ConnectionHealth,
    Consent,
    ConsentRequest,
    ConsentStatus,
    Delta,
    Granted,
    Institution,
    Memory,
    Page,
    PsuContext,
    RowStatus,
    Scope,
    StoredTransaction,
    Transaction,
    UnreadableBalance,
    Window,
)
from bankimport.status import ConnectionStatus

#: Returns the present instant, aware and in UTC.
Clock = Callable[[], datetime]


@runtime_checkable
class BankProvider(Protocol):
    """How to read one kind of bank API. One object serves all connections of a bank and is shared by all jobs."""

    name: str

    async def capabilities(self, connection: BankConnection) -> Capabilities:
        """Return what the bank can do and allows; costs no access."""

    async def consent(self, connection: BankConnection, psu: PsuContext | None) -> Consent:
        """Return the consent as the bank sees it now.

        Raises:
            CredentialError: our own key, certificate or address is refused.
        """

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        """Return every account the consent covers, each with all that names it (`references`), as the bank has it.

        Raises:
            ReauthRequired: the person has to authorise again.
            RateLimited: the bank refuses for now.
            MalformedData: the answer can't be read.
        """

    async def balances(
        self, connection: BankConnection, account: BankAccount, psu: PsuContext | None
    ) -> Sequence[Balance | UnreadableBalance]:
        """Return the balances of an account; one that can't be read costs no other, and is said to be so. Raises as
        `accounts`, and AccountUnavailable."""

    def transactions(
        self,
        connection: BankConnection,
        account: BankAccount,
        window: Window,
        *,
        cursor: str | None,
        psu: PsuContext | None,
    ) -> AsyncIterator[Page | Delta]:
        """Yield the pages of `window`, pending entries included where the bank has them.

        The iteration ends without an exception exactly when the window was read completely; where there is nothing it
        may yield an empty page, or none. Rows are handed on as
        reported: one that can't be read is the caller's to quarantine.

        Raises:
            PeriodRejected: the window begins too early for the bank.
            StartOver: a delta that was begun is void; the caller forgets it and begins at the error's cursor.
            UnattendedRefused: the bank answers only while the person is present.
            ReauthRequired, RateLimited, AccountUnavailable, MalformedData: as above.
        """

    async def aclose(self) -> None:
        """Close what the provider holds open."""


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row to insert. `id` is ours and is chosen before the write, so that a repeated write is the same row."""

    id: str
    transaction: Transaction


@dataclass(frozen=True, slots=True)
class RowUpdate:
    """The new content of a stored row: its fields become the transaction's, its aliases are added to."""

    id: str
    status: RowStatus
    transaction: Transaction
    missing_at_bank: int = 0


@dataclass(frozen=True, slots=True)
class RowMark:
    """A change of bookkeeping alone: `removed` for a pending row that never came, a count for a missing one."""

    id: str
    status: RowStatus
    missing_at_bank: int


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Everything one read changes. `inserts` may be lazy, but can be iterated more than once and has a length."""

    inserts: Collection[NewRow] = ()
    updates: Collection[RowUpdate] = ()
    marks: Collection[RowMark] = ()

    def __bool__(self) -> bool:
        return bool(self.inserts or self.updates or self.marks)


@runtime_checkable
class BankStore(Protocol):
    """Where connections, accounts and rows live. It decides nothing about transactions.

    `fence` is a number that grows with every run of any job. A write with a smaller fence than the connection has
    already seen is refused with `LeaseLost`: two runs of one connection never write at the same time.
    """

    def syncable_organisations(self, now: datetime) -> AsyncIterator[str]:
        """Yield the id of each organisation with a syncable connection, once, in a stable order, as a stream."""

    async def connections(self, org_id: str) -> Sequence[BankConnection]:
        """Return the organisation's connections, in a stable order."""

    async def connection(self, connection_id: str) -> BankConnection | None:
        """Return a connection, or None."""

    def consents_ending(self, before: date) -> AsyncIterator[BankConnection]:
        """Yield every connection that is not disconnected and whose consent's last day is before `before`, grouped
        by organisation."""

    async def set_connection_status(
        self,
        connection_id: str,
        from_: Iterable[ConnectionStatus],
        to: ConnectionStatus,
        reason: str | None = None,
    ) -> bool:
        """Set the status if it is one of `from_` now; return whether it was changed (status or reason)."""

    async def set_consent(self, connection_id: str, consent: Consent) -> None:
        """Note the consent's last day as the bank told it."""

    async def note_sync(self, connection_id: str, at: datetime | None, next_at: datetime | None = None) -> None:
        """Note when the connection was last synced with success (None: leave it as it is), and when the schedule asks
        the bank next (None: at its next tick)."""

    async def note_asked(self, connection_id: str, at: datetime) -> None:
        """Note that the bank is about to be asked without the person: when the ledger was emptied, this is what is left
        of it."""

    async def upsert_accounts(
        self, connection: BankConnection, accounts: Sequence[BankAccount], *, fence: int
    ) -> Sequence[BankAccount]:
        """Store a bank's list as `bankimport.imports.accounts` decides who is whom; return the listed accounts, once
        each and in the same order, as they are stored, each with `id` and `stable_key`.

        An account that isn't listed stays, with `is_listed` false. `stable_key` never changes, and no two accounts of
        a connection share one; in another connection the same account at the same bank has the same. From then on
        every write with a smaller fence is refused.

        Raises:
            LeaseLost: a later run has written already.
        """

    async def accounts(self, connection_id: str) -> Sequence[BankAccount]:
        """Return all stored accounts of a connection, listed or not, each with its `id`, in a stable order."""

    async def account_state(self, account: BankAccount) -> AccountState:
        """Return version, memory and cursor of an account; the defaults for a new one."""

    async def set_attended_only(self, account: BankAccount, *, only: bool = True) -> bool:
        """Note that the bank reads this account only while the person is present, or that it is to be tried without
        once more; return whether that is new."""

    async def load_rows(
        self, account: BankAccount, window: Window, ids: Collection[BankId]
    ) -> tuple[Sequence[StoredTransaction], int]:
        """Return the rows whose date is in `window` and, wherever they are, the rows that one of `ids` names; and
        the account's version. Removed and user-deleted rows are included."""

    async def apply(
        self,
        account: BankAccount,
        version: int,
        change_set: ChangeSet,
        memory: Memory | None,
        cursor: str | None,
        fence: int,
    ) -> bool:
        """Write rows, what the reads have taught, and the cursor in one transaction; return False, having written
        nothing, if the account's version is no longer `version`. A change advances the version by one. `memory`
        None leaves it as it is.

        Raises:
            LeaseLost: a later run has written already.
        """

    async def put_balances(self, account: BankAccount, balances: Sequence[Balance]) -> None:
        """Replace the account's balances of the same types."""

    async def aclose(self) -> None:
        """Close what the store holds open."""


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


@runtime_checkable
class AuditLog(Protocol):
    """What a store offers beside `BankStore` if it is to remember what people did. It only ever grows: an entry is
    changed by nothing, and goes with its organisation alone."""

    async def add_audit_entry(self, entry: AuditEntry) -> None:
        """Keep an entry; one whose id is there already is the same."""

    async def audit_entries(self, wanted: AuditFilter, *, before: str | None, limit: int) -> Sequence[AuditEntry]:
        """Return those that are meant, the newest first, from before an id on."""


@runtime_checkable
class ErasingStore(Protocol):
    """What a store offers beside `BankStore` if an organisation can be erased."""

    async def erase_organisation(self, org_id: str, *, keep_rows: bool) -> Mapping[str, int]:
        """Remove all that is kept of an organisation, so that its bytes are gone too as far as a database can do that;
        return how many entries of each kind. May be done again.

        With `keep_rows`, because the law orders it, what a bookkeeper needs stays: connections (`DISCONNECTED`, without
        consent and credentials), accounts, rows, balances, and what people did.
        """


#: Keeps the credentials of a connection that a provider was handed anew: `await keep(connection_id, credentials)`.
KeepCredentials = Callable[[str, Mapping[str, Any]], Awaitable[None]]


class ConsentFlow(Protocol):
    """How a person gives a consent, and takes it back. It decides nothing about users, states or storage.

    Each method may raise `Transient` (not just now), `CredentialError` (our key, certificate or address is refused) and
    the other errors of `BankProvider`.
    """

    async def begin(self, request: ConsentRequest) -> Begun:
        """Ask the bank for an authorisation; return where the person is to go.

        Raises:
            InvalidRequest: the institution is unknown, or none is named and one is needed.
        """

    async def finish(self, begun: Begun, callback: Callback, psu: PsuContext | None) -> Granted:
        """Return the consent that the person has given; called once the person is back without an error, or once
        `status` has said that it is over.

        Raises:
            NotGranted: there is none, by whose doing.
        """

    async def status(self, begun: Begun) -> ConsentStatus:
        """Return how a consent stands that the person gives in the bank's own app; asked again and again while it is
        `PENDING`, and only where `begin` gave no address."""

    async def revoke(self, connection: BankConnection) -> None:
        """Withdraw a consent at the bank; one that has ended already is no error."""

    async def banks(self, country: str | None = None) -> Sequence[Institution]:
        """Return the banks that can be named in `begin`; none where the provider is one bank."""


@runtime_checkable
class OffersConsent(Protocol):
    """A provider by which a person can connect a bank; without it connections are added by the host's own code."""

    @property
    def consent_flow(self) -> ConsentFlow:
        """How that is done."""


@runtime_checkable
class RotatesCredentials(Protocol):
    """A provider whose bank hands out new credentials as it is read (a refresh token that is good for one use)."""

    def keep_credentials_with(self, keep: KeepCredentials) -> None:
        """Remember `keep`, and await it with new credentials before they are used: what is lost is lost for good."""


class TokenShelf(Protocol):
    """Where tokens of a provider are kept for all workers: small texts that end by themselves, and turns."""

    async def get(self, name: str) -> str | None:
        """Return what is kept, or None."""

    async def put(self, name: str, value: str, ttl: timedelta) -> None:
        """Keep a text for so long."""

    async def drop(self, name: str) -> None:
        """Keep it no longer."""

    def turn(self, name: str) -> AbstractAsyncContextManager[None]:
        """Return a context that one has at a time, over all workers; whoever dies in it loses it after a while."""


@runtime_checkable
class SharesTokens(Protocol):
    """A provider whose application has one access token for all of its connections (GoCardless)."""

    def share_tokens(self, shelf: TokenShelf) -> None:
        """Keep the token on `shelf` from now on, sealed: others can read what is there."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What a bank's quota is counted by: it survives a renewed consent. `stable_key` is the account's, or the
    connection's id for what concerns no single account (its list of accounts, its consent)."""

    bank: str
    stable_key: str
    scope: Scope


class Asks(StrEnum):
    """Who asks a bank without the person being there, and for what."""

    #: a tick of the schedule, and the retries of its job
    PLANNED = "p"
    #: somebody's request for all that is new
    WHOLE = "w"
    #: somebody's request for days of their own choice: it brings nothing of what the schedule reads
    DAYS = "d"


@dataclass(frozen=True, slots=True)
class CountedRead:
    """One request that a bank has counted, or may have: when, by which connection's job, for whom."""

    at: datetime
    asks: Asks
    connection_id: str
    job_id: str


@dataclass(frozen=True, slots=True)
class AccessHistory:
    """What the ledger knows of a key: its reads that still count, oldest first; how many reads of the connection that
    asks have failed in a row; and until when the bank has closed it."""

    reads: tuple[CountedRead, ...] = ()
    failures: int = 0
    closed_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Met:
    """That the ledger has met a connection, and when its list of accounts was read since."""

    listed_at: datetime | None = None


class AccessLedger(Protocol):
    """The unattended requests of the last day, for all workers together. Each call is atomic."""

    async def reserve(
        self, key: AccessKey, read: CountedRead, *, limit: int | None, zone: tzinfo | None, begins: bool
    ) -> datetime | None:
        """Count a request that is about to be made; None if `budget.slot` allows it, else the instant from which it
        does.

        `limit` None counts without a limit. `begins` is false for what belongs to a read already begun, as a further
        page: a read counts as failed from its beginning until `note_success`, so that one cut off by a crash is a
        failure too; what the schedule didn't ask for is one failure in a row at most.
        """

    async def note_success(self, key: AccessKey, connection_id: str) -> None:
        """Note that a read of this connection ended well."""

    async def close(self, key: AccessKey, until: datetime) -> None:
        """Allow no unattended request before `until`; what is closed for longer already stays so."""

    async def history(self, key: AccessKey, connection_id: str, since: datetime) -> AccessHistory:
        """Return what is known of a key, its reads after `since`; the failures are the connection's own."""

    async def met(self, connection_id: str) -> Met | None:
        """Return what is noted of a connection; None if this ledger hasn't met it for two days: it is new, or the
        ledger was emptied."""

    async def meet(self, connection_id: str, met: Met) -> None:
        """Note that the connection was met."""


class JobNotes(Protocol):
    """What the runs of one job have done, account by account, for a run that begins anew after a crash, a deploy or a
    failure. It ends with the job, or after some hours."""

    async def load(self, job_id: str) -> Mapping[str, str]:
        """Return the notes of a job by the account's id."""

    async def put(self, job_id: str, account_id: str, note: str) -> None:
        """Note an account, in the place of what was noted of it before."""


Banks = Mapping[str, BankProvider]
