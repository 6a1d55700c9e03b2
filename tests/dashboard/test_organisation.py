"""The page of one organisation without a script: who is let in, what a person sees, and the walk to the bank and back."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, CookieJar, web
from sqlalchemy.engine import make_url

from bankimport import BankImport, Settings
from bankimport.models import AuditFilter, Institution
from bankimport.providers import BerlinGroup
from bankimport.redis import deadline
from bankimport.sandbox import create_app
from bankimport.stores import SqlStore
from bankimport.testing import run_until_idle
from bankimport.web.dashboard.routes import PAGES
from bankimport.web.limits import RequestLimit
from bankimport.web.problems import refuse
from tests.migrated import upgraded
from tests.processes import free_port
from tests.web.test_dashboard import HOSTILE, by_role

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq calls it
PATH = "/api/organisations/acme/bank-connections/page"
OWN = [each for each in PAGES if "{orgId}" in each.path]


async def signed_in(request: web.Request) -> str | None:
    """The host's login is a cookie."""
    return request.cookies.get("role")


@asynccontextmanager
async def _serving(app: web.Application, port: int = 0) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


class Site:
    """A host with one bank, and a browser without a script, in which a member of acme is signed in."""

    def __init__(self, origin: str, bank_import: BankImport, session: ClientSession) -> None:
        self.origin, self.bank_import, self.session = origin, bank_import, session

    async def get(self, query: str = "", *, status: int = 200, **headers: str) -> str:
        """Return the page."""
        async with self.session.get(f"{self.origin}{PATH}{query}", headers=headers) as answer:
            text = await answer.text()
            assert answer.status == status, text
            return text

    async def post(self, rest: str, **fields: str) -> tuple[int, str, str]:
        """Send a form of the page; return status, where it leads, and its text."""
        headers = {"Origin": self.origin}
        url = f"{self.origin}{PATH}{rest}"
        async with self.session.post(url, data=fields, headers=headers, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location", ""), await answer.text()

    async def at_bank(self, page: str, decision: str = "consent") -> str:
        """Follow the link to the bank, decide there, and come back; return the page that is shown then."""
        found = re.search(r'id="onward" href="([^"]+)"', page)
        assert found is not None, page
        url = found[1].replace("&amp;", "&")
        async with self.session.post(url, data={"decision": decision, "person": "anna"}) as answer:
            assert answer.status == 200
            assert urlsplit(str(answer.url)).path == PATH
            return await answer.text()


@pytest.fixture
async def site(settings: Settings) -> AsyncIterator[Site]:
    """The site."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    url = settings.database_url.get_secret_value()
    await upgraded(url)
    changed = {"callback_url": f"{origin}/api/callback", "return_to": (f"{origin}/",)}
    made = settings.model_copy(update={**changed, "rate_limit_max": 1000})
    async with _serving(create_app()) as bank:
        provider = BerlinGroup(bank, name="Sparhafen", unattended_limit=None, own_address="93.184.216.34")
        store = SqlStore(url, environment="development")
        async with BankImport(made, banks={"Sparhafen": provider}, store=store) as bank_import:
            app = web.Application()
            app.add_subapp("/api", bank_import.web_app(authorize=by_role, user=signed_in))
            async with (
                _serving(app, port),
                ClientSession(cookie_jar=CookieJar(unsafe=True), cookies={"role": "acme"}) as session,
            ):
                yield Site(origin, bank_import, session)


async def test_a_person_walks_without_a_script(site: Site) -> None:
    """Cancelled, connected, imported, renewed, refreshed, withdrawn: by links and forms alone, each said in words."""
    assert "No bank is connected yet" in await site.get()
    listed = await site.get("?connect=1")
    assert '<option value="Sparhafen">' in listed
    status, _, onward = await site.post("/connect", bank="Sparhafen")
    assert (status, "You go on to 127.0.0.1" in onward) == (200, True)
    assert "Nothing was changed" in await site.at_bank(onward, "cancel")
    _, _, onward = await site.post("/connect", bank="Sparhafen")
    page = await site.at_bank(onward)
    assert "Your bank is connected" in page
    [connection] = await site.bank_import.connections.list("acme")
    await run_until_idle(site.bank_import)
    page = await site.get()
    for words in ("All your banks are read as planned", "any number is allowed", "Complete since", "days left", "••••"):
        assert words in page, words
    _, _, onward = await site.post(f"/{connection.id}/renew")
    assert "The consent is renewed" in await site.at_bank(onward)
    await run_until_idle(site.bank_import)
    status, location, _ = await site.post(f"/{connection.id}/refresh")
    assert (status, location.endswith("?outcome=refreshing")) == (303, True)
    assert "<progress" in await site.get("?outcome=refreshing")
    status, location, _ = await site.post(f"/{connection.id}/withdraw")
    assert (status, location.endswith("?outcome=withdrawn")) == (303, True)
    page = await site.get("?outcome=withdrawn")
    assert "Nothing is read any more" in page
    assert "Accesses that have ended" in page
    done = (await site.bank_import.audit.list(AuditFilter(org_id="acme"))).entries
    assert [(each.who, each.action) for each in done][::-1] == [
        ("acme", "connection.connect"),
        ("acme", "connection.connect"),
        ("acme", "connection.renew"),
        ("acme", "connection.revoke"),
    ]


async def test_a_person_is_asked_which_account_it_is(site: Site, settings: Settings) -> None:
    """What matching can't decide is a question on the page, with the accounts that it may be; the answer joins them."""
    _, _, onward = await site.post("/connect", bank="Sparhafen")
    await site.at_bank(onward)
    await run_until_idle(site.bank_import)
    [connection] = await site.bank_import.connections.list("acme")
    assert "Do you know this account?" not in await site.get()
    doubtful, old, *_ = await site.bank_import.connections.accounts(connection.id)
    with closing(sqlite3.connect(make_url(settings.database_url.get_secret_value()).database or "")) as file, file:
        file.execute("UPDATE bank_accounts SET undecided = 'name', currency = 'EUR' WHERE id = ?", (doubtful.id,))
        file.execute("UPDATE bank_accounts SET is_listed = 0, currency = 'EUR' WHERE id = ?", (old.id,))
    page = await site.get()
    assert "Do you know this account?" in page
    assert f'name="same_as" value="{old.id}"' in page
    decide = f"/{connection.id}/decide"
    assert (await site.post(decide, account=doubtful.id))[0] == 422
    assert (await site.post(decide, account=doubtful.id, same_as="nix"))[0] == 404
    status, location, _ = await site.post(decide, account=doubtful.id, same_as=old.id)
    assert (status, location.endswith("?outcome=decided")) == (303, True)
    page = await site.get("?outcome=decided")
    assert ("Thank you" in page, "Do you know this account?" in page) == (True, False)
    assert doubtful.id not in {each.id for each in await site.bank_import.connections.accounts(connection.id)}


@pytest.mark.parametrize("page", OWN, ids=lambda page: f"{page.method} {page.name}")
@pytest.mark.parametrize(("role", "status"), [(None, 401), ("globex", 403)])
async def test_only_its_own_people_are_let_in(site: Site, page: object, role: str | None, status: int) -> None:
    """Another organisation's people and strangers are refused on the server, on the page and with each form."""
    method, path = page.method, page.path  # type: ignore[attr-defined]  # a route of the table, private to the pages
    url = f"{site.origin}/api{path}".replace("{orgId}", "acme").replace("{id}", "giro")
    headers = {"Origin": site.origin, "Content-Type": "application/x-www-form-urlencoded"}
    async with (
        ClientSession(cookies={"role": role} if role else None) as other,
        other.request(method, url, headers=headers, data="bank=Sparhafen") as answer,
    ):
        assert answer.status == status


async def test_what_is_not_theirs(site: Site) -> None:
    """Another's connection is the same 404 as none, a foreign page presses no button, a bank that isn't offered is
    refused; operators' pages are closed to members."""
    await site.bank_import.connections.add(org_id="globex", bank="Sparhafen", id="theirs")
    for action in ("renew", "refresh", "withdraw"):
        for name in ("theirs", "none"):
            assert (await site.post(f"/{name}/{action}"))[0] == 404
    assert (await site.post("/connect", bank="Other"))[0] == 422
    assert (await site.post("/connect"))[0] == 422
    url = f"{site.origin}{PATH}/connect"
    async with site.session.post(url, data={"bank": "Sparhafen"}, headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403
    async with site.session.get(f"{site.origin}/api/dashboard") as answer:
        assert answer.status == 403
        assert PATH not in await answer.text()
    assert await site.bank_import.connections.list("acme") == []


async def test_in_german_and_hostile(site: Site) -> None:
    """What an address says is never shown as it is; the page speaks the reader's language and keeps the choice."""
    page = await site.get(f"?outcome={HOSTILE.replace('%', '%25')}&country=%3Cb&connect=1", **{"Accept-Language": "de"})
    assert "<script>alert" not in page
    assert "Es ist noch keine Bank verbunden" in page
    async with site.session.get(f"{site.origin}{PATH}?lang=de", allow_redirects=False) as answer:
        assert answer.status == 303
        assert f"Path={PATH}" in answer.headers["Set-Cookie"]
    assert "Eine Bank verbinden" in await site.get()


async def test_its_forms_count_as_the_organisations_requests(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who presses more buttons than an organisation may send requests is told to wait. Red before: forms had no limit,
    and each asked the bank for an authorisation."""
    monkeypatch.setattr(RequestLimit, "take", _none_left)
    status, _, text = await site.post("/connect", bank="Sparhafen")
    assert (status, "429" in text) == (429, True)
    assert (await site.bank_import.audit.list(AuditFilter(org_id="acme"))).entries == ()
    assert "No bank is connected yet" in await site.get()


def _none_left(limit: RequestLimit, key: str) -> dict[str, str]:
    raise refuse(429, "too-many-requests", f"too many requests of {key}", retry_after=timedelta(seconds=7))


async def test_a_slow_list_of_banks(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that takes longer for its list than Redis may for an answer holds the page up, and is shown all the
    same. Red before: the whole page was answered 503."""
    monkeypatch.setattr(deadline, "LONGEST", 1.0)

    async def slow(bank: str, *, country: str | None = None) -> list[Institution]:
        await asyncio.sleep(1.5)  # no condition: longer than Redis may take
        return [Institution("slow", "Slow Savings", "DE")]

    monkeypatch.setattr(site.bank_import.connections, "institutions", slow)
    assert "Slow Savings" in await site.get("?connect=1")
