"""People authorise by OAuth, or in their bank's own app: what is different there, over HTTP, with a real queue."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from bankimport.models import Scope
from bankimport.sandbox import Kind, Switch
from bankimport.sandbox.counter import STATE
from bankimport.service import authorising
from bankimport.settings import Settings
from bankimport.status import ConnectionStatus
from tests.connecting.site import Browser, site_of
from tests.waiting import PATIENCE, wait_until

# arq closes its pool by a name that redis-py has given up
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def ended(browser: Browser, connection_id: str) -> dict[str, Any]:
    """Poll as the host's page does, until it is over."""

    async def over() -> Any:
        status = await browser.ask("GET", f"/{connection_id}/authorisation", status=200)
        return status if status["state"] == "ended" else None

    found: dict[str, Any] = await wait_until(over, what="the end of the authorisation")
    return found


async def in_the_app(browser: Browser, answer: str, psu_id: str = "anna-1") -> None:
    """Open the bank's app, and decide about what waits there."""
    async with browser.session.get(f"{browser.site.bank}/sandbox/app/{psu_id}") as app:
        [path] = re.findall(r'href="([^"]+)"', await app.text())
    form = {"decision": answer, "person": "anna"}
    async with browser.session.post(f"{browser.site.bank}{path}", data=form) as sent:
        assert sent.status == 200, "nobody is sent anywhere"


async def test_in_the_banks_app(settings: Settings) -> None:
    """The page has no address to go to but the bank's words; polling ends it, once; then all is as ever."""
    async with site_of(settings, "decoupled") as site:
        anna, ben = await site.browser(), await site.browser("ben")
        begun = await anna.connect(psuId="anna-1")
        assert ("url" in begun, begun["message"]) == (False, "Please confirm in the app of Sandbox Bank.")
        status = await anna.ask("GET", f"/{begun['id']}/authorisation", status=200)
        assert (status["state"], status.get("outcome")) == ("waiting", None)
        await in_the_app(anna, "consent")
        statuses = await asyncio.gather(ended(anna, begun["id"]), ended(ben, begun["id"]), ended(anna, begun["id"]))
        assert {each["outcome"] for each in statuses} == {"connected"}
        rows = await anna.imported(begun["id"])
        assert rows > 50
        assert site.consents() == ["valid"], "nothing that two pages have asked for was taken back"
        assert len((await anna.ask("GET", "/jobs", status=200))["jobs"]) == 1

        again = await anna.ask("POST", f"/{begun['id']}/renew", {"psuId": "anna-1"}, status=201)
        await in_the_app(anna, "consent")
        assert (await ended(anna, again["id"]))["outcome"] == "renewed"
        assert await anna.imported(begun["id"]) == rows


@pytest.mark.parametrize(("answer", "outcome"), [("cancel", "cancelled"), ("refuse", "bank-failed")])
async def test_no_in_the_banks_app(settings: Settings, answer: str, outcome: str) -> None:
    """Whose doing it was is said, and nothing is left."""
    async with site_of(settings, "decoupled") as site:
        anna = await site.browser()
        begun = await anna.connect(psuId="anna-1")
        await in_the_app(anna, answer)
        assert (await ended(anna, begun["id"]))["outcome"] == outcome
        assert await site.connection(begun["id"]) is None


async def test_the_bank_asks_for_the_name(settings: Settings) -> None:
    """Without the person's name it can't be begun; the message says which field."""
    async with site_of(settings, "decoupled") as site:
        anna = await site.browser()
        answer = await anna.ask("POST", "", {"bank": "decoupled"}, status=422)
        assert answer["errors"][0]["pointer"] == "/psuId"
        for wrong in ("", "a\nb", "x" * 101, "ä"):
            answer = await anna.ask("POST", "", {"bank": "decoupled", "psuId": wrong}, status=422)
            assert answer["errors"][0]["pointer"] == "/psuId"


async def test_the_app_is_not_opened_in_time(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an hour it is over, and what is consented to later brings nothing back."""
    async with site_of(settings, "decoupled") as site:
        anna = await site.browser()
        begun = await anna.connect(psuId="anna-1")
        banking = site.bank_import.connections.banking
        clock = banking.clock
        monkeypatch.setattr(banking, "clock", lambda: clock() + timedelta(hours=1, seconds=1))
        status = await ended(anna, begun["id"])
        assert (status["outcome"], status["reason"]) == ("failed", "too-late")
        assert await site.connection(begun["id"]) is None


@pytest.mark.parametrize(("answer", "left"), [("consent", ConnectionStatus.ACTIVE), ("cancel", None)])
async def test_nobody_polls(settings: Settings, answer: str, left: ConnectionStatus | None) -> None:
    """The page is closed before the person is done: it ends as if it were polled. Red before: it waited for a poll."""
    async with site_of(settings, "decoupled") as site:
        looking = site.bank_import.connections.authorising.looking_after
        looking.look = looking.quiet = timedelta(milliseconds=50)
        anna = await site.browser()
        begun = await anna.connect(psuId="anna-1")
        await in_the_app(anna, answer)

        async def over() -> bool:
            found = await site.connection(begun["id"])
            return (None if found is None else found.status) is left

        await wait_until(over, what="the end that nobody asks for")
        if left is not None:
            assert await anna.imported(begun["id"]) > 50


async def test_nobody_polls_and_nobody_consents(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its hour it has ended, and the connection is gone; a process that stops leaves nothing running."""
    async with site_of(settings, "decoupled") as site:
        banking = site.bank_import.connections.banking
        looking = site.bank_import.connections.authorising.looking_after
        looking.look = looking.quiet = timedelta(milliseconds=50)
        anna = await site.browser()
        begun = await anna.connect(psuId="anna-1")
        clock = banking.clock
        monkeypatch.setattr(banking, "clock", lambda: clock() + timedelta(hours=1, seconds=1))

        async def gone() -> bool:
            return await site.connection(begun["id"]) is None

        await wait_until(gone, what="the end of its time")
        monkeypatch.undo()
        looking.look = timedelta(hours=1)
        await anna.connect(psuId="anna-1")
        waiting = [task for task in asyncio.all_tasks() if "_until_it_ends" in repr(task)]
        assert waiting
    assert all(task.done() for task in waiting)


async def test_who_polls_goes_first(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a page asks, the process doesn't: the page knows the person's address."""
    async with site_of(settings, "decoupled") as site:
        looking = site.bank_import.connections.authorising.looking_after
        looking.look = timedelta(milliseconds=20)
        anna = await site.browser()
        begun = await anna.connect(psuId="anna-1")
        [consent] = site.sandbox[STATE].authorisings
        monkeypatch.setattr(authorising, "POLL", timedelta(seconds=PATIENCE))  # however long ten looks take
        for _ in range(10):
            await anna.ask("GET", f"/{begun['id']}/authorisation", status=200)
            await asyncio.sleep(0.05)
        assert len(site.sandbox[STATE].requests[consent]) == 1


async def test_the_bank_stumbles_while_it_is_polled(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bank that is away for a moment costs nothing but time, and isn't asked at each look of the page."""
    async with site_of(settings, "decoupled") as site:
        anna = await site.browser()
        begun = await anna.connect(psuId="anna-1")
        state = site.sandbox[STATE]
        [consent] = state.authorisings
        state.switches.add(consent, Switch(kind=Kind.UNAVAILABLE, endpoint=Scope.CONSENT, times=1))
        with monkeypatch.context() as patch:
            patch.setattr(authorising, "POLL", timedelta(seconds=PATIENCE))  # however long twenty looks take
            for _ in range(20):
                status = await anna.ask("GET", f"/{begun['id']}/authorisation", status=200)
                assert status["state"] == "waiting"
            assert len(state.requests[consent]) == 1
        await in_the_app(anna, "consent")
        assert (await ended(anna, begun["id"]))["outcome"] == "connected"


async def test_a_code_is_worth_nothing_without_what_was_kept(settings: Settings) -> None:
    """Who has seen the callback can't exchange its code; an answer of another issuer isn't believed; a code that was
    used ends in words, and leaves nothing."""
    async with site_of(settings, "oauth") as site:
        anna = await site.browser()
        begun = await anna.connect()
        url = URL(await anna.at_bank(begun["url"]))
        form = {"grant_type": "authorization_code", "code": url.query["code"], "client_id": "us"}
        form |= {"redirect_uri": str(url.with_query(None)), "code_verifier": "guessed"}
        async with anna.session.post(f"{site.bank}/sandbox/oauth/token", data=form) as answer:
            assert (answer.status, await answer.json()) == (400, {"error": "invalid_grant"})
        _, told, _ = await anna.back(str(url.update_query(iss="https://evil.example")))
        assert told["outcome"] == "bank-failed"

        begun = await anna.connect()
        url = URL(await anna.at_bank(begun["url"]))
        for each in site.sandbox[STATE].authorisings.values():
            each.is_code_used = True
        _, told, _ = await anna.back(str(url))
        assert told["outcome"] == "failed"
        assert await site.connection(begun["id"]) is None


async def test_tokens_are_renewed_and_stored(settings: Settings) -> None:
    """A run a day later renews the access token; the refresh token that was handed out then serves the next one."""
    async with site_of(settings, "oauth") as site:
        anna = await site.browser()
        connection_id = await anna.connected()
        rows = await anna.imported(connection_id)
        seen = set()
        for _ in range(3):
            connection = await site.connection(connection_id)
            seen.add(connection.credentials["refresh_token"])
            old = {**connection.credentials, "renew_at": "2020-01-01T00:00:00+00:00"}
            await site.bank_import.connections.update_credentials(connection_id, old)
            await anna.ask("POST", f"/{connection_id}/sync", {"forceFullSync": True}, status=202)
            assert await anna.imported(connection_id) == rows
        assert len(seen) == 3
        assert (await site.connection(connection_id)).status is ConnectionStatus.ACTIVE


@pytest.mark.parametrize(
    "told",
    [
        {"token_endpoint": "https://evil.example/token"},
        {"issuer": "https://evil.example"},
        {"authorization_endpoint": "http://evil.example/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": None},
    ],
    ids=str,
)
async def test_metadata_that_lead_elsewhere(settings: Settings, told: dict[str, Any], monkeypatch: Any) -> None:
    """Neither a person nor a secret is sent anywhere that wasn't known beforehand, and nothing is begun."""
    async with site_of(settings, "oauth") as site:
        real = f"{site.bank}/sandbox/oauth"
        answer = {"issuer": real, "authorization_endpoint": f"{real}/authorize", "token_endpoint": f"{real}/token"}

        async def metadata(_: web.Request) -> web.Response:
            return web.json_response({**answer, **told})

        for route in site.sandbox.router.routes():
            if "well-known" in str(route.resource):
                monkeypatch.setattr(route, "_handler", metadata)
        anna = await site.browser()
        problem = await anna.ask("POST", "", {"bank": "oauth"}, status=502)
        assert "evil" not in str(problem)
        assert (await anna.ask("GET", "", status=200))["connections"] == []
