"""The parts of Berlin Group's interface that some banks have: cards, OAuth, signatures, deltas, booked entries only."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from bankimport.errors import (
    BankRejected,
    CredentialError,
    InvalidSettings,
    JobError,
    MalformedData,
    ReauthRequired,
    StartOver,
    Transient,
)
from bankimport.models import (
    BankConnection,
    Begun,
    Callback,
    ConsentStatus,
    Delta,
    Page,
    Transaction,
    TransactionStatus,
    Window,
)
from bankimport.ports import RotatesCredentials
from bankimport.providers import BerlinGroup
from bankimport.reading import read_transaction
from bankimport.sandbox import BankClock, Kind, create_app
from tests.contracts.conftest import Serve
from tests.contracts.sandboxed import NOW, connection, misbehave, requests_of

WINDOW = Window(NOW.date() - timedelta(days=80))


@pytest.fixture
def clock() -> BankClock:
    """The bank's clock."""
    return BankClock(NOW)


@pytest.fixture
async def url(serve: Serve, clock: BankClock) -> str:
    """The sandbox."""
    return await serve(create_app(clock=clock, page_size=40))


async def rows_of(provider: BerlinGroup, position: int = 0, cursor: str | None = None) -> list[Any]:
    """Read a window of an account, as the import does."""
    account = (await provider.accounts(connection(), None))[position]
    pages = provider.transactions(connection(), account, WINDOW, cursor=cursor, psu=None)
    rows = [row async for p in pages for row in (p.transactions if isinstance(p, Page) else p.added)]
    return [read_transaction(row, account.currency, NOW.date()) for row in rows]


# Cards and statuses --------------------------------------------------------------------------------------------------


async def test_a_card_account_is_an_account(url: str) -> None:
    """It is listed after the others, known by its masked number, and its entries are read from where cards have them."""
    provider = BerlinGroup(url, card_accounts=True)
    *_, card = await provider.accounts(connection(), None)
    rows, of_account = await rows_of(provider, -1), await rows_of(provider, 0)
    balances = await provider.balances(connection(), card, None)
    await provider.aclose()
    assert (card.kind, card.iban) == ("CARD", None)
    assert [reference.kind for reference in card.references] == ["maskedPan"]
    assert [(row.day, row.amount, row.remittance) for row in rows if row.status is TransactionStatus.BOOKED] == [
        (row.day, row.amount, row.remittance) for row in of_account if row.status is TransactionStatus.BOOKED
    ]
    assert all(row.ids[0].namespace == "cardTransactionId" for row in rows)
    assert balances
    asked = [request["path"] for request in await requests_of(url)]
    assert any(path.startswith("/v1/card-accounts/") and "/transactions" in path for path in asked)


async def test_booked_entries_only(url: str) -> None:
    """For a bank that refuses `both`; the import is told that pending ones aren't to be had."""
    provider = BerlinGroup(url, booking_status="booked")
    rows = await rows_of(provider)
    offers = await provider.capabilities(connection())
    await provider.aclose()
    assert {row.status for row in rows} == offers.statuses == {TransactionStatus.BOOKED}
    assert "bookingStatus=booked" in (await requests_of(url))[-1]["path"]


# Deltas --------------------------------------------------------------------------------------------------------------


async def test_a_delta_has_what_was_booked_since(url: str, clock: BankClock) -> None:
    """First all of the window, then from the last reference on; together they are what a whole read has."""
    await misbehave(url, Kind.REFERENCES)
    provider = BerlinGroup(url, delta="entry-reference")
    [account, *_] = await provider.accounts(connection(), None)
    cursor, seen = None, []
    for day in range(4):
        clock.set(NOW + timedelta(days=day))
        pages = [p async for p in provider.transactions(connection(), account, WINDOW, cursor=cursor, psu=None)]
        assert all(isinstance(page, Delta) for page in pages)
        assert [page.has_more for page in pages if isinstance(page, Delta)] == [False] * 0 + [True] * (
            len(pages) - 1
        ) + [False]
        rows = [row for page in pages if isinstance(page, Delta) for row in page.added]
        seen += rows
        assert day == 0 or len(rows) < 40
        cursor = pages[-1].cursor
    whole = BerlinGroup(url, booking_status="booked")
    pages_ = [p async for p in whole.transactions(connection(), account, WINDOW, cursor=None, psu=None)]
    expected = [row for page in pages_ if isinstance(page, Page) for row in page.transactions]
    await provider.aclose()
    await whole.aclose()
    assert (await provider.capabilities(connection())).delta
    assert sorted(row.ids[0].value for row in seen) == sorted(row.ids[0].value for row in expected)


async def test_a_reference_that_the_bank_forgot_starts_over(url: str) -> None:
    """From nothing; the import reads the whole window again."""
    await misbehave(url, Kind.REFERENCES)
    provider = BerlinGroup(url, delta="entry-reference")
    with pytest.raises(StartOver) as told:
        await rows_of(provider, cursor="long-gone")
    await provider.aclose()
    assert told.value.cursor is None


async def test_a_refusal_of_the_first_read_is_none_of_a_cursor_s(url: str) -> None:
    """It is what it is."""
    provider = BerlinGroup(url, delta="entry-reference")
    await misbehave(url, Kind.FORMAT_ERROR, endpoint="transactions")
    with pytest.raises(BankRejected):
        await rows_of(provider)
    await provider.aclose()


# Signatures ----------------------------------------------------------------------------------------------------------


async def test_a_request_may_be_signed(serve: Serve) -> None:
    """The hook sees what is sent and adds to it; the person's headers are there to be signed."""
    seen: list[Any] = []

    def sign(method: str, url: str, headers: Any, body: bytes) -> dict[str, str]:
        seen.append((method, url, dict(headers), body))
        return {"Digest": "SHA-256=47DEQpj8HBSa", "Signature": f"of {headers['X-Request-ID']}"}

    received: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        received.append((str(request.url), dict(request.headers)))
        return web.json_response({"accounts": []})

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    provider = BerlinGroup(await serve(app), sign=sign)
    await provider.accounts(connection(), None)
    await provider.aclose()
    [(method, url, headers, body)], [(got_url, got)] = seen, received
    assert (method, body, url) == ("GET", b"", got_url)
    assert got["Signature"] == f"of {got['X-Request-ID']}"
    assert headers.items() <= got.items()


# OAuth ---------------------------------------------------------------------------------------------------------------


class TokenBank:
    """A bank whose refresh tokens are good for one use."""

    def __init__(self) -> None:
        self.refresh, self.access = "r0", "a0"
        self.renewals = 0
        self.answer: tuple[int, Any] | None = None
        self.app = web.Application()
        self.app.add_routes([web.post("/oauth/token", self.token), web.get("/v1/accounts", self.accounts)])

    async def token(self, request: web.Request) -> web.Response:
        """Renew."""
        form = await request.post()
        if self.answer is not None:
            status, body = self.answer
            return web.json_response(body, status=status)
        if form["refresh_token"] != self.refresh or form["client_id"] != "us":
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.renewals += 1
        self.refresh, self.access = f"r{self.renewals}", f"a{self.renewals}"
        return web.json_response({"access_token": self.access, "refresh_token": self.refresh, "expires_in": 3600})

    async def accounts(self, request: web.Request) -> web.Response:
        """List nothing to whoever has the token."""
        if request.headers.get("Authorization") != f"Bearer {self.access}":
            return web.json_response({"tppMessages": [{"code": "TOKEN_EXPIRED"}]}, status=401)
        return web.json_response({"accounts": []})


@pytest.fixture
async def tokens() -> TokenBank:
    """Such a bank."""
    return TokenBank()


@pytest.fixture
async def kept() -> dict[str, Any]:
    """What is stored of connections' credentials."""
    return {}


@pytest.fixture
async def provider(serve: Serve, tokens: TokenBank, kept: dict[str, Any]) -> AsyncIterator[BerlinGroup]:
    """A provider of it that keeps what it is handed."""
    provider = BerlinGroup(await serve(tokens.app), token_url="/oauth/token", client_id="us", client_secret="hush")
    assert isinstance(provider, RotatesCredentials)

    async def keep(connection_id: str, credentials: Any) -> None:
        kept[connection_id] = credentials

    provider.keep_credentials_with(keep)
    yield provider
    await provider.aclose()


def holding(expires_in: timedelta | None = None, **more: Any) -> BankConnection:
    """Return a connection that holds the first tokens."""
    until = None if expires_in is None else (datetime.now(UTC) + expires_in).isoformat()
    return dataclasses.replace(
        connection(), credentials={"access_token": "a0", "refresh_token": "r0", "expires_at": until, **more}
    )


async def test_a_token_is_used_while_it_is_good(provider: BerlinGroup, tokens: TokenBank) -> None:
    """And not renewed before its time."""
    await provider.accounts(holding(timedelta(hours=1)), None)
    assert tokens.renewals == 0


async def test_a_token_is_renewed_before_its_end_and_stored(
    provider: BerlinGroup, tokens: TokenBank, kept: dict[str, Any]
) -> None:
    """Once, however many reads there are at once and however old the credentials are that a run began with."""
    old = holding(timedelta(minutes=1), scope="AIS:1")
    await asyncio.gather(*(provider.accounts(old, None) for _ in range(10)))
    await provider.accounts(old, None)
    assert tokens.renewals == 1
    assert {**kept["c"], "expires_at": None, "renew_at": None} == {
        "access_token": "a1", "refresh_token": "r1", "expires_at": None, "renew_at": None, "scope": "AIS:1",
    }  # fmt: skip
    assert datetime.fromisoformat(kept["c"]["expires_at"]) > datetime.now(UTC) + timedelta(minutes=59)


async def test_a_token_refused_before_its_time_is_renewed(provider: BerlinGroup, tokens: TokenBank) -> None:
    """The read fails for now, since nothing is sent twice; nobody is marked, and the next one has the new token."""
    tokens.access = "of another time"
    old = holding(timedelta(hours=1))
    with pytest.raises(Transient, match="renewed"):
        await provider.accounts(old, None)
    assert await provider.accounts(old, None) == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"error": "invalid_grant"}), ReauthRequired), ((401, {}), ReauthRequired),
        ((401, {"error": "invalid_client"}), CredentialError), ((400, {"error": "unauthorized_client"}), CredentialError),
        ((503, {}), Transient), ((429, {}), Transient), ((400, {"error": "invalid_request"}), BankRejected),
        ((200, {}), MalformedData), ((200, []), MalformedData), ((200, {"access_token": 7.5}), MalformedData),
    ],
    ids=str,
)  # fmt: skip
async def test_a_token_that_is_not_renewed(
    provider: BerlinGroup, tokens: TokenBank, kept: dict[str, Any], answer: tuple[int, Any], error: type[JobError]
) -> None:
    """What the refusal means; nothing is stored, and no secret is told."""
    tokens.answer = answer
    with pytest.raises(error) as told:
        await provider.accounts(holding(timedelta(0)), None)
    assert kept == {}
    assert not [secret for secret in ("r0", "a0", "hush") if secret in str(told.value)]


async def test_what_cannot_be_stored_is_not_used(provider: BerlinGroup, tokens: TokenBank) -> None:
    """A new token that is lost is lost for good: the read fails, and asks nothing with it."""

    async def away(connection_id: str, credentials: Any) -> None:
        raise RuntimeError("the store is away")

    provider.keep_credentials_with(away)
    with pytest.raises(RuntimeError):
        await provider.accounts(holding(timedelta(0)), None)


@pytest.mark.parametrize("token_url", ["ftp://bank.example/token", "http://bank.example/token", "https://[bad"])
def test_a_token_endpoint_is_checked_as_the_bank_is(token_url: str) -> None:
    """Secrets go there."""
    with pytest.raises(InvalidSettings, match="token_url"):
        BerlinGroup("https://bank.example", token_url=token_url)


async def test_a_row_of_each_is_readable(url: str) -> None:
    """With everything on."""
    provider = BerlinGroup(url, card_accounts=True, booking_status="both")
    for position in range(4):
        assert all(isinstance(row, Transaction) for row in await rows_of(provider, position))
    await provider.aclose()


@pytest.mark.parametrize("shown", ["/psd2/v1/", "/v1/", "v1/"])
async def test_links_of_a_bank_below_a_prefix(serve: Serve, shown: str) -> None:
    """A gateway's links may leave its prefix out, or the slash: what begins with the version is below our base."""

    @web.middleware
    async def without_prefix(request: web.Request, handler: Any) -> web.Response:
        answer: web.Response = await handler(request)
        text = (answer.text or "").replace('"/psd2/v1/', f'"{shown}')
        return web.Response(text=text, status=answer.status, content_type="application/json")

    app = web.Application(middlewares=[without_prefix])
    app.add_subapp("/psd2", create_app(page_size=20))
    provider = BerlinGroup(f"{await serve(app)}/psd2")
    [account, *_] = await provider.accounts(connection(), None)
    window = Window(datetime.now(UTC).date() - timedelta(days=60))
    pages = [page async for page in provider.transactions(connection(), account, window, cursor=None, psu=None)]
    assert len(pages) > 3
    await provider.aclose()


@pytest.mark.parametrize("word", ["VALID", "Valid"])
async def test_a_status_in_capitals(serve: Serve, word: str) -> None:
    """It is the same status."""

    async def consent(_: web.Request) -> web.Response:
        return web.json_response({"consentStatus": word, "validUntil": "9999-12-31"})

    app = web.Application()
    app.router.add_get("/v1/consents/{id}", consent)
    provider = BerlinGroup(await serve(app))
    assert (await provider.consent(connection(), None)).status is ConsentStatus.VALID
    await provider.aclose()


async def test_a_bank_that_takes_a_moment(serve: Serve) -> None:
    """The person is back, and the consent is still `received`: it is looked at again before anybody is told no."""
    said = ["received", "Received", "valid"]

    async def consent(_: web.Request) -> web.Response:
        return web.json_response({"consentStatus": said.pop(0)})

    app = web.Application()
    app.router.add_get("/v1/consents/{id}", consent)
    provider = BerlinGroup(await serve(app))
    granted = await provider.consent_flow.finish(Begun("", "c-1"), Callback({"state": "s"}), None)
    assert (granted.consent_id, said) == ("c-1", [])
    await provider.aclose()
