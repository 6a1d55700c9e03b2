"""Every row of the published and recorded samples is read: `samples/`, each with its source."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bankimport.errors import CredentialError, InvalidRequest, MalformedData, Unsupported
from bankimport.models import (
    Balance,
    BankAccount,
    BankConnection,
    Callback,
    ConsentRequest,
    ConsentStatus,
    PsuContext,
    Transaction,
    Window,
)
from bankimport.providers import BerlinGroup, EnableBanking, GoCardless
from bankimport.reading import Quarantined, read_transaction
from tests.contracts.conftest import Serve
from tests.contracts.sandboxed import ALL

SAMPLES = Path(__file__).parent / "samples"
ACCOUNT = BankAccount("3dc3d5b3", "k", "EUR")
CONNECTION = BankConnection("c", "acme", "bank", consent_id="1234-wertiq-983")
LONG_AGO = Window(date(2017, 1, 1))


def samples(name: str) -> Any:
    """Return the samples of an API."""
    return json.loads((SAMPLES / f"{name}.json").read_text())


BERLIN_GROUP = samples("berlin_group")


async def berlin_group(serve: Serve, name: str, **options: Any) -> BerlinGroup:
    """Return a provider of a bank that answers everything with a sample; one of cards has no other accounts."""

    async def handler(request: web.Request) -> web.Response:
        status = 201 if request.method == "POST" else 200
        body = BERLIN_GROUP[name]
        if request.path == "/v1/accounts" and "accounts" not in body:
            body = {"accounts": []}
        return web.Response(text=json.dumps(body), status=status, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    return BerlinGroup(await serve(app), **options)


async def rows_of(provider: Any, account: BankAccount = ACCOUNT) -> list[Transaction | Quarantined]:
    """Read a long window of an account, as the import does."""
    pages = provider.transactions(CONNECTION, account, LONG_AGO, cursor=None, psu=None)
    today = datetime.now(UTC).date()
    return [read_transaction(row, account.currency, today) async for page in pages for row in page.transactions]


@pytest.mark.parametrize(
    "name", ["transactionsExample1_RegularAccount_json", "transactionsExample3_MulticurrencyAccount_json"]
)
async def test_transactions_of_berlin_group(serve: Serve, name: str) -> None:
    """Each row, with its money, its day, and the other party's name."""
    told = BERLIN_GROUP[name]["transactions"]
    wanted = [*told["booked"], *told["pending"]]
    provider = await berlin_group(serve, name)
    rows = await rows_of(provider)
    await provider.aclose()
    assert len(rows) == len(wanted)
    for row, sample in zip(rows, wanted, strict=True):
        assert isinstance(row, Transaction), row
        amount = sample["transactionAmount"]
        assert (abs(row.amount), row.currency) == (abs(type(row.amount)(amount["amount"])), amount["currency"])
        assert row.day.isoformat() == sample.get("bookingDate", sample["valueDate"])
        payee = "creditorName" if row.amount < 0 else "debtorName"  # a credit's creditor is the customer
        assert row.counterparty_name == sample.get(payee)
        assert row.remittance == sample["remittanceInformationUnstructured"]


async def test_a_download_of_berlin_group_is_no_empty_answer(serve: Serve) -> None:
    """A bank that has rows only as a download is not taken for one that has none."""
    provider = await berlin_group(serve, "transactionsExample2_Download_json")
    with pytest.raises((MalformedData, Unsupported)):
        await rows_of(provider)
    await provider.aclose()


@pytest.mark.parametrize("name", [name for name in BERLIN_GROUP if name.startswith("balances")])
async def test_balances_of_berlin_group(serve: Serve, name: str) -> None:
    """Each balance, whatever its currency and type."""
    wanted = BERLIN_GROUP[name]["balances"]
    provider = await berlin_group(serve, name)
    found = await provider.balances(CONNECTION, ACCOUNT, None)
    await provider.aclose()
    told = [(b.balance_type, f"{b.amount}", b.currency) for b in found if isinstance(b, Balance)]
    assert told == [(b["balanceType"], b["balanceAmount"]["amount"], b["balanceAmount"]["currency"]) for b in wanted]


@pytest.mark.parametrize("name", [name for name in BERLIN_GROUP if "ccountList" in name])
async def test_accounts_of_berlin_group(serve: Serve, name: str) -> None:
    """Each account with all that names it; cards too."""
    [(field, wanted)] = BERLIN_GROUP[name].items()
    provider = await berlin_group(serve, name, card_accounts=field == "cardAccounts")
    found = await provider.accounts(CONNECTION, None)
    await provider.aclose()
    assert [(a.provider_id.removeprefix("card-account:"), a.name, a.iban) for a in found] == [
        (row["resourceId"], row["name"], row.get("iban")) for row in wanted
    ]
    assert all(account.references for account in found)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("consentResponseExample1a_Redirect", "https://www.testbank.com/authentication/1234-wertiq-983"),
        ("consentResponseExample1b_Redirect", Unsupported),  # the same answer once more to the authorisation is none
        ("consentResponseExample3_Decoupled", InvalidRequest),  # without what the person is called there
        ("consentResponseExample4_Embedded", Unsupported),  # it wants the person's password through us
    ],
)
async def test_consents_of_berlin_group(serve: Serve, name: str, url: Any) -> None:
    """Where the person goes, or why there is nowhere to go."""
    provider = await berlin_group(serve, name)
    request = ConsentRequest("https://host.example/callback", "state", psu=PsuContext("93.184.216.34"))
    if isinstance(url, str):
        begun = await provider.consent_flow.begin(request)
        assert (begun.url, begun.consent_id) == (url, "1234-wertiq-983")
    else:
        with pytest.raises(url):
            await provider.consent_flow.begin(request)
    await provider.aclose()


@pytest.mark.parametrize("name", ["consentsInformationResponseExample", "consentStatusResponseExample1"])
async def test_the_status_of_a_consent_of_berlin_group(serve: Serve, name: str) -> None:
    """It is valid, until the day that is told."""
    provider = await berlin_group(serve, name)
    consent = await provider.consent(CONNECTION, None)
    await provider.aclose()
    assert consent.status is ConsentStatus.VALID
    assert consent.valid_until == (date(2017, 11, 1) if "Information" in name else None)


GOCARDLESS = samples("gocardless")


async def gocardless(serve: Serve, *found: Any, status: int = 200) -> GoCardless:
    """Return a provider of a GoCardless that gives a token, and to all else these answers, the last one for ever."""
    left = list(found)

    async def token(request: web.Request) -> web.Response:
        return web.json_response({"access": "a", "access_expires": 86400, "refresh": "r", "refresh_expires": 99})

    async def handler(request: web.Request) -> web.Response:
        return web.json_response(left.pop(0) if len(left) > 1 else left[0], status=status)

    app = web.Application()
    app.router.add_post("/api/v2/token/new/", token)
    app.router.add_route("*", "/{path:.*}", handler)
    provider: Any = ALL["gocardless"](await serve(app))
    assert isinstance(provider, GoCardless)
    return provider


@pytest.mark.parametrize("name", ["GetTransactions", "GetTransactionRange"])
async def test_transactions_of_gocardless(serve: Serve, name: str) -> None:
    """Each is read, or quarantined for the placeholder that it has for a currency."""
    told = GOCARDLESS["AccountsEndpointMockData"][name]["transactions"]
    provider = await gocardless(serve, GOCARDLESS["AccountsEndpointMockData"][name])
    rows = await rows_of(provider)
    await provider.aclose()
    assert len(rows) == len(told["booked"]) + len(told["pending"])
    assert {row.reason for row in rows if isinstance(row, Quarantined)} == {"currency-format"}
    assert [f"{row.amount}" for row in rows if isinstance(row, Transaction)] == ["45.00"]


async def test_balances_of_gocardless(serve: Serve) -> None:
    """Both."""
    provider = await gocardless(serve, GOCARDLESS["AccountsEndpointMockData"]["GetBalances"])
    balances = await provider.balances(CONNECTION, ACCOUNT, None)
    await provider.aclose()
    assert [(b.balance_type, f"{b.amount}") for b in balances if isinstance(b, Balance)] == [
        ("closingAvailable", "1913.12"),
        ("forwardAvailable", "1913.12"),
    ]


async def test_institutions_and_consents_of_gocardless(serve: Serve) -> None:
    """The list of banks, a requisition that waits, and one whose agreement is told."""
    provider = await gocardless(serve, GOCARDLESS["InstitutionsEndpointMockData"]["GetInstitutions"])
    found = await provider.consent_flow.banks("DE")
    await provider.aclose()
    assert [(each.id, each.name, each.country) for each in found] == [("N26_NTSBDEB1", "N26 Bank", "DE")] * 2
    [waiting] = GOCARDLESS["RequisitionsEndpointMockData"]["GetRequisitions"]["results"]
    agreement = GOCARDLESS["AgreementsEndpointMockData"]["GetAgreement"]
    for status, wanted in (("CR", ConsentStatus.PENDING), ("LN", ConsentStatus.VALID)):
        provider = await gocardless(serve, {**waiting, "status": status}, agreement)
        consent = await provider.consent(CONNECTION, None)
        assert consent.status is wanted
        assert (consent.valid_until is not None) is (wanted is ConsentStatus.VALID)
        await provider.aclose()


@pytest.mark.parametrize("name", list(GOCARDLESS["CredentialMockData"]))
async def test_refusals_of_gocardless(serve: Serve, name: str) -> None:
    """What is ours is told as ours, each by its own sentence."""
    refusal = GOCARDLESS["CredentialMockData"][name]
    provider = await gocardless(serve, refusal, status=refusal["status_code"])
    with pytest.raises(CredentialError) as told:
        await provider.accounts(CONNECTION, None)
    await provider.aclose()
    assert ("address" in str(told.value)) is (name == "IpNotWhitelistedError")


async def test_requests_of_enable_banking(serve: Serve) -> None:
    """What we ask is what their collection asks: the same methods and paths, and in a body no less than theirs."""
    seen: dict[tuple[str, str], Any] = {}

    async def handler(request: web.Request) -> web.Response:
        seen[request.method, request.path] = await request.json() if request.can_read_body else None
        if request.path == "/aspsps":
            return web.json_response({"aspsps": []})
        if request.path == "/auth":
            return web.json_response({"url": "https://tilisy.enablebanking.com/welcome", "authorization_id": "a"})
        if request.path.endswith("balances"):
            return web.json_response({"balances": []})
        if request.path.endswith("transactions"):
            return web.json_response({"transactions": []})
        access = {"valid_until": "2026-10-01T00:00:00+00:00"}
        return web.json_response({"session_id": "s", "status": "AUTHORIZED", "accounts": [], "access": access})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    provider: Any = ALL["enable-banking"](await serve(app))
    assert isinstance(provider, EnableBanking)
    wanted = {(each["method"], each["path"]): each["body"] for each in samples("enable_banking")["requests"]}
    session = next(path for _, path in wanted if path.startswith("/sessions/")).rpartition("/")[2]
    uid = next(path for _, path in wanted if path.endswith("balances")).split("/")[2]
    asked, account = BankConnection("c", "acme", "bank", consent_id=session), BankAccount(uid, "k", "EUR")
    await provider.banks()
    begun = await provider.consent_flow.begin(ConsentRequest("http://localhost:8080/auth_callback", "s", "FI:Nordea"))
    await provider.consent_flow.finish(begun, Callback({"code": "42519c92"}), None)
    await provider.consent(asked, None)
    await provider.balances(asked, account, None)
    assert await rows_of(provider, account) == []
    await provider.aclose()
    del wanted["GET", "/application"]  # about ourselves: nothing of it is needed
    assert set(seen) == set(wanted)
    for request, body in wanted.items():
        assert set(seen[request] or {}) >= set(body or {}), request
    assert seen["POST", "/auth"]["aspsp"] == wanted["POST", "/auth"]["aspsp"]
