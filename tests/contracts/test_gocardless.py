"""What is GoCardless's own: tokens that workers share, requisitions and agreements, its limits and its errors."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from bankimport.errors import (
    AccountUnavailable,
    BankRejected,
    CredentialError,
    InvalidSettings,
    JobError,
    MalformedData,
    PeriodRejected,
    RateLimited,
    ReauthRequired,
    Transient,
)
from bankimport.models import BankAccount, ConsentStatus, Window
from bankimport.providers import GoCardless, providers_from_settings
from bankimport.providers.tokens import LocalShelf, SharedTokens, Tokens
from bankimport.reading import read_transaction
from bankimport.sandbox import BankClock, Kind, create_app
from tests.contracts.conftest import Serve
from tests.contracts.sandboxed import NOW, connection, gocardless, misbehave, requests_of

ACCOUNT = BankAccount("a-1", "k", "EUR")
WINDOW = Window(NOW.date() - timedelta(days=80))


@pytest.fixture
async def url(serve: Serve) -> str:
    """The sandbox, its clock fixed."""
    return await serve(create_app(clock=BankClock(NOW)))


@pytest.fixture
async def provider(url: str) -> AsyncIterator[Any]:
    """A provider of the sandbox."""
    provider = gocardless(url)
    yield provider
    await provider.aclose()


async def answering(serve: Serve, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    """Return a provider of a GoCardless that gives a token, and to all else this answer."""

    async def token(request: web.Request) -> web.Response:
        return web.json_response({"access": "a", "access_expires": 86400, "refresh": "r", "refresh_expires": 99})

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=json.dumps(body), status=status, headers=headers, content_type="application/json")

    app = web.Application()
    app.router.add_post("/api/v2/token/new/", token)
    app.router.add_get("/{path:.*}", handler)
    return gocardless(await serve(app))


async def rows_of(provider: Any, account: BankAccount = ACCOUNT, window: Window = WINDOW) -> list[Any]:
    """Read a window of an account, as the import does."""
    pages = provider.transactions(connection(), account, window, cursor=None, psu=None)
    return [read_transaction(row, account.currency, NOW.date()) async for page in pages for row in page.transactions]


# Tokens ------------------------------------------------------------------------------------------------------------


async def test_workers_share_one_token(url: str) -> None:
    """Twenty reads of three workers at once ask for one token: one makes it, the others wait for it."""
    shelf = LocalShelf()
    workers: list[Any] = [gocardless(url) for _ in range(3)]
    for worker in workers:
        worker.share_tokens(shelf)
    await asyncio.gather(*(workers[n % 3].consent(connection(), None) for n in range(20)))
    for worker in workers:
        await worker.aclose()
    assert [made["path"] for made in await requests_of(url, "tokens")] == ["/api/v2/token/new/"] * 2  # access, refresh


async def test_a_shelf_holds_nothing_that_can_be_read() -> None:
    """Tokens are sealed with the application's secret; another secret finds none of them."""
    shelf = LocalShelf()

    async def make(refresh: str | None, now: datetime) -> Tokens:
        return Tokens("secret-access", now.timestamp() + 3600, "secret-refresh", now.timestamp() + 7200)

    now = datetime.now(UTC)
    tokens, other = SharedTokens("b", "one", make), SharedTokens("b", "two", make)
    tokens.shelf = other.shelf = shelf
    assert await tokens.access(now) == await tokens.access(now) == "secret-access"
    assert "secret" not in str(vars(shelf))
    await other.access(now)
    assert len(shelf._kept) == 2


@pytest.mark.parametrize("found", ["", "nonsense", "gAAAAABk", "{}"])
async def test_what_is_no_token_is_made_anew(found: str) -> None:
    """Whatever stands on the shelf, nothing unexpected is raised."""
    made: list[str | None] = []

    async def make(refresh: str | None, now: datetime) -> Tokens:
        made.append(refresh)
        return Tokens("a", now.timestamp() + 3600, "r", now.timestamp() + 7200)

    tokens = SharedTokens("b", "one", make)
    await tokens.shelf.put(tokens._name, found, timedelta(hours=1))
    assert await tokens.access(datetime.now(UTC)) == "a"
    assert made == [None]


async def test_a_token_is_renewed_before_it_ends() -> None:
    """With the refresh token while that is good, then by the secret."""
    made: list[str | None] = []

    async def make(refresh: str | None, now: datetime) -> Tokens:
        made.append(refresh)
        return Tokens(f"a{len(made)}", now.timestamp() + 3600, "r", now.timestamp() + 7200)

    tokens, now = SharedTokens("b", "s", make), datetime.now(UTC)
    for minutes in (0, 57, 59, 300):
        await tokens.access(now + timedelta(minutes=minutes))
    assert made == [None, "r", None]


async def test_the_refresh_token_is_used(provider: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs no secret; where it is refused, the secret is used."""
    await provider.consent(connection(), None)
    later = datetime.now(UTC) + timedelta(hours=25)
    await provider._tokens.access(later)
    paths = [made["path"] for made in await requests_of(url, "tokens")]
    assert paths == ["/api/v2/token/new/", "/api/v2/token/new/", "/api/v2/token/refresh/"]


async def test_a_refused_token_is_dropped(provider: Any, url: str) -> None:
    """The read fails for now, and nobody is marked; the next one has a new token."""
    [account, *_] = await provider.accounts(connection(), None)
    await misbehave(url, Kind.TOKEN_INVALID, times=1)
    before = len(await requests_of(url, "tokens"))
    with pytest.raises(Transient, match="token"):
        await rows_of(provider, account)
    assert await rows_of(provider, account)
    assert len(await requests_of(url, "tokens")) == before + 2


async def test_a_wrong_secret_is_ours_to_mend(url: str) -> None:
    """No person is asked to authorise again."""
    provider: Any = GoCardless(secret_id="id", secret_key="wrong", base_url=url)
    with pytest.raises(CredentialError):
        await provider.consent(connection(), None)
    await provider.aclose()


def test_a_secret_is_not_printed() -> None:
    """Not by the options, and not by a wrong setting."""
    assert "hush" not in repr(GoCardless.options(secret_id="i", secret_key="hush"))
    with pytest.raises(InvalidSettings) as told:
        providers_from_settings({"gc": {"type": "gocardless", "secret_id": "i", "secret_keys": "hush"}})
    assert "did you mean secret_key?" in str(told.value)
    assert "hush" not in str(told.value)


# Requisitions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status"),
    [("LN", ConsentStatus.VALID), ("EX", ConsentStatus.EXPIRED), ("SU", ConsentStatus.REVOKED), ("RJ", ConsentStatus.REVOKED),
     ("ER", ConsentStatus.REVOKED), *((word, ConsentStatus.PENDING) for word in ("CR", "ID", "GC", "UA", "GA", "SA"))],
)  # fmt: skip
async def test_a_requisition_s_status(serve: Serve, word: str, status: ConsentStatus) -> None:
    """Every word of theirs."""
    provider = await answering(serve, {"status": word})
    assert (await provider.consent(connection(), None)).status is status
    await provider.aclose()


async def test_a_consent_ends_with_its_agreement(serve: Serve) -> None:
    """So many days after it was accepted."""
    agreement = {"accepted": "2026-06-17T12:00:00Z", "access_valid_for_days": 90}
    provider = await answering(serve, {"status": "LN", "agreement": "x", **agreement})
    assert (await provider.consent(connection(), None)).valid_until == date(2026, 9, 15)
    await provider.aclose()


@pytest.mark.parametrize("body", [[], {}, {"status": "??"}, {"status": "LN", "accounts": {}}], ids=str)
async def test_a_requisition_of_another_shape_is_malformed(serve: Serve, body: Any) -> None:
    """It is not taken for a valid one."""
    provider = await answering(serve, body)
    with pytest.raises(MalformedData):
        await provider.consent(connection(), None)
        await provider.accounts(connection(), None)
    await provider.aclose()


async def test_a_window_that_is_to_come_is_not_asked_for(provider: Any, url: str) -> None:
    """They refuse a last day that is to come."""
    [account, *_] = await provider.accounts(connection(), None)
    await rows_of(provider, account, Window(NOW.date(), datetime.now(UTC).date() + timedelta(days=40)))
    asked = [request["path"] for request in await requests_of(url) if request["endpoint"] == "transactions"]
    assert "date_to" not in asked[-1]


# Limits ------------------------------------------------------------------------------------------------------------


async def test_what_is_left_of_the_quota_comes_with_the_page(provider: Any, url: str) -> None:
    """Four a day of an account and scope; the fifth is refused until midnight."""
    [account, *_] = await provider.accounts(connection(), None)
    await misbehave(url, Kind.QUOTA)
    left = []
    for _ in range(4):
        pages = provider.transactions(connection(), account, WINDOW, cursor=None, psu=None)
        left += [page.quota.remaining async for page in pages]
    assert left == [3, 2, 1, 0]
    with pytest.raises(RateLimited):
        await rows_of(provider, account)
    await provider.balances(connection(), account, None)  # another scope


@pytest.mark.parametrize(
    ("headers", "body", "wait"),
    [
        ({"Retry-After": "7"}, {}, 7),
        ({}, {"detail": "Rate limit exceeded, try again in 12 seconds"}, 12),
        ({"HTTP_X_RATELIMIT_ACCOUNT_SUCCESS_REMAINING": "0", "HTTP_X_RATELIMIT_ACCOUNT_SUCCESS_RESET": "3600"}, {}, 3600),
        ({"x-ratelimit-account-success-remaining": "0", "x-ratelimit-account-success-reset": "3600"}, {}, 3600),
        ({}, {"summary": "The rate limit for this resource is 4/day."}, 6 * 3600),
        ({}, {"detail": "try again in 999999 seconds"}, 24 * 3600),
        ({}, None, 6 * 3600),
    ],
    ids=str,
)  # fmt: skip
async def test_two_kinds_of_limit(serve: Serve, headers: dict[str, str], body: Any, wait: int) -> None:
    """Seconds are a burst of our own, which is waited for; hours are the account's quota."""
    provider = await answering(serve, body, 429, headers)
    with pytest.raises(RateLimited) as told:
        await rows_of(provider)
    await provider.aclose()
    assert told.value.retry_after is not None
    assert timedelta(seconds=wait - 2) < told.value.retry_after <= timedelta(seconds=wait)


# Errors ------------------------------------------------------------------------------------------------------------


EUA = {
    "summary": "End User Agreement (EUA) 1f3c has expired",
    "detail": "EUA was valid for 90 days and it expired at …",
}
ERRORS: list[tuple[int, Any, type[JobError], dict[str, Any]]] = [
    (400, EUA, ReauthRequired, {"reason": "expired", "suspicious": False}),
    (401, EUA, ReauthRequired, {"reason": "expired", "suspicious": False}),
    (401, {"summary": "x", "type": "AccessExpiredError"}, ReauthRequired, {"reason": "expired"}),
    (403, {"summary": "No valid End User Agreement"}, ReauthRequired, {"reason": "invalid", "suspicious": False}),
    (401, {"summary": "Invalid token", "detail": "Token is invalid or expired"}, Transient, {}),
    (
        401,
        {"summary": "Authentication failed", "detail": "No active account found with the given credentials"},
        CredentialError,
        {},
    ),
    (
        403,
        {"summary": "IP address access denied", "detail": "Your IP 127.0.0.1 isn't whitelisted"},
        CredentialError,
        {},
    ),
    (402, {"summary": "Usage limit reached"}, CredentialError, {}),
    (403, {"summary": "Account access forbidden"}, AccountUnavailable, {}),
    (403, {"summary": "Resource unavailable"}, AccountUnavailable, {}),
    (409, {"summary": "Account suspended"}, AccountUnavailable, {}),
    (401, {"summary": "x", "type": "AccountInactiveError"}, AccountUnavailable, {}),
    (404, {"summary": "Account ID not found"}, AccountUnavailable, {}),
    (400, {"date_from": {"summary": "Date can't be in future"}}, PeriodRejected, {}),
    (400, {"summary": "Invalid Account ID"}, BankRejected, {"status": 400}),
    (500, {"summary": "UnknownRequestError"}, Transient, {}),
    (503, {"type": "ServiceError"}, Transient, {}),
    (503, {"type": "ConnectionError"}, Transient, {}),
    (429, {"type": "RateLimitError"}, RateLimited, {}),
    (401, None, ReauthRequired, {"suspicious": True}),
    (401, {"summary": 7, "detail": [None]}, ReauthRequired, {"suspicious": True}),
    (502, "<html>", Transient, {}),
]


@pytest.mark.parametrize(("status", "body", "error", "facts"), ERRORS, ids=str)
async def test_an_error_is_what_it_means(
    serve: Serve, status: int, body: Any, error: type[JobError], facts: dict[str, Any]
) -> None:
    """Told apart by status, type and words; none of the words is quoted."""
    provider = await answering(serve, body, status)
    with pytest.raises(error) as told:
        await rows_of(provider)
    await provider.aclose()
    assert {name: getattr(told.value, name) for name in facts} == facts
    assert "1f3c" not in str(told.value)


async def test_an_unknown_requisition_is_no_unknown_account(serve: Serve) -> None:
    """The person has to authorise again."""
    provider = await answering(serve, {"summary": "Not found."}, 404)
    for read in (provider.consent, provider.accounts):
        with pytest.raises(ReauthRequired) as told:
            await read(connection(), None)
        assert told.value.reason == "revoked"
    await provider.aclose()
