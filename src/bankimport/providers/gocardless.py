"""GoCardless Bank Account Data (formerly Nordigen), for its customers from before it was closed to new ones."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Final, Literal

from pydantic import Field, SecretStr
from yarl import URL

from bankimport.errors import (
    AccountUnavailable,
    MalformedData,
    PeriodRejected,
    RateLimited,
    ReauthRequired,
)
from bankimport.models import (
    Balance,
    BankAccount,
    BankConnection,
    Capabilities,
    Consent,
    ConsentStatus,
    IdQuality,
    Page,
    PsuContext,
    Scope,
    UnreadableBalance,
    Window,
)
from bankimport.ports import ConsentFlow, HearRequest, TokenShelf
from bankimport.providers.answers import an_object, text_of
from bankimport.providers.berlin_group_reading import accounts_of
from bankimport.providers.berlin_group_rows import RowReader, balances_of
from bankimport.providers.gocardless_consent import GoCardlessConsent
from bankimport.providers.gocardless_errors import TokenRefused, error_of
from bankimport.providers.http import BoundedClient, Reply
from bankimport.providers.options import ProviderOptions, read_options
from bankimport.providers.quota import quota_of
from bankimport.providers.tokens import SharedTokens, Tokens
from bankimport.reading.amounts import Unreadable, read_day

_STATUSES: Final = {
    "LN": ConsentStatus.VALID,
    "EX": ConsentStatus.EXPIRED,
    "RJ": ConsentStatus.REVOKED,
    "ER": ConsentStatus.REVOKED,
    "SU": ConsentStatus.REVOKED,
    **dict.fromkeys(("CR", "ID", "GC", "UA", "GA", "SA"), ConsentStatus.PENDING),
}


class GoCardlessOptions(ProviderOptions):
    """The options of a bank of type `gocardless`."""

    secret_id: str = Field(min_length=1, description="the id of our user secret")
    secret_key: SecretStr = Field(min_length=1, description="the secret itself")
    base_url: str = Field(default="https://bankaccountdata.gocardless.com", description="where `/api/v2/…` begins")
    consent_days: int = Field(default=90, ge=1, le=180, description="so many days a new consent is asked for")
    day_field: Literal["bookingDate", "valueDate", "bookingDateTime", "valueDateTime"] | None = Field(
        default=None, description="which date is the day of an entry, where it isn't the booking date"
    )


class GoCardless:
    """A `BankProvider` for the banks behind GoCardless. A connection's consent is a requisition.

    Args:
        options: the options, or none and all by name.

    Raises:
        InvalidSettings: an option is wrong.
        MissingExtra: `bankimport[gocardless]` isn't installed.
    """

    options: ClassVar = GoCardlessOptions

    def __init__(self, options: GoCardlessOptions | None = None, **more: Any) -> None:
        if options is None:
            options = read_options(GoCardlessOptions, {"name": "gocardless", **more})
        self.name = options.name
        self._options = options
        self._client = BoundedClient(options.base_url, options.limits, private_network=options.private_network)
        secret = f"{options.secret_id}\0{options.secret_key.get_secret_value()}"
        self._tokens = SharedTokens(options.name, secret, self._new_tokens, namespace=options.base_url)
        history = options.max_history // timedelta(days=1)
        #: see `OffersConsent`
        self.consent_flow: ConsentFlow = GoCardlessConsent(self._send, self.consent, options.consent_days, history)
        quality = IdQuality(options.id_quality)
        self._rows = RowReader(
            options, quality, ("transactionId", "internalTransactionId", "entryReference"), options.day_field
        )
        self._capabilities = options.capabilities()

    def share_tokens(self, shelf: TokenShelf) -> None:
        """Keep the access token where all workers find it; without this each process has its own."""
        self._tokens.shelf = shelf

    def tell_requests(self, hear: HearRequest) -> None:
        """See `TellsRequests`."""
        self._client.hear = hear

    async def capabilities(self, connection: BankConnection) -> Capabilities:
        """See `BankProvider`."""
        return self._capabilities

    async def consent(self, connection: BankConnection, psu: PsuContext | None) -> Consent:
        """See `BankProvider`. The last day is the agreement's: so many days after it was accepted."""
        try:
            requisition = await self._requisition(connection, Scope.CONSENT)
        except ReauthRequired as error:
            if error.reason != "expired":
                raise
            return Consent(ConsentStatus.EXPIRED)
        status = _STATUSES.get((text_of(requisition, "status") or "").upper())
        if status is None:
            raise MalformedData("the requisition has no status we know", scope=Scope.CONSENT)
        agreement = text_of(requisition, "agreement")
        if not agreement or status is not ConsentStatus.VALID:
            return Consent(status)
        try:
            found = await self._get(self._path("agreements", "enduser", agreement), Scope.CONSENT)
        except ReauthRequired as error:
            if error.reason == "expired":
                return Consent(ConsentStatus.EXPIRED)
            return Consent(status)  # the requisition is linked all the same: a read tells if nothing is granted
        return Consent(status, _last_day(found))

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        """See `BankProvider`. An account whose details the bank gives no more just now is known by its number; one that
        is gone is left out, and costs no other."""
        listed = (await self._requisition(connection, Scope.ACCOUNTS)).get("accounts")
        if not isinstance(listed, list):
            raise MalformedData("the requisition has no list of accounts", scope=Scope.ACCOUNTS)
        rows: list[Mapping[str, Any]] = []
        gone: AccountUnavailable | None = None
        for account_id in listed:
            if not isinstance(account_id, str) or not account_id:
                raise MalformedData("an account of the requisition has no id", scope=Scope.ACCOUNTS)
            try:
                about = await self._get(self._path("accounts", account_id), Scope.ACCOUNTS)
            except AccountUnavailable as error:
                gone = error
                continue
            rows.append({**about, **await self._details(account_id), "resourceId": account_id})
        if gone is not None and not rows:
            raise gone
        return accounts_of({"accounts": rows})

    async def _details(self, account_id: str) -> Mapping[str, Any]:
        try:
            details = await self._get(self._path("accounts", account_id, "details"), Scope.ACCOUNTS)
        except (AccountUnavailable, RateLimited):
            return {}
        found = details.get("account")
        return {name: value for name, value in found.items() if value} if isinstance(found, dict) else {}

    async def balances(
        self, connection: BankConnection, account: BankAccount, psu: PsuContext | None
    ) -> Sequence[Balance | UnreadableBalance]:
        """See `BankProvider`."""
        url = self._path("accounts", account.provider_id, "balances")
        return balances_of(await self._get(url, Scope.BALANCES), account, self._options.clock())

    async def transactions(
        self,
        connection: BankConnection,
        account: BankAccount,
        window: Window,
        *,
        cursor: str | None,
        psu: PsuContext | None,
    ) -> AsyncIterator[Page]:
        """See `BankProvider`. There is one page. They refuse a last day that is to come, and need none."""
        today = self._options.clock().date()
        if window.since > today + timedelta(days=1):
            raise PeriodRejected
        query = {"date_from": min(window.since, today).isoformat()}
        if window.until is not None and window.until < today:
            query["date_to"] = window.until.isoformat()
        url = self._path("accounts", account.provider_id, "transactions").with_query(query)
        reply = await self._reply(url, Scope.TRANSACTIONS)
        body = an_object(reply.body, Scope.TRANSACTIONS)
        rows = self._rows.page(body.get("transactions"), account)
        yield Page(rows, quota=quota_of(reply.headers, self._options.clock()))

    async def aclose(self) -> None:
        """See `BankProvider`."""
        await self._client.aclose()

    def _path(self, *parts: str) -> URL:
        return self._client.path("api", "v2", *parts, "")

    async def _requisition(self, connection: BankConnection, scope: Scope) -> Mapping[str, Any]:
        if not connection.consent_id:
            raise ReauthRequired("missing", scope=scope)
        try:
            return await self._get(self._path("requisitions", connection.consent_id), scope)
        except AccountUnavailable:
            raise ReauthRequired("revoked", scope=scope) from None

    async def _get(self, url: URL, scope: Scope) -> Mapping[str, Any]:
        return an_object((await self._reply(url, scope)).body, scope)

    async def _send(
        self, method: str, parts: Sequence[str], query: Mapping[str, str] | None, body: Mapping[str, Any] | None
    ) -> Any:
        """Send what a consent needs; return the JSON of a success."""
        url = self._path(*parts)
        return (await self._reply(url.with_query(query) if query else url, Scope.CONSENT, method, body)).body

    async def _reply(self, url: URL, scope: Scope, method: str = "GET", body: Mapping[str, Any] | None = None) -> Reply:
        now = self._options.clock()
        token = await self._tokens.access(now)
        reply = await self._client.ask(method, url, {"Authorization": f"Bearer {token}"}, scope, body)
        if reply.is_success:
            return reply
        error = error_of(reply, scope, now)
        if isinstance(error, TokenRefused):
            await self._tokens.drop(token)
        raise error

    async def _new_tokens(self, refresh: str | None, now: datetime) -> Tokens:
        """Ask for an access token: by the refresh token if there is one that they take, else by our secret."""
        if refresh is not None:
            url = self._path("token", "refresh")
            reply = await self._client.ask("POST", url, {}, Scope.CONSENT, {"refresh": refresh})
            if reply.status == 200:
                return _tokens_of(reply.body, now, refresh)
        secret = {"secret_id": self._options.secret_id, "secret_key": self._options.secret_key.get_secret_value()}
        reply = await self._client.ask("POST", self._path("token", "new"), {}, Scope.CONSENT, secret)
        if reply.status == 200:
            return _tokens_of(reply.body, now, None)
        raise error_of(reply, Scope.CONSENT, now)


def _tokens_of(body: Any, now: datetime, refresh: str | None) -> Tokens:
    answer = an_object(body, Scope.CONSENT)
    access, new = text_of(answer, "access"), text_of(answer, "refresh")
    if not access:
        raise MalformedData("the answer has no access token", scope=Scope.CONSENT)
    at = now.timestamp()
    refreshed = at + _seconds(answer.get("refresh_expires"), 2_592_000)
    return Tokens(access, at + _seconds(answer.get("access_expires"), 86_400), new or refresh or "", refreshed)


def _seconds(value: Any, otherwise: int) -> int:
    return min(value, otherwise) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else otherwise


def _last_day(agreement: Mapping[str, Any]) -> date | None:
    days = text_of(agreement, "access_valid_for_days") or ""
    try:
        accepted = read_day(agreement.get("accepted") or agreement.get("created"))
    except Unreadable:
        return None
    if accepted is None or not days.isascii() or not days.isdigit() or not 0 < int(days[:5]) <= 3650:
        return None
    return accepted + timedelta(days=int(days))
