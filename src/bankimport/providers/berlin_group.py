"""Banks that speak Berlin Group NextGenPSD2 1.3, directly or through a gateway."""

import ssl
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field
from yarl import URL

from bankimport.errors import InvalidSettings, MalformedData, ReauthRequired
from bankimport.models import (
    Balance,
    BankAccount,
    BankConnection,
    Capabilities,
    Consent,
    IdQuality,
    Page,
    PsuContext,
    Scope,
    UnreadableBalance,
    Window,
)
from bankimport.providers.answers import an_object
from bankimport.providers.berlin_group_errors import error_of
from bankimport.providers.berlin_group_reading import accounts_of, consent_of
from bankimport.providers.berlin_group_rows import RowReader, balances_of, next_link
from bankimport.providers.http import BoundedClient, Reply
from bankimport.providers.options import Options, ReadingOptions, read_options
from bankimport.providers.psu import headers_of
from bankimport.providers.quota import quota_of


class BerlinGroupOptions(Options, ReadingOptions):
    """The options of a bank of type `berlin-group`."""

    base_url: str = Field(description="where `/v1/…` begins: `https://`, or `http://` for a sandbox on this machine")
    client_cert: str | None = Field(None, description="path of our certificate (QWAC), PEM")
    client_key: str | None = Field(None, description="path of its key, PEM")
    ca_certs: str | None = Field(None, description="path of the authorities to trust, where not the system's")
    day_field: Literal["bookingDate", "valueDate", "transactionDate", "bookingDateTime", "valueDateTime"] | None = (
        Field(None, description="which date is the day of an entry, where it isn't the booking date")
    )


class BerlinGroup:
    """A `BankProvider` for one bank's or gateway's NextGenPSD2 interface.

    Args:
        options: the options, or only where `/v1/…` begins, and the others by name.

    Raises:
        InvalidSettings: an option is wrong, or the certificate can't be read.
    """

    options: ClassVar = BerlinGroupOptions

    def __init__(self, options: BerlinGroupOptions | str, **more: Any) -> None:
        if not isinstance(options, BerlinGroupOptions):
            options = read_options(BerlinGroupOptions, {"name": "berlin-group", "base_url": options, **more})
        self.name = options.name
        self._options = options
        self._limits = options.limits
        tls = _tls(options.client_cert, options.client_key, options.ca_certs)
        self._client = BoundedClient(options.base_url, self._limits, tls, private_network=options.private_network)
        quality = IdQuality(options.id_quality)
        self._rows = RowReader(options, quality, ("transactionId", "entryReference"), options.day_field)
        self._capabilities = Capabilities(
            max_history=options.max_history,
            unattended_limit=options.unattended_limit,
            id_quality=quality,
            pages_newest_first=options.pages_newest_first,
        )

    async def capabilities(self, connection: BankConnection) -> Capabilities:
        """See `BankProvider`."""
        return self._capabilities

    async def consent(self, connection: BankConnection, psu: PsuContext | None) -> Consent:
        """See `BankProvider`."""
        return consent_of(
            await self._get(self._client.path("v1", "consents", _consent(connection)), connection, psu, Scope.CONSENT)
        )

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        """See `BankProvider`."""
        return accounts_of(await self._get(self._client.path("v1", "accounts"), connection, psu, Scope.ACCOUNTS))

    async def balances(
        self, connection: BankConnection, account: BankAccount, psu: PsuContext | None
    ) -> Sequence[Balance | UnreadableBalance]:
        """See `BankProvider`."""
        url = self._client.path("v1", "accounts", account.provider_id, "balances")
        return balances_of(await self._get(url, connection, psu, Scope.BALANCES), account, datetime.now(UTC))

    async def transactions(
        self,
        connection: BankConnection,
        account: BankAccount,
        window: Window,
        *,
        cursor: str | None,
        psu: PsuContext | None,
    ) -> AsyncIterator[Page]:
        """See `BankProvider`. `cursor` is the link to a page, as `Page.cursor` gave it."""
        query = {"bookingStatus": "both", "dateFrom": window.since.isoformat()}
        if window.until is not None:
            query["dateTo"] = window.until.isoformat()
        first = self._client.path("v1", "accounts", account.provider_id, "transactions").with_query(query)
        url = first if cursor is None else self._client.resolve(cursor, first)
        seen: set[URL] = set()
        while True:
            if url in seen or len(seen) >= self._limits.pages:
                raise MalformedData("the bank's pages have no end", scope=Scope.TRANSACTIONS)
            seen.add(url)
            reply = await self._reply(url, connection, psu, Scope.TRANSACTIONS)
            body = an_object(reply.body, Scope.TRANSACTIONS)
            rows, link = self._rows.page(body.get("transactions"), account), next_link(body)
            quota = quota_of(reply.headers, datetime.now(UTC))
            if link is None:
                yield Page(rows, quota=quota)
                return
            url = self._client.resolve(link, url)
            yield Page(rows, cursor=str(url), quota=quota)

    async def aclose(self) -> None:
        """See `BankProvider`."""
        await self._client.aclose()

    async def _get(self, url: URL, connection: BankConnection, psu: PsuContext | None, scope: Scope) -> Any:
        return (await self._reply(url, connection, psu, scope)).body

    async def _reply(self, url: URL, connection: BankConnection, psu: PsuContext | None, scope: Scope) -> Reply:
        reply = await self._client.get(url, _headers(connection, psu), scope)
        if reply.status == 200:
            return reply
        raise error_of(reply, scope, datetime.now(UTC))


def _consent(connection: BankConnection) -> str:
    if not connection.consent_id:
        raise ReauthRequired("missing")
    return connection.consent_id


def _headers(connection: BankConnection, psu: PsuContext | None) -> dict[str, str]:
    """Return the headers of NextGenPSD2; the person's are sent if and only if the person asks just now."""
    headers = {
        "X-Request-ID": str(uuid.uuid4()),
        "Consent-ID": _consent(connection),
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
    }
    token = (connection.credentials or {}).get("access_token")
    if isinstance(token, str):
        headers["Authorization"] = f"Bearer {token}"
    return {**headers, **headers_of(psu)}


def _tls(cert: str | None, key: str | None, authorities: str | None) -> ssl.SSLContext | None:
    if cert is None and authorities is None:
        return None
    for name, path in (("client_cert", cert), ("client_key", key), ("ca_certs", authorities)):
        if path is not None and not Path(path).is_file():
            raise InvalidSettings(f"{name}: there is no such file")
    try:
        context = ssl.create_default_context(cafile=authorities)
        if cert is not None:
            context.load_cert_chain(cert, key)
    except (ssl.SSLError, OSError):
        raise InvalidSettings("client_cert, client_key or ca_certs: can't be read as PEM") from None
    return context
