"""The Berlin Group provider against the sandbox, against its OpenAPI file, and against banks that mean no good."""

import dataclasses
import gzip
import json
import re
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import jsonschema
import pytest
from aiohttp import web
from yarl import URL

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
    Unsupported,
)
from bankimport.models import (
    Balance,
    BankAccount,
    ConsentStatus,
    Delta,
    Page,
    PsuContext,
    Scope,
    Transaction,
    TransactionStatus,
    UnreadableBalance,
    Window,
)
from bankimport.providers import BerlinGroup, Limits, providers_from_settings
from bankimport.providers.http import BoundedClient
from bankimport.reading import Quarantined, read_transaction
from bankimport.sandbox import BankClock, Kind, create_app
from bankimport.sandbox.writing import ROWS
from bankimport.testing.contracts import BankUnderTest
from tests.contracts.conftest import Serve
from tests.contracts.sandboxed import NOW, connection, misbehave, requests_of, under_test

PERSON = PsuContext("203.0.113.7", "Mozilla/5.0")


@pytest.fixture
async def url(serve: Serve) -> str:
    """The sandbox, its clock fixed."""
    return await serve(create_app(clock=BankClock(NOW), page_size=40))


@pytest.fixture
async def provider(url: str) -> AsyncIterator[BerlinGroup]:
    """A provider of the sandbox."""
    provider = BerlinGroup(url)
    yield provider
    await provider.aclose()


@pytest.fixture
def bank(url: str, provider: BerlinGroup) -> BankUnderTest:
    """The sandbox as the contract takes it."""
    return under_test(url, provider)


ERRORS: list[tuple[Kind, type[JobError], dict[str, Any]]] = [
    (Kind.RATE_LIMIT, RateLimited, {}),
    (Kind.UNAVAILABLE, Transient, {}),
    (Kind.BAD_GATEWAY, Transient, {}),
    (Kind.GATEWAY_TIMEOUT, Transient, {}),
    (Kind.CUT, Transient, {}),
    (Kind.HALF_JSON, MalformedData, {}),
    (Kind.NO_JSON, MalformedData, {}),
    (Kind.CONSENT_EXPIRED, ReauthRequired, {"reason": "expired", "suspicious": False}),
    (Kind.CONSENT_INVALID, ReauthRequired, {"reason": "invalid", "suspicious": True}),
    (Kind.CONSENT_UNKNOWN, ReauthRequired, {"reason": "revoked", "suspicious": False}),
    (Kind.TOKEN_INVALID, ReauthRequired, {"suspicious": True}),
    (Kind.TOKEN_EXPIRED, ReauthRequired, {"suspicious": True}),
    (Kind.CERTIFICATE_INVALID, CredentialError, {}),
    (Kind.BARE_401, ReauthRequired, {"suspicious": True}),
    (Kind.SERVICE_BLOCKED, ReauthRequired, {"reason": "blocked"}),
    (Kind.ACCOUNT_GONE, AccountUnavailable, {}),
    (Kind.PERIOD_INVALID, PeriodRejected, {}),
    (Kind.FORMAT_ERROR, BankRejected, {"status": 400}),
]


@pytest.mark.parametrize(("kind", "error", "facts"), ERRORS, ids=lambda value: getattr(value, "value", None))
async def test_each_misbehaviour_is_the_error_it_means(
    bank: BankUnderTest, url: str, kind: Kind, error: type[JobError], facts: dict[str, Any]
) -> None:
    """The table of message codes, seen through a real connection; the scope says what was being read."""
    await misbehave(url, kind, endpoint="transactions")
    with pytest.raises(error) as told:
        await bank.read(Window(NOW.date()))
    assert told.value.scope is Scope.TRANSACTIONS
    assert {name: getattr(told.value, name) for name in facts} == facts


#: what the options have to say for a bank that writes so
WRITING: dict[Kind, dict[str, Any]] = {
    **{kind: {} for kind in ROWS},
    Kind.NEXT_ON_TOP: {},
    Kind.NEXT_AS_TEXT: {},
    Kind.UNREADABLE_ROW: {},
    Kind.SHARED_IDS: {"ignore_ids": True},
    Kind.IDS_ELSEWHERE: {"id_fields": ["proprietaryBankTransactionCode"]},
    Kind.SHOWN_TWICE: {"skip_ids": ["P"]},
    Kind.INVERTED: {"invert_amounts": True},
    Kind.INVERTED_PENDING: {"invert_amounts": {"statuses": ["pending"]}},
    Kind.BILLED_IN_TEXT: {"billed_amount_after": "billingAmount:"},
}


def test_every_misbehaviour_has_its_test() -> None:
    """A new kind of trouble needs a row in one of the tables."""
    others = {Kind.SLOW, Kind.ERROR, Kind.QUOTA, Kind.EMPTY_PAGES, Kind.SAME_PAGE, Kind.REFERENCES}
    others |= {Kind.ROTATE_IDS, Kind.NO_IDS, Kind.UNREADABLE_BALANCE}
    assert {kind for kind, _, _ in ERRORS} | set(WRITING) | others == set(Kind)


def _read(pages: list[Page | Delta]) -> list[tuple[Any, ...]]:
    entries = [
        read_transaction(row, "EUR", NOW.date())
        for page in pages
        if isinstance(page, Page)
        for row in page.transactions
    ]
    return sorted(
        (e.status, e.day, e.amount, e.currency, e.counterparty_name, e.counterparty_iban)
        for e in entries
        if isinstance(e, Transaction)
    )


async def answer_of(url: str, bank: BankUnderTest) -> str:
    """Return the bank's first page, as it is sent."""
    headers = {"Consent-ID": "consent-1", "X-Request-ID": "99391c7e-ad88-49ec-a2ad-99ddcb1f7721"}
    target = f"{url}/v1/accounts/{(await bank.account()).provider_id}/transactions?dateFrom=2026-05-01"
    async with aiohttp.ClientSession() as session, session.get(target, headers=headers) as answer:
        return await answer.text()


@pytest.mark.parametrize("kind", WRITING, ids=lambda kind: kind.value)
async def test_however_a_bank_writes_it_is_the_same(bank: BankUnderTest, url: str, kind: Kind) -> None:
    """Every habit of writing that the sandbox has, with the option for it where one is needed, says the same rows."""
    window = Window(NOW.date() - timedelta(days=80))
    plain, before = await bank.read(window), await answer_of(url, bank)
    await misbehave(url, kind)
    assert await answer_of(url, bank) != before
    provider = BerlinGroup(url, **WRITING[kind])
    odd = await dataclasses.replace(bank, provider=provider).read(window)
    await provider.aclose()
    expected = _read(plain)
    if kind is Kind.UNDATED_PENDING:  # of the day it was read, then
        expected = sorted(
            (s, NOW.date() if s is TransactionStatus.PENDING else day, *rest) for s, day, *rest in expected
        )
    assert _read(odd) == expected
    texts = [row.remittance for page in odd if isinstance(page, Page) for row in page.transactions]
    assert all(texts) or kind is Kind.UNREADABLE_ROW


async def test_an_unreadable_balance_comes_with_its_reason(bank: BankUnderTest, url: str) -> None:
    """The others are read."""
    [account, *_] = await bank.provider.accounts(bank.connection, None)
    plain = await bank.provider.balances(bank.connection, account, None)
    await misbehave(url, Kind.UNREADABLE_BALANCE)
    odd = await bank.provider.balances(bank.connection, account, None)
    assert odd[0] == UnreadableBalance("amount-missing")
    assert [each.amount for each in odd if isinstance(each, Balance)] == [
        e.amount for e in plain if isinstance(e, Balance)
    ]


CODES: list[tuple[int, str, type[JobError], dict[str, Any]]] = [
    *((401, code, CredentialError, {}) for code in ("CERTIFICATE_INVALID", "CERTIFICATE_EXPIRED", "CERTIFICATE_BLOCKED",
      "CERTIFICATE_REVOKE", "CERTIFICATE_MISSING", "SIGNATURE_INVALID", "SIGNATURE_MISSING", "ROLE_INVALID")),
    (401, "CONSENT_EXPIRED", ReauthRequired, {"reason": "expired", "suspicious": False}),
    (403, "CONSENT_EXPIRED", ReauthRequired, {"reason": "expired", "suspicious": False}),
    (401, "CONSENT_INVALID", ReauthRequired, {"suspicious": True}),
    (400, "CONSENT_UNKNOWN", ReauthRequired, {"reason": "revoked", "suspicious": False}),
    (403, "CONSENT_UNKNOWN", ReauthRequired, {"reason": "revoked", "suspicious": False}),
    *((401, code, ReauthRequired, {"suspicious": True}) for code in ("TOKEN_INVALID", "TOKEN_EXPIRED", "TOKEN_UNKNOWN")),
    (401, "PSU_CREDENTIALS_INVALID", ReauthRequired, {"reason": "action"}),
    (403, "SERVICE_BLOCKED", ReauthRequired, {"reason": "blocked"}),
    (400, "PERIOD_INVALID", PeriodRejected, {}),
    (400, "FORMAT_ERROR", BankRejected, {"status": 400}),
    *((403, code, AccountUnavailable, {}) for code in ("RESOURCE_UNKNOWN", "RESOURCE_EXPIRED", "RESOURCE_BLOCKED")),
    (404, "RESOURCE_UNKNOWN", AccountUnavailable, {}),
    (429, "ACCESS_EXCEEDED", RateLimited, {}),
    (400, "ACCESS_EXCEEDED", RateLimited, {}),
    (503, "SERVICE_UNAVAILABLE", Transient, {}),
    (500, "INTERNAL_SERVER_ERROR", Transient, {}),
    (408, "WHATEVER", Transient, {}),
    (405, "SERVICE_INVALID", BankRejected, {"status": 405}),
    (409, "STATUS_INVALID", BankRejected, {"status": 409}),
    (422, "SOMETHING_NEW", BankRejected, {"status": 422}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "code", "error", "facts"), CODES, ids=lambda value: value if isinstance(value, str) else None
)
async def test_a_message_code_is_the_error_it_means(
    bank: BankUnderTest, url: str, status: int, code: str, error: type[JobError], facts: dict[str, Any]
) -> None:
    """Every code of the standard that can come to a read, under the statuses that banks send it with."""
    await misbehave(url, Kind.ERROR, endpoint="transactions", status=status, code=code)
    with pytest.raises(error) as told:
        await bank.read(Window(NOW.date()))
    assert {name: getattr(told.value, name) for name in facts} == facts
    assert type(told.value) is error


async def test_a_retry_after_is_understood(bank: BankUnderTest, url: str) -> None:
    """Seconds become a wait and an instant."""
    await misbehave(url, Kind.RATE_LIMIT, retry_after=120)
    with pytest.raises(RateLimited) as told:
        await bank.provider.accounts(bank.connection, None)
    assert told.value.retry_after == timedelta(seconds=120)
    assert told.value.retry_at is not None


async def test_what_is_left_of_a_quota_comes_with_the_page(serve: Serve) -> None:
    """Headers of a good answer tell it, whatever their case."""

    async def handler(request: web.Request) -> web.Response:
        headers = {"X-RATELIMIT-Remaining": "0", "X-RATELIMIT-Reset": "3600"}
        return web.json_response({"transactions": {"booked": []}}, headers=headers)

    provider = await answering(serve, handler)
    account, window = BankAccount("r", "k", "EUR"), Window(NOW.date())
    [page] = [page async for page in provider.transactions(connection(), account, window, cursor=None, psu=None)]
    await provider.aclose()
    assert page.quota is not None
    assert page.quota.remaining == 0
    assert timedelta(minutes=59) < page.quota.resets_at - datetime.now(UTC) <= timedelta(hours=1)


async def test_all_that_names_an_account_is_handed_over(serve: Serve) -> None:
    """Each reference under its kind; the product's name where the account has none of its own."""
    named = {"iban": "DE02120300000000202051", "bban": "0532013000", "maskedPan": "5409**1234", "msisdn": "+49170"}
    listed = {**named, "resourceId": "r", "currency": "EUR", "cashAccountType": "CARD", "product": "Gold"}

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"accounts": [{**listed, "pan": 5409123412341234}]})

    provider = await answering(serve, handler)
    [account] = await provider.accounts(connection(), None)
    await provider.aclose()
    assert {one.kind: one.value for one in account.references} == {**named, "pan": "5409123412341234"}
    assert (account.name, account.kind, account.stable_key) == ("Gold", "CARD", "")
    assert "5409" not in repr(account)


async def test_a_slow_bank_is_given_up(url: str) -> None:
    """After the limit of time the read is transient."""
    await misbehave(url, Kind.SLOW, seconds=30)
    provider = BerlinGroup(url, limits=Limits(request=timedelta(milliseconds=200)))
    with pytest.raises(Transient, match=r"within 0.2 s"):
        await provider.accounts(connection(), None)
    await provider.aclose()


@pytest.mark.parametrize(
    ("kind", "status"),
    [(Kind.CONSENT_EXPIRED, ConsentStatus.EXPIRED), (Kind.CONSENT_INVALID, ConsentStatus.REVOKED)],
)
async def test_an_ended_consent_says_how(bank: BankUnderTest, url: str, kind: Kind, status: ConsentStatus) -> None:
    """The consent itself can still be read, and tells."""
    await misbehave(url, kind, endpoint="accounts")
    assert (await bank.provider.consent(bank.connection, None)).status is status


async def test_the_person_is_passed_on_only_if_there_is_one(bank: BankUnderTest, url: str) -> None:
    """`PSU-IP-Address` if and only if the person asks just now (Berlin Group, 1.3 §4.8)."""
    await bank.provider.accounts(bank.connection, None)
    await bank.provider.accounts(bank.connection, PERSON)
    unattended, attended = [request["headers"] for request in await requests_of(url)]
    assert "PSU-IP-Address" not in unattended
    assert (attended["PSU-IP-Address"], attended["PSU-User-Agent"]) == (PERSON.ip, PERSON.user_agent)
    assert attended["X-Request-ID"] != unattended["X-Request-ID"]


async def test_a_line_break_in_a_header_is_never_sent(bank: BankUnderTest, url: str) -> None:
    """A browser's name loses it; a consent or token with one is refused for good, and not quoted."""
    await bank.provider.accounts(bank.connection, PsuContext(PERSON.ip, "Fire\r\nX-Evil: 1"))
    assert (await requests_of(url))[-1]["headers"]["PSU-User-Agent"] == "FireX-Evil: 1"
    for wrong in (
        connection("secret\r\nX-Evil: 1"),
        dataclasses.replace(connection(), credentials={"access_token": "secret\n"}),
    ):
        with pytest.raises(Unsupported) as told:
            await bank.provider.accounts(wrong, None)
        assert "secret" not in str(told.value)


async def test_a_failing_second_page_fails_the_read(bank: BankUnderTest, url: str) -> None:
    """What came before is handed on, then the error: the window was not read completely."""
    await misbehave(url, Kind.UNAVAILABLE, endpoint="transactions", page=2)
    [account, *_] = await bank.provider.accounts(bank.connection, None)
    window = Window(NOW.date() - timedelta(days=80))
    pages = bank.provider.transactions(bank.connection, account, window, cursor=None, psu=None)
    first = await anext(aiter(pages))
    assert first.transactions
    with pytest.raises(Transient):
        await anext(aiter(pages))


# The OpenAPI file -----------------------------------------------------------------------------------------------


ANSWERS = {
    "/v1/consents/consent-1": "consentInformationResponse-200_json",
    "/v1/consents/consent-1/status": "consentStatusResponse-200",
    "/v1/accounts": "accountList",
    "/v1/accounts/{account}/balances": "readAccountBalanceResponse-200",
    "/v1/accounts/{account}/transactions": "transactionsResponse-200_json",
    "/v1/card-accounts": "cardAccountList",
    "/v1/card-accounts/{account}/balances": "readCardAccountBalanceResponse-200",
    "/v1/card-accounts/{account}/transactions": "cardAccountsTransactionsResponse200",
}


@pytest.mark.parametrize("path", ANSWERS)
async def test_the_sandbox_answers_by_the_book(spec: dict[str, Any], bank: BankUnderTest, url: str, path: str) -> None:
    """Each answer that the provider accepts from the sandbox is one that the OpenAPI file allows."""
    [account, *_] = await bank.provider.accounts(bank.connection, None)
    headers = {"Consent-ID": "consent-1", "X-Request-ID": "99391c7e-ad88-49ec-a2ad-99ddcb1f7721"}
    target = url + path.format(account=account.provider_id) + "?dateFrom=2026-05-01&bookingStatus=both"
    async with aiohttp.ClientSession() as session, session.get(target, headers=headers) as answer:
        body = await answer.json()
    schema = {"$ref": f"#/components/schemas/{ANSWERS[path]}", "components": spec["components"]}
    jsonschema.Draft202012Validator(schema).validate(body)


async def test_the_provider_asks_by_the_book(spec: dict[str, Any], serve: Serve) -> None:
    """Path, query and headers of every request are declared in the OpenAPI file, the required ones are there, and
    each value fits its schema."""
    asked: list[web.Request] = []

    @web.middleware
    async def record(request: web.Request, handler: Any) -> web.StreamResponse:
        asked.append(request)
        response: web.StreamResponse = await handler(request)
        return response

    app = create_app(clock=BankClock(NOW), page_size=1000)
    app.middlewares.insert(0, record)
    provider = BerlinGroup(await serve(app))
    [account, *_] = await provider.accounts(connection(), PERSON)
    await provider.consent(connection(), PERSON)
    await provider.balances(connection(), account, PERSON)
    window = Window(NOW.date() - timedelta(days=30), NOW.date())
    [_ async for _ in provider.transactions(connection(), account, window, cursor=None, psu=PERSON)]
    await provider.aclose()
    assert len(asked) == 4
    for request in asked:
        _check_request(spec, request)


def _check_request(spec: dict[str, Any], request: web.Request) -> None:
    path = request.path.removeprefix("/v1")  # the servers' own prefix
    operation = next(
        item["get"]
        for known, item in spec["paths"].items()
        if known.startswith(("/accounts", "/consents"))
        and "get" in item
        and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", known), path)
    )
    parameters = [_resolved(spec, parameter) for parameter in operation["parameters"]]
    sent = {"query": dict(request.query), "header": {name.lower(): value for name, value in request.headers.items()}}
    declared = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
    assert set(request.query) <= declared
    for parameter in parameters:
        values = sent.get(parameter["in"], {})
        name = parameter["name"].lower() if parameter["in"] == "header" else parameter["name"]
        if parameter.get("required") and parameter["in"] != "path":
            assert name in values, name
        if name in values:
            schema = {**parameter["schema"], "components": spec["components"]}
            jsonschema.Draft202012Validator(schema).validate(_typed(parameter["schema"], values[name]))


def _resolved(spec: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for part in node.get("$ref", "").split("/")[1:]:
        node = spec if part == "components" else node
        node = node[part]
    return node


def _typed(schema: dict[str, Any], text: str) -> object:
    return json.loads(text) if schema.get("type") in ("boolean", "integer", "number") else text


# Banks that mean no good ------------------------------------------------------------------------------------------


async def answering(serve: Serve, handler: Any, **limits: Any) -> BerlinGroup:
    """Return a provider of a bank that answers everything with `handler`."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    return BerlinGroup(await serve(app), limits=Limits(**limits))


ACCOUNT = BankAccount("r", "k", "EUR")


async def read_all(provider: BerlinGroup) -> None:
    """Read a window of an account, and close the provider."""
    try:
        window = Window(NOW.date())
        async for _ in provider.transactions(connection(), ACCOUNT, window, cursor=None, psu=None):
            pass
    finally:
        await provider.aclose()


async def test_a_huge_body_is_cut_off(serve: Serve) -> None:
    """More bytes than the limit are not read."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"accounts": ["x" * 200_000]})

    provider = await answering(serve, handler, body=100_000)
    with pytest.raises(MalformedData, match="more than 100000 bytes"):
        await provider.accounts(connection(), None)
    await provider.aclose()


async def test_a_compressed_bomb_is_cut_off(serve: Serve) -> None:
    """The limit is of what comes out, and is met while unpacking: 200 MB in 200 KB never exist here."""

    async def handler(request: web.Request) -> web.Response:
        bomb = gzip.compress(b'{"accounts": [' + b" " * 200_000_000)
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    provider = await answering(serve, handler)
    with pytest.raises(MalformedData, match="more than"):
        await provider.accounts(connection(), None)
    await provider.aclose()


@pytest.mark.parametrize("depth", [50, 200_000])
async def test_deep_json_is_refused(serve: Serve, depth: int) -> None:
    """Nesting beyond the limit, and beyond what any parser bears."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"[" * depth + b"]" * depth, content_type="application/json")

    provider = await answering(serve, handler)
    with pytest.raises(MalformedData):
        await provider.accounts(connection(), None)
    await provider.aclose()


@pytest.mark.parametrize(
    "href", ["https://evil.example/v1/x", "http://127.0.0.1:1/v1/x", "//evil.example/x", "http://[bad"], ids=str
)
async def test_a_link_to_another_host_is_never_followed(serve: Serve, href: str) -> None:
    """A page's link must stay with scheme, host and port of the bank."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"transactions": {"booked": [], "_links": {"next": {"href": href}}}})

    with pytest.raises(MalformedData, match="link"):
        await read_all(await answering(serve, handler))


@pytest.mark.parametrize(
    "href", ["mailto:x@bank.example", "javascript:alert(1)", "data:,x", "http://x:99999/"], ids=str
)
async def test_a_link_that_leads_nowhere_is_malformed(serve: Serve, href: str) -> None:
    """A link that is no address of a page ends the read as any other wrong answer does."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"transactions": {"booked": [], "_links": {"next": {"href": href}}}})

    with pytest.raises(MalformedData, match="link"):
        await read_all(await answering(serve, handler))


def test_a_link_may_write_out_the_port_of_its_scheme() -> None:
    """`https://bank:443/` is the same place as `https://bank/`; a name and password in a link are not used."""
    client = BoundedClient("https://bank.example/psd2", Limits())
    page = URL("https://bank.example/psd2/v1/accounts/1/transactions")
    assert str(client.resolve("https://me:secret@bank.example:443/v1/x?p=2#z", page)) == "https://bank.example/v1/x?p=2"
    with pytest.raises(MalformedData):
        client.resolve("https://bank.example:8443/v1/x", page)


async def test_pages_in_a_circle_end(serve: Serve) -> None:
    """A link that was followed before is the end of it."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"transactions": {"booked": [], "_links": {"next": {"href": "/v1/again"}}}})

    with pytest.raises(MalformedData, match="no end"):
        await read_all(await answering(serve, handler))


async def test_endless_pages_end(serve: Serve) -> None:
    """More pages than the limit are not read."""

    async def handler(request: web.Request) -> web.Response:
        number = int(request.query.get("n", "0")) + 1
        return web.json_response({"transactions": {"booked": [], "_links": {"next": {"href": f"?n={number}"}}}})

    with pytest.raises(MalformedData, match="no end"):
        await read_all(await answering(serve, handler, pages=20))


async def test_a_redirect_is_not_followed(serve: Serve) -> None:
    """A redirect is an answer like any other that is none."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "https://evil.example/"})

    provider = await answering(serve, handler)
    with pytest.raises(BankRejected, match="302"):
        await provider.accounts(connection(), None)
    await provider.aclose()


@pytest.mark.parametrize(
    "body", [[], {}, {"accounts": {}}, {"accounts": [1]}, {"accounts": [{"iban": "x"}]}, "text", None, 7], ids=str
)
async def test_a_wrong_shape_is_malformed(serve: Serve, body: Any) -> None:
    """Whatever JSON a bank sends, it is read or refused, never an unexpected error."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response(body)

    provider = await answering(serve, handler)
    with pytest.raises(MalformedData):
        await provider.accounts(connection(), None)
    await provider.aclose()


@pytest.mark.parametrize(
    "wrong", ["null", "7", '"x"', "[]", '{"transactionAmount": {"amount": 1e9999999999999999999}}']
)
async def test_a_row_of_a_wrong_shape_costs_no_other(serve: Serve, wrong: str) -> None:
    """A row that is none, or whose number no computer holds, is handed on to be quarantined; a list may be null."""
    good = '{"transactionAmount": {"amount": "1.50", "currency": "EUR"}, "bookingDate": "2026-06-17"}'
    constants = '{"transactionAmount": {"amount": NaN}}, {"transactionAmount": {"amount": -Infinity}}'

    async def handler(request: web.Request) -> web.Response:
        body = f'{{"transactions": {{"booked": [{wrong}, {constants}, {good}], "pending": null}}}}'
        return web.Response(text=body, content_type="application/json")

    provider = await answering(serve, handler)
    [page] = [
        page async for page in provider.transactions(connection(), ACCOUNT, Window(NOW.date()), cursor=None, psu=None)
    ]
    await provider.aclose()
    entries = [read_transaction(row, "EUR") for row in page.transactions]
    assert [isinstance(entry, Quarantined) for entry in entries] == [True, True, True, False]


async def test_an_id_may_be_a_number(serve: Serve) -> None:
    """A bank that sends its ids as JSON numbers means the same by them."""

    async def handler(request: web.Request) -> web.Response:
        row = {"transactionId": 4711, "transactionAmount": {"amount": 1.5, "currency": "EUR"}}
        return web.json_response({"accounts": [{"resourceId": 12}], "transactions": {"booked": [row]}})

    provider = await answering(serve, handler)
    [account] = await provider.accounts(connection(), None)
    rows = [
        row
        async for page in provider.transactions(connection(), account, Window(NOW.date()), cursor=None, psu=None)
        for row in page.transactions
    ]
    await provider.aclose()
    assert (account.provider_id, [bank_id.value for bank_id in rows[0].ids]) == ("12", ["4711"])


async def test_half_a_character_in_an_account_is_no_part_of_it(serve: Serve) -> None:
    """JSON can spell characters that no file or header can hold; they cost neither the account nor the others."""

    async def handler(request: web.Request) -> web.Response:
        text = '{"accounts": [{"resourceId": "r", "iban": "DE1\\ud800", "name": "A\\u0000B", "currency": "EUR"}]}'
        return web.Response(text=text, content_type="application/json")

    provider = await answering(serve, handler)
    [account] = await provider.accounts(connection(), None)
    await provider.aclose()
    assert (account.iban, account.name, account.provider_id) == ("DE1", "AB", "r")


@pytest.mark.parametrize(
    "body",
    [
        {"type": "about:blank", "code": "PERIOD_INVALID"},
        {"type": "about:blank", "code": "FORMAT_ERROR", "additionalErrors": [{"code": "PERIOD_INVALID"}]},
        {"tppMessages": {"category": "ERROR", "code": "PERIOD_INVALID"}},
        {"tppMessages": [None, {"code": 7}, {"code": "PERIOD_INVALID"}]},
    ],
    ids=str,
)
async def test_an_error_as_problem_details_means_the_same(serve: Serve, body: Any) -> None:
    """The OpenAPI file lets a bank send problem details (RFC 7807) with the same codes instead of `tppMessages`."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response(body, status=400)

    with pytest.raises(PeriodRejected):
        await read_all(await answering(serve, handler))


async def test_an_id_of_the_bank_stays_one_segment(serve: Serve) -> None:
    """A resource id with slashes or dots leads nowhere else."""
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.rel_url.raw_path)
        return web.json_response({"balances": []})

    provider = await answering(serve, handler)
    await provider.balances(connection(), BankAccount("../../x/y?z#", "k"), None)
    await provider.aclose()
    assert paths == ["/v1/accounts/..%2F..%2Fx%2Fy%3Fz%23/balances"]


async def test_nobody_there_is_transient() -> None:
    """A bank that can't be reached may be back soon; the error names no address."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # ours, and nobody listens there
        provider = BerlinGroup(f"http://127.0.0.1:{held.getsockname()[1]}")
        with pytest.raises(Transient) as told:
            await provider.accounts(connection(), None)
        await provider.aclose()
    assert "127.0.0.1" not in str(told.value)


# Settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"base_url": "https://bank.example"}, "type must be one of berlin-group"),
        ({"type": "nonsense"}, "type must be one of berlin-group"),
        ({"type": "berlin-group"}, "base_url"),
        ({"type": "berlin-group", "base_url": "ftp://bank.example"}, "base_url: https://"),
        ({"type": "berlin-group", "base_url": "https://bank.example", "colour": 1}, "colour is none of"),
        ({"type": "berlin-group", "base_url": "https://bank.example", "client_cert": "/no/file"}, "client_cert"),
        ({"type": "berlin-group", "base_url": "https://bank.example", "max_history_days": "x"}, "max_history_days"),
    ],
)
def test_a_wrong_bank_is_named_with_its_field(options: dict[str, Any], named: str) -> None:
    """Start-up stops with the bank, the field, and what is allowed."""
    with pytest.raises(InvalidSettings, match=re.escape("BANK_SYNC_BANKS: gateway: ")) as told:
        providers_from_settings({"gateway": options})
    assert named in str(told.value)


def test_banks_by_environment() -> None:
    """The design's own example makes a provider of its name."""
    options = {"type": "berlin-group", "base_url": "https://gw.example", "unattended_limit": 4, "max_history_days": 60}
    providers = providers_from_settings({"my-gateway": options})
    assert providers["my-gateway"].name == "my-gateway"
