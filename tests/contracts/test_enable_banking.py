"""What is Enable Banking's own: the application's token, sessions, continuation keys, statuses, and its error codes."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

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
    UnattendedRefused,
    Unsupported,
)
from bankimport.models import (
    AccountReference,
    Balance,
    BankAccount,
    ConsentStatus,
    Page,
    PsuContext,
    Transaction,
    TransactionStatus,
    Window,
)
from bankimport.providers import EnableBanking, providers_from_settings
from bankimport.providers.enable_banking_errors import CODES
from bankimport.providers.enable_banking_token import ApplicationToken
from bankimport.reading import read_transaction
from bankimport.sandbox import BankClock, Kind, create_app
from tests.contracts.conftest import Serve
from tests.contracts.sandboxed import KEY, NOW, connection, enable_banking, misbehave, requests_of

ACCOUNT = BankAccount("uid-1", "k", "EUR")
PERSON = PsuContext("203.0.113.7", "Mozilla/5.0")
WINDOW = Window(NOW.date() - timedelta(days=80))


@pytest.fixture
async def url(serve: Serve) -> str:
    """The sandbox, its clock fixed."""
    return await serve(create_app(clock=BankClock(NOW), page_size=40))


@pytest.fixture
async def provider(url: str) -> AsyncIterator[Any]:
    """A provider of the sandbox."""
    provider = enable_banking(url)
    yield provider
    await provider.aclose()


async def answering(serve: Serve, handler: Any) -> Any:
    """Return a provider of an Enable Banking that answers everything with `handler`."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    return enable_banking(await serve(app))


def saying(body: Any, status: int = 200) -> Any:
    """Return a handler with one answer."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    return handler


async def rows_of(provider: Any, account: BankAccount = ACCOUNT) -> list[Any]:
    """Read a window of an account, as the import does."""
    pages = provider.transactions(connection(), account, WINDOW, cursor=None, psu=None)
    return [read_transaction(row, account.currency, NOW.date()) async for page in pages for row in page.transactions]


# The application's token -------------------------------------------------------------------------------------------


def test_the_token_is_the_application_s() -> None:
    """RS256 under the application's id, from five minutes ago, for an hour; kept until shortly before its end."""
    token = ApplicationToken("app-1", KEY)
    now = datetime(2026, 6, 17, 12, tzinfo=UTC)
    first = token.at(now)
    public: Any = load_pem_private_key(KEY.encode(), None).public_key()
    claims = jwt.decode(
        first,
        public,
        algorithms=["RS256"],
        audience="api.enablebanking.com",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert jwt.get_unverified_header(first) == {"typ": "JWT", "alg": "RS256", "kid": "app-1"}
    assert claims["iss"] == "enablebanking.com"
    assert (claims["iat"], claims["exp"]) == (now.timestamp() - 300, now.timestamp() + 3300)
    assert token.at(now + timedelta(minutes=49)) == first
    assert token.at(now + timedelta(minutes=50)) != first


def test_the_key_may_be_in_a_file(tmp_path: Path) -> None:
    """As settings name it; a file that isn't there or holds no key stops start-up, and its text is told nobody."""
    good = tmp_path / "key.pem"
    good.write_text(KEY)
    bank = {"type": "enable-banking", "application_id": "app-1", "private_key_file": str(good)}
    assert isinstance(providers_from_settings({"eb": bank})["eb"], EnableBanking)
    with pytest.raises(InvalidSettings, match="eb: private_key_file: it can't be read"):
        providers_from_settings({"eb": {**bank, "private_key_file": str(tmp_path / "none.pem")}})


def _elliptic() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _locked() -> str:
    key: Any = load_pem_private_key(KEY.encode(), None)
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode())


@pytest.mark.parametrize("key", ["secret", "", _elliptic(), _locked()], ids=["no PEM", "empty", "elliptic", "locked"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    """At start-up, and no word of it is quoted."""
    with pytest.raises(InvalidSettings, match="private_key: it is no RSA key") as told:
        EnableBanking(application_id="a", private_key=key)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("options", [{}, {"private_key": KEY, "private_key_file": "x"}], ids=["none", "both"])
def test_one_key_is_needed(options: dict[str, Any]) -> None:
    """Neither none nor two."""
    with pytest.raises(InvalidSettings, match="private_key or private_key_file"):
        EnableBanking(application_id="a", **options)


def test_a_key_is_not_printed() -> None:
    """Not by the options either."""
    options = EnableBanking.options(application_id="a", private_key=KEY)
    assert "PRIVATE KEY" not in repr(options)


# The person --------------------------------------------------------------------------------------------------------


async def test_the_person_s_headers_are_sent_all_or_none(provider: Any, url: str) -> None:
    """Where the browser doesn't say its name, nothing of the person is sent: they refuse a half."""
    for psu in (None, PERSON, PsuContext("203.0.113.7", None), PsuContext("203.0.113.7", "\r\n")):
        await provider.consent(connection(), psu)
    sent = [{k for k in request["headers"] if k.startswith("PSU")} for request in await requests_of(url)]
    assert sent == [set(), {"PSU-IP-Address", "PSU-User-Agent"}, set(), set()]


# Sessions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("AUTHORIZED", ConsentStatus.VALID), ("authorized", ConsentStatus.VALID), ("EXPIRED", ConsentStatus.EXPIRED),
        ("CLOSED", ConsentStatus.REVOKED), ("REVOKED", ConsentStatus.REVOKED), ("CANCELLED", ConsentStatus.REVOKED),
        ("INVALID", ConsentStatus.REVOKED), ("PENDING_AUTHORIZATION", ConsentStatus.PENDING),
        ("RETURNED_FROM_BANK", ConsentStatus.PENDING),
    ],
)  # fmt: skip
async def test_a_session_s_status(serve: Serve, word: str, status: ConsentStatus) -> None:
    """Every word of theirs, and the day on which it ends."""
    body = {"status": word, "access": {"valid_until": "2026-09-15T09:30:00.000000+00:00"}}
    provider = await answering(serve, saying(body))
    consent = await provider.consent(connection(), None)
    await provider.aclose()
    assert (consent.status, consent.valid_until) == (status, date(2026, 9, 15))


@pytest.mark.parametrize(
    ("code", "status"),
    [("EXPIRED_SESSION", ConsentStatus.EXPIRED), ("REVOKED_SESSION", ConsentStatus.REVOKED),
     ("CLOSED_SESSION", ConsentStatus.REVOKED), ("SESSION_DOES_NOT_EXIST", ConsentStatus.REVOKED)],
)  # fmt: skip
async def test_an_ended_session_may_be_told_by_an_error(serve: Serve, code: str, status: ConsentStatus) -> None:
    """Instead of a status."""
    provider = await answering(serve, saying({"code": 401, "error": code}, 401))
    assert (await provider.consent(connection(), None)).status is status
    await provider.aclose()


@pytest.mark.parametrize(
    "body", [[], {}, {"status": "NEW"}, {"status": "AUTHORIZED", "access": {"valid_until": "x"}}], ids=str
)
async def test_a_session_of_another_shape_is_malformed(serve: Serve, body: Any) -> None:
    """It is not taken for a valid one."""
    provider = await answering(serve, saying(body))
    with pytest.raises(MalformedData):
        await provider.consent(connection(), None)
    await provider.aclose()


async def test_an_account_is_known_by_its_hash(serve: Serve) -> None:
    """Without details too: a `uid` is new at every authorisation."""
    shown: list[dict[str, Any]] = [
        {"accounts": ["u1"], "accounts_data": [{"uid": "u1", "identification_hash": "h"}]},
        {"accounts": ["u2"], "accounts_data": [{"uid": "u2", "identification_hash": "h"}]},
    ]

    async def handler(request: web.Request) -> web.Response:
        if "details" in request.path:
            return web.json_response({"code": 404, "error": "ACCOUNT_DOES_NOT_EXIST"}, status=404)
        return web.json_response({"status": "AUTHORIZED", **shown.pop(0)})

    provider = await answering(serve, handler)
    [before], [after] = await provider.accounts(connection(), None), await provider.accounts(connection(), None)
    await provider.aclose()
    assert (before.provider_id, after.provider_id) == ("u1", "u2")
    assert before.references[0] == after.references[0] == AccountReference("identification_hash", "h")


# Continuation keys -------------------------------------------------------------------------------------------------


async def test_an_empty_page_may_have_one_after_it(provider: Any, url: str) -> None:
    """It is followed as any other."""
    [account, *_] = await provider.accounts(connection(), None)
    plain = await rows_of(provider, account)
    await misbehave(url, Kind.EMPTY_PAGES)
    pages = provider.transactions(connection(), account, WINDOW, cursor=None, psu=None)
    lengths = [len(page.transactions) async for page in pages]
    assert 0 in lengths
    assert [(r.day, r.amount) for r in await rows_of(provider, account)] == [(r.day, r.amount) for r in plain]


async def test_a_key_that_leads_nowhere_new_ends_the_read(provider: Any, url: str) -> None:
    """As malformed, after few requests."""
    await misbehave(url, Kind.SAME_PAGE)
    [account, *_] = await provider.accounts(connection(), None)
    with pytest.raises(MalformedData, match="no end"):
        await rows_of(provider, account)
    assert len([r for r in await requests_of(url) if r["endpoint"] == "transactions"]) <= 3


async def test_a_key_of_another_session_is_refused(provider: Any) -> None:
    """A key lives in one session; the read begins anew at the next try."""
    [account, *_] = await provider.accounts(connection(), None)
    [other, *_] = await provider.accounts(connection("consent-2"), None)
    pages = provider.transactions(connection(), account, WINDOW, cursor=None, psu=None)
    key = (await anext(aiter(pages))).cursor
    with pytest.raises(Transient, match="changed"):
        [_ async for _ in provider.transactions(connection("consent-2"), other, WINDOW, cursor=key, psu=None)]


# Entries -----------------------------------------------------------------------------------------------------------


def row(**more: Any) -> dict[str, Any]:
    """Return an entry in their words."""
    return {
        "entry_reference": "e1",
        "transaction_id": "t-new",
        "transaction_amount": {"amount": "4.20", "currency": "EUR"},
        "credit_debit_indicator": "DBIT",
        "status": "BOOK",
        "booking_date": "2026-06-10",
        "creditor": {"name": "Shop"},
        "creditor_account": {"iban": "DE1"},
        "debtor": {"name": "Me"},
        "remittance_information": ["Einkauf", "Karte 1"],
        **more,
    }


async def one(serve: Serve, given: Any) -> list[Any]:
    """Read a page with this entry."""
    provider = await answering(serve, saying({"transactions": [given], "continuation_key": None}))
    found = await rows_of(provider)
    await provider.aclose()
    return found


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (row(), TransactionStatus.BOOKED), (row(status="PDNG"), TransactionStatus.PENDING),
        (row(status="HOLD"), TransactionStatus.PENDING), (row(status="CNCL"), TransactionStatus.CANCELLED),
        (row(status="RJCT"), TransactionStatus.CANCELLED), (row(status="OTHR"), TransactionStatus.BOOKED),
        (row(status="OTHR", booking_date=None), TransactionStatus.PENDING), (row(status="book"), TransactionStatus.BOOKED),
        (row(status=None), TransactionStatus.BOOKED),
    ],
    ids=lambda value: str(value)[-60:],
)  # fmt: skip
async def test_a_status_in_their_words(serve: Serve, given: Any, status: TransactionStatus) -> None:
    """Every one of them."""
    [entry] = await one(serve, given)
    assert entry.status is status


async def test_what_is_scheduled_is_no_entry(serve: Serve) -> None:
    """A plan may change, and is not imported."""
    assert await one(serve, row(status="SCHD")) == []


async def test_an_entry_in_their_words(serve: Serve) -> None:
    """The sign is the indicator's, the id is `entry_reference`: `transaction_id` is new in each session."""
    [entry] = await one(serve, row())
    assert isinstance(entry, Transaction)
    assert (entry.amount, entry.counterparty_name, entry.counterparty_iban) == (Decimal("-4.20"), "Shop", "DE1")
    assert entry.remittance == "Einkauf Karte 1"
    assert [(each.namespace, each.value) for each in entry.ids] == [("entry_reference", "e1")]
    assert entry.raw is not None
    assert entry.raw["transaction_id"] == "t-new"


@pytest.mark.parametrize(
    "given",
    [
        None,
        7,
        "x",
        [],
        {},
        row(transaction_amount=None),
        row(creditor=7, transaction_amount=[]),
        row(credit_debit_indicator="?"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_an_unreadable_entry_costs_only_itself(serve: Serve, given: Any) -> None:
    """The one beside it is read."""
    provider = await answering(serve, saying({"transactions": [given, row()], "continuation_key": None}))
    bad, good = await rows_of(provider)
    await provider.aclose()
    assert not isinstance(bad, Transaction)
    assert isinstance(good, Transaction)


async def test_balances_have_berlin_group_s_names(serve: Serve) -> None:
    """Whatever ISO 20022 calls them; a type that we don't know keeps its code."""
    money = {"amount": "7.00", "currency": "EUR"}
    body = {"balances": [{"balance_type": kind, "balance_amount": money} for kind in ("CLBD", "itav", "VALU")]}
    provider = await answering(serve, saying(body))
    balances = await provider.balances(connection(), ACCOUNT, None)
    await provider.aclose()
    assert [each.balance_type for each in balances if isinstance(each, Balance)] == [
        "closingBooked",
        "interimAvailable",
        "VALU",
    ]


# Errors ------------------------------------------------------------------------------------------------------------


EXPECTED: dict[str, tuple[type[JobError], dict[str, Any]]] = {
    "EXPIRED_SESSION": (ReauthRequired, {"reason": "expired", "suspicious": False}),
    "CLOSED_SESSION": (ReauthRequired, {"reason": "revoked", "suspicious": False}),
    "REVOKED_SESSION": (ReauthRequired, {"reason": "revoked", "suspicious": False}),
    "SESSION_DOES_NOT_EXIST": (ReauthRequired, {"reason": "revoked", "suspicious": False}),
    "WRONG_SESSION_STATUS": (ReauthRequired, {"suspicious": True}),
    "ASPSP_PSU_ACTION_REQUIRED": (ReauthRequired, {"reason": "action", "suspicious": False}),
    "WRONG_CREDENTIALS_PROVIDED": (ReauthRequired, {"reason": "action"}),
    "AUTHORIZATION_NOT_PROVIDED": (ReauthRequired, {"reason": "authorisation"}),
    "ALREADY_AUTHORIZED": (ReauthRequired, {"reason": "authorisation"}),
    "EXPIRED_AUTHORIZATION_CODE": (ReauthRequired, {"reason": "authorisation"}),
    "WRONG_AUTHORIZATION_CODE": (ReauthRequired, {"reason": "authorisation"}),
    "NO_ACCOUNTS_ADDED": (ReauthRequired, {"reason": "no-accounts"}),
    "ASPSP_ERROR": (Transient, {}),
    "ASPSP_TIMEOUT": (Transient, {}),
    "WRONG_CONTINUATION_KEY": (Transient, {}),
    "WRONG_TRANSACTIONS_PERIOD": (PeriodRejected, {}),
    "WRONG_DATE_INTERVAL": (PeriodRejected, {}),
    "DATE_FROM_IN_FUTURE": (PeriodRejected, {}),
    "DATE_TO_WITHOUT_DATE_FROM": (PeriodRejected, {}),
    "ACCOUNT_DOES_NOT_EXIST": (AccountUnavailable, {}),
    "ASPSP_ACCOUNT_NOT_ACCESSIBLE": (AccountUnavailable, {}),
    "INVALID_ACCOUNT_ID": (AccountUnavailable, {}),
    "UNAUTHORIZED_ACCESS": (CredentialError, {}),
    "ACCESS_DENIED": (CredentialError, {}),
    "UNAUTHORIZED_IP": (CredentialError, {}),
    "INVALID_HOST": (CredentialError, {}),
    "REDIRECT_URI_NOT_ALLOWED": (CredentialError, {}),
    "WRONG_ASPSP_PROVIDED": (Unsupported, {}),
    "PSU_HEADER_INVALID": (Unsupported, {}),
    "PSU_HEADER_NOT_PROVIDED": (UnattendedRefused, {}),
    "ASPSP_RATE_LIMIT_EXCEEDED": (RateLimited, {"retry_after": timedelta(hours=6)}),
    "WRONG_REQUEST_PARAMETERS": (BankRejected, {"status": 400}),
    "TRANSACTION_DOES_NOT_EXIST": (BankRejected, {"status": 400}),
    "SOMETHING_NEW": (BankRejected, {"status": 400}),
}


def test_every_code_has_its_test() -> None:
    """A new line of the table needs a line of this one."""
    assert set(CODES) <= set(EXPECTED)


@pytest.mark.parametrize("code", EXPECTED)
async def test_a_code_is_the_error_it_means(provider: Any, url: str, code: str) -> None:
    """Their words for it, under whatever status: `ASPSP_ERROR` comes as 400 too."""
    error, facts = EXPECTED[code]
    [account, *_] = await provider.accounts(connection(), None)
    await misbehave(url, Kind.ERROR, endpoint="transactions", status=400, code=code)
    with pytest.raises(error) as told:
        await rows_of(provider, account)
    assert {name: getattr(told.value, name) for name in facts} == facts
    assert told.value.scope == "transactions"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, None, CredentialError), (403, {"message": "Application is not active"}, CredentialError),
        (500, None, Transient), (502, "<html>", Transient), (408, {}, Transient), (429, {}, RateLimited),
        (404, {"error": None}, AccountUnavailable), (422, {"error": 7}, BankRejected), (302, None, BankRejected),
    ],
    ids=str,
)  # fmt: skip
async def test_an_error_without_a_code(serve: Serve, status: int, body: Any, error: type[JobError]) -> None:
    """The status decides; a bare 401 is about our application, and marks no person."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, text=json.dumps(body), content_type="application/json")

    provider = await answering(serve, handler)
    with pytest.raises(error):
        await rows_of(provider)
    await provider.aclose()


async def test_a_limit_with_a_time_is_believed(provider: Any, url: str) -> None:
    """A `Retry-After` goes before the six hours that a bank's limit is else taken for."""
    [account, *_] = await provider.accounts(connection(), None)
    await misbehave(url, Kind.RATE_LIMIT, endpoint="transactions", retry_after=30)
    with pytest.raises(RateLimited) as told:
        await rows_of(provider, account)
    assert told.value.retry_after == timedelta(seconds=30)


async def test_headers_that_a_bank_wants_although_the_person_is_there(serve: Serve) -> None:
    """Then it is the provider that can't give them, and the bank doesn't refuse unattended reads."""
    provider = await answering(serve, saying({"error": "PSU_HEADER_NOT_PROVIDED"}, 422))
    with pytest.raises(Unsupported):
        [_ async for _ in provider.transactions(connection(), ACCOUNT, WINDOW, cursor=None, psu=PERSON)]
    await provider.aclose()


# Banks -------------------------------------------------------------------------------------------------------------


async def test_the_banks_of_a_country(provider: Any) -> None:
    """With how long a consent lasts, which headers the bank wants and how a person authorises."""
    [bank] = await provider.banks("FI")
    assert (bank.name, bank.country, bank.longest_consent) == ("Sandbox Bank", "FI", timedelta(days=180))
    assert bank.required_headers == ("Psu-Ip-Address", "Psu-User-Agent")
    assert bank.methods == ("redirect",)


async def test_a_line_without_a_name_is_no_bank(serve: Serve) -> None:
    """And a wrong field costs only itself."""
    body = {"aspsps": [None, {}, {"name": "A", "country": "de", "maximum_consent_validity": "x", "auth_methods": 7}]}
    provider = await answering(serve, saying(body))
    [bank] = await provider.banks()
    await provider.aclose()
    assert (bank.name, bank.country, bank.longest_consent, bank.methods) == ("A", "DE", None, ())


async def test_pages_are_pages(provider: Any) -> None:
    """A cursor is a key, and the last page has none."""
    [account, *_] = await provider.accounts(connection(), None)
    pages = [page async for page in provider.transactions(connection(), account, WINDOW, cursor=None, psu=None)]
    assert all(isinstance(page, Page) for page in pages)
    assert [page.cursor is None for page in pages] == [False] * (len(pages) - 1) + [True]
