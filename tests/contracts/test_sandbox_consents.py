"""How a person consents at the sandbox, by each API: the page, what it brings back, and what can be read then."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import jsonschema
import pytest
from yarl import URL

from bankimport.errors import ReauthRequired
from bankimport.models import BankConnection, ConsentStatus
from bankimport.providers.enable_banking_token import ApplicationToken
from bankimport.sandbox import create_app
from tests.contracts.conftest import Serve
from tests.contracts.sandboxed import ALL, KEY

BACK = "https://host.example/callback?connection=c"
Answer = tuple[int, Any, Any]


@pytest.fixture
async def url(serve: Serve) -> str:
    """The sandbox, on the real clock."""
    return await serve(create_app())


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """A browser and an application in one."""
    async with aiohttp.ClientSession() as client:
        yield client


async def ask(client: aiohttp.ClientSession, method: str, url: str, body: Any = None, **headers: str) -> Answer:
    """Send JSON; return status, headers and the JSON that came back."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.request(method, url, json=body, headers=headers) as answer:
        return answer.status, answer.headers, await answer.json() if answer.content_type == "application/json" else None


async def decide(client: aiohttp.ClientSession, page: str, decision: str, person: str = "anna") -> URL | None:
    """Open the bank's page, press a button, and return where the person is sent."""
    async with client.get(page) as shown:
        assert shown.status == 200
        assert decision in await shown.text()
    async with client.post(page, data={"person": person, "decision": decision}, allow_redirects=False) as answer:
        if answer.status == 200:
            return None
        assert answer.status == 303
        return URL(answer.headers["Location"])


def token() -> str:
    """Return an application's token."""
    return f"Bearer {ApplicationToken('app', KEY).at(datetime.now(UTC))}"


async def auth(client: aiohttp.ClientSession, url: str, **changes: Any) -> Answer:
    """Begin an authorisation at Enable Banking."""
    body = {
        "access": {"valid_until": (datetime.now(UTC) + timedelta(days=90)).isoformat()},
        "aspsp": {"name": "Sandbox Bank", "country": "DE"},
        "state": "s-1",
        "redirect_url": BACK,
        "psu_type": "personal",
        **changes,
    }
    return await ask(client, "POST", f"{url}/auth", body, Authorization=token())


async def test_enable_banking(client: aiohttp.ClientSession, url: str) -> None:
    """`/auth`, the page, the code, a session with its accounts, and the end of it."""
    _, _, begun = await auth(client, url)
    back = await decide(client, begun["url"], "consent")
    assert back is not None
    assert (back.host, back.query["state"], back.query["connection"]) == ("host.example", "s-1", "c")
    status, _, session = await ask(
        client, "POST", f"{url}/sessions", {"code": back.query["code"]}, Authorization=token()
    )
    assert (status, len(session["accounts"])) == (200, 3)
    provider = ALL["enable-banking"](url)
    connection = BankConnection("c", "o", "b", consent_id=session["session_id"])
    assert (await provider.consent(connection, None)).status is ConsentStatus.VALID
    assert [a.provider_id for a in await provider.accounts(connection, None)] == [a["uid"] for a in session["accounts"]]
    again = await ask(client, "POST", f"{url}/sessions", {"code": back.query["code"]}, Authorization=token())
    assert (again[0], again[2]["error"]) == (422, "ALREADY_AUTHORIZED")
    await ask(client, "DELETE", f"{url}/sessions/{session['session_id']}", Authorization=token())
    assert (await provider.consent(connection, None)).status is ConsentStatus.REVOKED
    await provider.aclose()


@pytest.mark.parametrize(
    ("decision", "error", "has_state"),
    [
        ("cancel", "access_denied", True),
        ("cancel-without-state", "access_denied", False),
        ("refuse", "server_error", True),
    ],
)
async def test_enable_banking_says_no(
    client: aiohttp.ClientSession, url: str, decision: str, error: str, has_state: bool
) -> None:
    """By the person's doing or the bank's; some banks forget the state. There is no session to be had."""
    _, _, begun = await auth(client, url)
    back = await decide(client, begun["url"], decision)
    assert back is not None
    assert (back.query["error"], "state" in back.query, "code" in back.query) == (error, has_state, False)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aspsp": {"name": "Nobody", "country": "DE"}}, "WRONG_ASPSP_PROVIDED"),
        ({"redirect_url": "javascript:alert(1)"}, "REDIRECT_URI_NOT_ALLOWED"),
        ({"access": {}}, "WRONG_REQUEST_PARAMETERS"),
        ({"access": {"valid_until": "2199-01-01T00:00:00+00:00"}}, "WRONG_REQUEST_PARAMETERS"),
        ({"access": {"valid_until": "2026-12-01T00:00:00"}}, "WRONG_REQUEST_PARAMETERS"),
    ],
    ids=str,
)
async def test_enable_banking_wants_it_right(client: aiohttp.ClientSession, url: str, changes: Any, code: str) -> None:
    """As the real one."""
    status, _, body = await auth(client, url, **changes)
    assert (status, body["error"]) == (422, code)


async def test_gocardless(client: aiohttp.ClientSession, url: str) -> None:
    """An agreement, a requisition, the page, and its status on the way; deleted, it is no more."""
    secret = {"secret_id": "i", "secret_key": "k"}
    _, _, tokens = await ask(client, "POST", f"{url}/api/v2/token/new/", secret)
    bearer = {"Authorization": f"Bearer {tokens['access']}"}
    wanted = {"institution_id": "SANDBOXFINANCE_SFIN0000", "access_valid_for_days": 90}
    _, _, agreement = await ask(client, "POST", f"{url}/api/v2/agreements/enduser/", wanted, **bearer)
    asked = {
        "redirect": BACK,
        "institution_id": "SANDBOXFINANCE_SFIN0000",
        "reference": "r-1",
        "agreement": agreement["id"],
    }
    status, _, requisition = await ask(client, "POST", f"{url}/api/v2/requisitions/", asked, **bearer)
    assert (status, requisition["status"]) == (201, "CR")
    provider = ALL["gocardless"](url)
    connection = BankConnection("c", "o", "b", consent_id=requisition["id"])
    assert (await provider.consent(connection, None)).status is ConsentStatus.PENDING
    back = await decide(client, requisition["link"], "consent")
    assert back is not None
    assert back.query["ref"] == "r-1"
    assert (await provider.consent(connection, None)).status is ConsentStatus.VALID
    assert len(await provider.accounts(connection, None)) == 3
    await ask(client, "DELETE", f"{url}/api/v2/requisitions/{requisition['id']}/", **bearer)
    with pytest.raises(ReauthRequired):
        await provider.accounts(connection, None)
    await provider.aclose()


@pytest.mark.parametrize(("decision", "status"), [("cancel", "RJ"), ("refuse", "ER")])
async def test_gocardless_says_no(client: aiohttp.ClientSession, url: str, decision: str, status: str) -> None:
    """In the redirect and in the requisition's status."""
    _, _, tokens = await ask(client, "POST", f"{url}/api/v2/token/new/", {"secret_id": "i", "secret_key": "k"})
    bearer = {"Authorization": f"Bearer {tokens['access']}"}
    asked = {"redirect": BACK, "institution_id": "X", "reference": "r-1"}
    _, _, requisition = await ask(client, "POST", f"{url}/api/v2/requisitions/", asked, **bearer)
    back = await decide(client, requisition["link"], decision)
    assert back is not None
    assert "error" in back.query
    _, _, now = await ask(client, "GET", f"{url}/api/v2/requisitions/{requisition['id']}/", **bearer)
    assert now["status"] == status


def _id() -> dict[str, str]:
    return {"X_Request_ID": str(uuid.uuid4())}


async def new_consent(client: aiohttp.ClientSession, url: str, **headers: str) -> Answer:
    """Ask a Berlin Group bank for a consent."""
    body = {
        "access": {"allPsd2": "allAccounts"},
        "recurringIndicator": True,
        "validUntil": "9999-12-31",
        "frequencyPerDay": 4,
        "combinedServiceIndicator": False,
    }
    return await ask(client, "POST", f"{url}/v1/consents", body, PSU_IP_Address="203.0.113.7", **_id(), **headers)


async def test_berlin_group_by_redirect(client: aiohttp.ClientSession, url: str) -> None:
    """Received, the page, valid; the accounts can be read; deleted, it is revoked."""
    status, headers, begun = await new_consent(client, url, TPP_Redirect_URI=BACK)
    assert (status, headers["ASPSP-SCA-Approach"], begun["consentStatus"]) == (201, "REDIRECT", "received")
    provider = ALL["berlin-group"](url)
    connection = BankConnection("c", "o", "b", consent_id=begun["consentId"])
    assert (await provider.consent(connection, None)).status is ConsentStatus.PENDING
    with pytest.raises(ReauthRequired):
        await provider.accounts(connection, None)
    back = await decide(client, begun["_links"]["scaRedirect"]["href"], "consent", "ben")
    assert str(back) == BACK
    assert (await provider.consent(connection, None)).status is ConsentStatus.VALID
    assert len(await provider.accounts(connection, None)) == 3
    sca = await ask(client, "GET", url + begun["_links"]["scaStatus"]["href"], **_id())
    assert sca[2] == {"scaStatus": "finalised"}
    assert (await ask(client, "DELETE", f"{url}/v1/consents/{begun['consentId']}", **_id()))[0] == 204
    assert (await provider.consent(connection, None)).status is ConsentStatus.REVOKED
    await provider.aclose()


@pytest.mark.parametrize("decision", ["cancel", "refuse"])
async def test_berlin_group_says_no(client: aiohttp.ClientSession, url: str, decision: str) -> None:
    """The other address is gone back to, and the consent is rejected."""
    nok = "https://host.example/nok?state=s"
    _, _, begun = await new_consent(client, url, TPP_Redirect_URI=BACK, TPP_Nok_Redirect_URI=nok)
    assert str(await decide(client, begun["_links"]["scaRedirect"]["href"], decision)) == nok
    _, _, now = await ask(client, "GET", f"{url}/v1/consents/{begun['consentId']}/status", **_id())
    assert now == {"consentStatus": "rejected"}


async def test_berlin_group_decoupled(client: aiohttp.ClientSession, url: str) -> None:
    """Without a redirect: the person finds it in the bank's app, and the status is asked for until it is valid."""
    _, headers, begun = await new_consent(client, url, TPP_Redirect_Preferred="false")
    assert headers["ASPSP-SCA-Approach"] == "DECOUPLED"
    assert "scaRedirect" not in begun["_links"]
    assert await decide(client, f"{url}/sandbox/authorise/{begun['consentId']}", "consent") is None
    _, _, now = await ask(client, "GET", f"{url}/v1/consents/{begun['consentId']}/status", **_id())
    assert now == {"consentStatus": "valid"}


async def test_a_page_is_used_once(client: aiohttp.ClientSession, url: str) -> None:
    """A person who goes back and presses again finds out; a page that isn't there is none; markup is no markup."""
    _, _, begun = await auth(client, url)
    await decide(client, begun["url"], "consent", "<script>alert(1)</script>")
    async with client.get(begun["url"]) as shown:
        assert shown.status == 410
    async with client.post(begun["url"], data={"decision": "consent"}, allow_redirects=False) as answer:
        assert answer.status == 410
    async with client.get(f"{url}/sandbox/authorise/nobody") as shown:
        assert shown.status == 404


async def test_one_person_has_the_same_accounts_in_each_consent(client: aiohttp.ClientSession, url: str) -> None:
    """Other resource ids, the same numbers: a renewal; another person is another."""
    found = []
    provider = ALL["enable-banking"](url)
    for person in ("anna", "anna", "ben"):
        _, _, begun = await auth(client, url)
        back = await decide(client, begun["url"], "consent", person)
        assert back is not None
        _, _, session = await ask(
            client, "POST", f"{url}/sessions", {"code": back.query["code"]}, Authorization=token()
        )
        found.append(session)
    await provider.aclose()
    one, again, other = [[account["account_id"]["iban"] for account in each["accounts"]] for each in found]
    assert one == again != other
    assert not {a["uid"] for a in found[0]["accounts"]} & {a["uid"] for a in found[1]["accounts"]}


@pytest.mark.parametrize("by_oauth", [False, True])
async def test_a_consent_is_asked_for_by_the_book(
    client: aiohttp.ClientSession, serve: Serve, spec: dict[str, Any], by_oauth: bool
) -> None:
    """What the sandbox answers is what the OpenAPI file allows, by each way of authorising."""
    url = await serve(create_app(by_oauth=by_oauth))

    def check(name: str, body: Any) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": spec["components"]}
        jsonschema.Draft202012Validator(schema).validate(body)

    _, _, begun = await new_consent(client, url, TPP_Redirect_URI=BACK)
    check("consentsResponse-201", begun)
    assert ("scaOAuth" in begun["_links"], "scaRedirect" in begun["_links"]) == (by_oauth, not by_oauth)
    _, _, begun = await new_consent(client, url, TPP_Redirect_Preferred="false")
    check("consentsResponse-201", begun)
    start = url + begun["_links"]["startAuthorisationWithPsuIdentification"]["href"]
    assert (await ask(client, "POST", start, {}, **_id()))[0] == 400
    status, _, started = await ask(client, "POST", start, {}, PSU_ID="anna-1", **_id())
    assert status == 201
    check("startScaprocessResponse", started)
    _, _, listed = await ask(client, "GET", start, **_id())
    check("authorisations", listed)
    assert listed["authorisationIds"] == [started["authorisationId"]]
    _, _, sca = await ask(client, "GET", url + started["_links"]["scaStatus"]["href"], **_id())
    check("scaStatusResponse", sca)
