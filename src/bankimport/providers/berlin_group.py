"""Banks that speak Berlin Group NextGenPSD2 1.3, directly or through a gateway."""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from yarl import URL

from bankimport.errors import BankRejected, MalformedData, ReauthRequired, StartOver, Transient
from bankimport.models import (
    Balance,
    BankAccount,
    BankConnection,
    Capabilities,
    Consent,
    Delta,
    IdQuality,
    Page,
    PsuContext,
    Scope,
    TransactionStatus,
    UnreadableBalance,
    Window,
)
from bankimport.ports import ConsentFlow, HearRequest, KeepCredentials
from bankimport.providers.answers import an_object, text_of
from bankimport.providers.berlin_group_consent import BerlinGroupConsent
from bankimport.providers.berlin_group_errors import error_of
from bankimport.providers.berlin_group_options import BerlinGroupOptions
from bankimport.providers.berlin_group_reading import accounts_of, consent_of
from bankimport.providers.berlin_group_rows import RowReader, balances_of, next_link
from bankimport.providers.http import BoundedClient, Reply
from bankimport.providers.oauth import authorization_of
from bankimport.providers.options import read_options
from bankimport.providers.psu import headers_of
from bankimport.providers.quota import quota_of

_IDS: Final = ("transactionId", "entryReference", "cardTransactionId")
_BOOKED: Final = TransactionStatus.BOOKED
#: before the resource id of a card account
_CARD: Final = "card-account:"


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
        self._client = BoundedClient(
            options.base_url, options.limits, options.tls(), private_network=options.private_network
        )
        self._server, self._bearer = options.authorization()
        #: see `OffersConsent`
        self.consent_flow: ConsentFlow = BerlinGroupConsent(options, self._client, self._server)
        quality = IdQuality(options.id_quality)
        self._rows = RowReader(options, quality, _IDS, options.day_field)
        only_booked = options.booking_status == "booked" or options.delta is not None
        self._capabilities = options.capabilities(
            statuses={_BOOKED} if only_booked else {_BOOKED, TransactionStatus.PENDING}, delta=options.delta is not None
        )

    def keep_credentials_with(self, keep: KeepCredentials) -> None:
        """See `RotatesCredentials`."""
        self._bearer.keep_with(keep)

    def tell_requests(self, hear: HearRequest) -> None:
        """See `TellsRequests`."""
        self._client.hear = hear
        self._server.tell_requests(hear)

    async def capabilities(self, connection: BankConnection) -> Capabilities:
        """See `BankProvider`."""
        return self._capabilities

    async def consent(self, connection: BankConnection, psu: PsuContext | None) -> Consent:
        """See `BankProvider`."""
        url = self._client.path("v1", "consents", _consent(connection))
        return consent_of((await self._reply(url, connection, psu, Scope.CONSENT)).body)

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        """See `BankProvider`. A card account's `provider_id` says that it is one."""
        reply = await self._reply(self._client.path("v1", "accounts"), connection, psu, Scope.ACCOUNTS)
        found = accounts_of(reply.body)
        if self._options.card_accounts:
            reply = await self._reply(self._client.path("v1", "card-accounts"), connection, psu, Scope.ACCOUNTS)
            listed = an_object(reply.body, Scope.ACCOUNTS).get("cardAccounts")
            cards = accounts_of({"accounts": listed})
            found += [
                replace(card, provider_id=f"{_CARD}{card.provider_id}", kind=card.kind or "CARD") for card in cards
            ]
        return found

    async def balances(
        self, connection: BankConnection, account: BankAccount, psu: PsuContext | None
    ) -> Sequence[Balance | UnreadableBalance]:
        """See `BankProvider`."""
        url = self._account(account, "balances")
        reply = await self._reply(url, connection, psu, Scope.BALANCES)
        return balances_of(reply.body, account, self._options.clock())

    async def transactions(
        self,
        connection: BankConnection,
        account: BankAccount,
        window: Window,
        *,
        cursor: str | None,
        psu: PsuContext | None,
    ) -> AsyncIterator[Page | Delta]:
        """See `BankProvider`. `cursor` is the link to a page, as `Page.cursor` gave it; with `delta` it is the last
        `entryReference`."""
        url = self._account(account, "transactions")
        if self._options.delta is None:
            first = url.with_query(self._query(window))
            start = first if cursor is None else self._client.resolve(cursor, first)
            async for body, page in self._pages(start, connection, psu):
                yield replace(page, transactions=self._rows.page(_report(body), account))
            return
        query = self._query(window) if cursor is None else {"bookingStatus": "booked", "entryReferenceFrom": cursor}
        newest: str | None = None
        try:
            async for body, page in self._pages(url.with_query(query), connection, psu):
                named = _references(_report(body))
                if named:
                    newest = (newest or named[0]) if self._options.pages_newest_first else named[-1]
                rows = self._rows.page(_report(body), account)
                yield Delta(rows, cursor=newest or cursor, has_more=page.cursor is not None, quota=page.quota)
        except BankRejected:
            if cursor is None:
                raise
            raise StartOver(cursor=None) from None  # it doesn't know the reference any more

    def _query(self, window: Window) -> dict[str, str]:
        status = "booked" if self._options.delta is not None else self._options.booking_status
        query = {"bookingStatus": status, "dateFrom": window.since.isoformat()}
        return query if window.until is None else {**query, "dateTo": window.until.isoformat()}

    async def _pages(
        self, url: URL, connection: BankConnection, psu: PsuContext | None
    ) -> AsyncIterator[tuple[Mapping[str, Any], Page]]:
        """Yield the answers from a URL on, each with its cursor and quota."""
        seen: set[URL] = set()
        while True:
            if url in seen or len(seen) >= self._options.limits.pages:
                raise MalformedData("the bank's pages have no end", scope=Scope.TRANSACTIONS)
            seen.add(url)
            reply = await self._reply(url, connection, psu, Scope.TRANSACTIONS)
            body = an_object(reply.body, Scope.TRANSACTIONS)
            link, quota = next_link(body), quota_of(reply.headers, self._options.clock())
            if link is None:
                yield body, Page((), quota=quota)
                return
            url = self._client.resolve(link, url, root="v1/")
            yield body, Page((), cursor=str(url), quota=quota)

    async def aclose(self) -> None:
        """See `BankProvider`."""
        await self._client.aclose()
        await self._bearer.aclose()

    def _account(self, account: BankAccount, what: str) -> URL:
        is_card = account.provider_id.startswith(_CARD)
        kind, resource = ("card-accounts" if is_card else "accounts"), account.provider_id.removeprefix(_CARD)
        return self._client.path("v1", kind, resource, what)

    async def _reply(self, url: URL, connection: BankConnection, psu: PsuContext | None, scope: Scope) -> Reply:
        now = self._options.clock()
        connection = await self._bearer.fresh(connection, now)
        headers = _headers(connection, psu)
        if self._options.sign is not None:
            headers |= self._options.sign("GET", str(url), headers, b"")
        reply = await self._client.get(url, headers, scope)
        if reply.status == 200:
            return reply
        error = error_of(reply, scope, now)
        is_token = isinstance(error, ReauthRequired) and error.suspicious and reply.status == 401
        if is_token and await self._bearer.renewed(connection, now):
            raise Transient("the bank refused the access token, which was renewed", scope=scope)
        raise error


def _report(body: Mapping[str, Any]) -> Any:
    return body["cardTransactions"] if "cardTransactions" in body else body.get("transactions")


def _references(report: Any) -> list[str]:
    """Return the references of a report's booked entries, in the bank's order."""
    booked = report.get("booked") if isinstance(report, dict) else None
    rows = [row for row in booked if isinstance(row, dict)] if isinstance(booked, list) else []
    return [reference for row in rows if (reference := text_of(row, "entryReference"))]


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
    return {**headers, **authorization_of(connection.credentials), **headers_of(psu)}
