"""Enable Banking: one interface to the banks of Europe, with sessions for consents (API of 2026)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import Field, SecretStr, model_validator
from yarl import URL

from bankimport.errors import AccountUnavailable, InvalidSettings, MalformedData, RateLimited, ReauthRequired, Transient
from bankimport.models import (
    Balance,
    BankAccount,
    BankConnection,
    Capabilities,
    Consent,
    ConsentStatus,
    IdQuality,
    Institution,
    Page,
    PsuContext,
    Scope,
    UnreadableBalance,
    Window,
)
from bankimport.ports import ConsentFlow, HearRequest
from bankimport.providers.answers import an_object
from bankimport.providers.berlin_group_rows import RowReader
from bankimport.providers.enable_banking_consent import EnableBankingConsent
from bankimport.providers.enable_banking_errors import error_of
from bankimport.providers.enable_banking_reading import (
    account_of,
    balances_of,
    consent_of,
    institutions_of,
    members_of,
    page_of,
)
from bankimport.providers.enable_banking_token import ApplicationToken
from bankimport.providers.http import BoundedClient, Reply
from bankimport.providers.options import ProviderOptions, read_options
from bankimport.providers.psu import headers_of

URL_OF_ALL: Final = "https://api.enablebanking.com"


class EnableBankingOptions(ProviderOptions):
    """The options of a bank of type `enable-banking`."""

    application_id: str = Field(min_length=1, description="the id of our application in their control panel")
    private_key: SecretStr | None = Field(
        default=None, description="the application's RSA key, PEM; or `private_key_file`"
    )
    private_key_file: str | None = Field(default=None, description="path of the application's RSA key, PEM")
    base_url: str = Field(default=URL_OF_ALL, description="where the API is")
    consent_days: int = Field(default=180, ge=1, le=180, description="so many days a new consent is asked for")
    psu_type: Literal["personal", "business"] = Field(default="personal", description="whose accounts are connected")
    strategy: Literal["default", "longest"] | None = Field(
        default=None,
        description="how far their answer goes: `longest` asks for all that the bank has, whatever the window",
    )
    day_field: Literal["booking_date", "value_date", "transaction_date"] | None = Field(
        default=None, description="which date is the day of an entry, where it isn't the booking date"
    )

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.private_key is None) == (self.private_key_file is None):
            raise ValueError("private_key or private_key_file must be given, and not both")
        return self

    def key(self) -> str:
        """Return the key's text.

        Raises:
            InvalidSettings: the file can't be read.
        """
        if self.private_key is not None:
            return self.private_key.get_secret_value()
        try:
            return Path(self.private_key_file or "").read_text()
        except (OSError, UnicodeDecodeError):
            raise InvalidSettings("private_key_file: it can't be read") from None


class EnableBanking:
    """A `BankProvider` for all banks that are reached through Enable Banking. A connection's consent is a session.

    Args:
        options: the options, or none and all by name.

    Raises:
        InvalidSettings: an option is wrong, or the key is none.
        MissingExtra: `bankimport[enable-banking]` isn't installed.
    """

    options: ClassVar = EnableBankingOptions

    def __init__(self, options: EnableBankingOptions | None = None, **more: Any) -> None:
        if options is None:
            options = read_options(EnableBankingOptions, {"name": "enable-banking", **more})
        self.name = options.name
        self._options = options
        self._client = BoundedClient(options.base_url, options.limits, private_network=options.private_network)
        self._token = ApplicationToken(options.application_id, options.key())
        longest = timedelta(days=options.consent_days)
        #: see `OffersConsent`
        self.consent_flow: ConsentFlow = EnableBankingConsent(self._send, self.banks, longest, options.psu_type)
        quality = IdQuality(options.id_quality)
        self._rows = RowReader(options, quality, ("entry_reference",), options.day_field)
        self._capabilities = options.capabilities()

    def tell_requests(self, hear: HearRequest) -> None:
        """See `TellsRequests`."""
        self._client.hear = hear

    async def capabilities(self, connection: BankConnection) -> Capabilities:
        """See `BankProvider`."""
        return self._capabilities

    async def consent(self, connection: BankConnection, psu: PsuContext | None) -> Consent:
        """See `BankProvider`. A session that has ended is told by its status, or by an error instead of one."""
        try:
            return consent_of(await self._session(connection, psu, Scope.CONSENT))
        except ReauthRequired as error:
            if error.reason == "missing" or error.suspicious:
                raise
            return Consent(ConsentStatus.EXPIRED if error.reason == "expired" else ConsentStatus.REVOKED)

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        """See `BankProvider`. A `uid` is new at every authorisation; the account is known by its hashes."""
        members = members_of(await self._session(connection, psu, Scope.ACCOUNTS))
        return [await self._detailed(member, psu) for member in members]

    async def _detailed(self, member: Mapping[str, Any], psu: PsuContext | None) -> BankAccount:
        """Return an account with its details; without them where the bank gives none just now: its hashes name it."""
        bare = account_of(member, {})
        try:
            reply = await self._reply(self._path("accounts", bare.provider_id, "details"), psu, Scope.ACCOUNTS)
        except (AccountUnavailable, RateLimited, Transient):
            return bare
        return account_of(member, an_object(reply.body, Scope.ACCOUNTS))

    async def balances(
        self, connection: BankConnection, account: BankAccount, psu: PsuContext | None
    ) -> Sequence[Balance | UnreadableBalance]:
        """See `BankProvider`."""
        reply = await self._reply(self._path("accounts", account.provider_id, "balances"), psu, Scope.BALANCES)
        return balances_of(reply.body, account, self._options.clock())

    async def transactions(
        self,
        connection: BankConnection,
        account: BankAccount,
        window: Window,
        *,
        cursor: str | None,
        psu: PsuContext | None,
    ) -> AsyncIterator[Page]:
        """See `BankProvider`. `cursor` is a continuation key: it lives in one session, and an empty page may carry
        one."""
        query = {"date_from": window.since.isoformat()}
        if window.until is not None:
            query["date_to"] = window.until.isoformat()
        if self._options.strategy is not None:
            query["strategy"] = self._options.strategy
        path = self._path("accounts", account.provider_id, "transactions")
        seen: set[str] = set()
        key = cursor
        while True:
            url = path.with_query(query if key is None else {**query, "continuation_key": key})
            reply = await self._reply(url, psu, Scope.TRANSACTIONS)
            rows, key = page_of(reply.body, self._rows, account)
            yield Page(rows, cursor=key)
            if key is None:
                return
            if key in seen or len(seen) >= self._options.limits.pages:
                raise MalformedData("the bank's pages have no end", scope=Scope.TRANSACTIONS)
            seen.add(key)

    async def banks(self, country: str | None = None) -> Sequence[Institution]:
        """Return the banks that can be connected, of a country (ISO 3166, `FI`) or of all."""
        url = self._path("aspsps")
        reply = await self._reply(url if country is None else url.with_query(country=country), None, Scope.CONSENT)
        return institutions_of(reply.body)

    async def aclose(self) -> None:
        """See `BankProvider`."""
        await self._client.aclose()

    def _path(self, *parts: str) -> URL:
        return self._client.path(*parts)

    async def _session(self, connection: BankConnection, psu: PsuContext | None, scope: Scope) -> Mapping[str, Any]:
        if not connection.consent_id:
            raise ReauthRequired("missing", scope=scope)
        reply = await self._reply(self._path("sessions", connection.consent_id), psu, scope)
        return an_object(reply.body, scope)

    async def _send(
        self, method: str, parts: Sequence[str], body: Mapping[str, Any] | None, psu: PsuContext | None
    ) -> Any:
        """Send what a consent needs; return the JSON of a success."""
        return (await self._reply(self._path(*parts), psu, Scope.CONSENT, method, body)).body

    async def _reply(
        self,
        url: URL,
        psu: PsuContext | None,
        scope: Scope,
        method: str = "GET",
        body: Mapping[str, Any] | None = None,
    ) -> Reply:
        token = f"Bearer {self._token.at(datetime.now(UTC))}"
        headers = {"Authorization": token, **headers_of(psu, all_or_none=True)}
        reply = await self._client.ask(method, url, headers, scope, body)
        if reply.is_success:
            return reply
        raise error_of(reply, scope, self._options.clock(), is_attended=psu is not None)
