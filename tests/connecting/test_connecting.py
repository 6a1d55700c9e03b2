"""People connect their banks: all the ways in which a callback comes back, over HTTP, with a real queue and store."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bankimport.access.authorisations import LIFETIME
from bankimport.commands import SyncConnection
from bankimport.models import Scope
from bankimport.queue.queue import Enqueue
from bankimport.sandbox import Kind, Switch
from bankimport.sandbox.counter import STATE
from bankimport.settings import Settings
from bankimport.status import ConnectionStatus, JobState
from tests.connecting.site import INSTITUTIONS, Site, site_of

# arq closes its pool by a name that redis-py has given up
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def test_a_person_connects_imports_renews_and_revokes(site: Site) -> None:
    """From nothing to rows; a renewal leaves the same accounts and rows; after the revocation nothing is read."""
    anna = await site.browser()
    connection_id = await anna.connected()
    rows = await anna.imported(connection_id)
    assert rows > 50
    connection = await site.connection(connection_id)
    accounts = {each.id for each in await site.bank_import.connections.accounts(connection_id)}
    assert (connection.status, len(accounts)) == (ConnectionStatus.ACTIVE, 3)

    begun = await anna.renew(connection_id)
    assert await site.connection(connection_id) == connection, "the old consent serves on"
    _, told, _ = await anna.back(await anna.at_bank(begun["url"]))
    assert told == {"connection": connection_id, "outcome": "renewed"}
    assert await anna.imported(connection_id) == rows
    renewed = await site.connection(connection_id)
    assert renewed.consent_id != connection.consent_id
    assert {each.id for each in await site.bank_import.connections.accounts(connection_id)} == accounts

    shown = await anna.ask("DELETE", f"/{connection_id}", status=200)
    assert (shown["status"], shown["syncable"]) == ("DISCONNECTED", False)
    await anna.ask("POST", f"/{connection_id}/sync", status=409)
    assert await site.count(connection_id) == rows
    assert site.consents() == ["valid", "revokedByPsu"]
    await anna.ask("DELETE", f"/{connection_id}", status=200)


@pytest.mark.parametrize(("answer", "outcome"), [("cancel", "cancelled"), ("refuse", "bank-failed")])
async def test_no_consent_is_given(site: Site, answer: str, outcome: str) -> None:
    """Cancelled and refused are told apart; a new connection goes, a renewed one is as it was."""
    anna = await site.browser()
    begun = await anna.connect()
    assert (await anna.ask("GET", f"/{begun['id']}", status=200))["status"] == "PENDING"
    _, told, _ = await anna.back(await anna.at_bank(begun["url"], answer))
    assert told == {"connection": begun["id"], "outcome": outcome}
    assert await site.connection(begun["id"]) is None
    assert (await anna.ask("GET", f"/{begun['id']}/authorisation", status=200))["outcome"] == outcome

    connection_id = await anna.connected()
    rows = await anna.imported(connection_id)
    before = await site.connection(connection_id)
    begun = await anna.renew(connection_id)
    _, told, _ = await anna.back(await anna.at_bank(begun["url"], answer))
    assert told["outcome"] == outcome
    assert await site.connection(connection_id) == before
    await anna.ask("POST", f"/{connection_id}/sync", status=202)
    assert await anna.imported(connection_id) == rows


async def test_a_callback_comes_twice(site: Site) -> None:
    """At once, and again later: the same answer, one consent, one import of three accounts."""
    anna = await site.browser()
    begun = await anna.connect()
    url = await anna.at_bank(begun["url"])
    answers = await asyncio.gather(*(anna.back(url) for _ in range(5)))
    answers.append(await anna.back(url))
    assert {(status, told["outcome"]) for status, told, _ in answers} == {(303, "connected")}
    await anna.imported(begun["id"])
    assert len(await site.bank_import.connections.accounts(begun["id"])) == 3
    assert len((await anna.ask("GET", "", status=200))["connections"]) == 1
    assert len((await anna.ask("GET", "/jobs", status=200))["jobs"]) == 1


async def test_another_user_comes_with_it(site: Site) -> None:
    """Who is sent somebody else's address ends nothing, sees nothing, and leaves it to the one who began."""
    anna, ben, nobody = await site.browser(), await site.browser("ben"), await site.browser(None)
    begun = await anna.connect()
    url = await ben.at_bank(begun["url"], login="ben")
    for other in (ben, nobody):
        status, told, text = await other.back(url)
        assert (status, told) == (403, {})
        assert begun["id"] not in text
    assert (await site.connection(begun["id"])).status is ConnectionStatus.PENDING
    assert (await anna.back(url))[1]["outcome"] == "connected"
    assert (await ben.back(url))[0] == 403


async def test_a_foreign_state_is_refused(site: Site) -> None:
    """Guessed, of another bank, empty: our own words, and nothing of what was sent."""
    anna = await site.browser()
    begun = await anna.connect()
    url = await anna.at_bank(begun["url"])
    evil = "<script>alert(1)</script>"
    for path in (
        f"{site.kind}?state=guessed",
        f"{site.kind}?state={evil}&error=access_denied&error_description={evil}",
        f"{site.kind}",
        f"other?{url.partition('?')[2]}",
        "%3Cscript%3E?state=x",
    ):
        status, told, text = await anna.back(f"{site.host}/api/callback/{path}")
        assert (status, told) == (403, {})
        assert "<script>" not in text
        assert "alert" not in text
    assert (await anna.back(url))[1]["outcome"] == "connected"


async def test_an_error_without_its_state(site: Site) -> None:
    """The person is sent back and told; nothing is changed by what anybody could have sent."""
    anna = await site.browser()
    url = f"{site.host}/api/callback/{site.kind}?error=access_denied&error_description=<b>secret</b>"
    status, _, text = await anna.back(url)
    assert (status, "Cancelled" in text, "secret" in text) == (200, True, False)
    begun = await anna.connect()
    status, told, _ = await anna.back(url)
    assert (status, told) == (303, {"outcome": "cancelled"})
    assert (await anna.back(await anna.at_bank(begun["url"])))[1]["outcome"] == "connected"


async def test_a_callback_comes_late(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an hour it is over, whatever was consented to at the bank."""
    anna = await site.browser()
    begun = await anna.connect()
    url = await anna.at_bank(begun["url"])
    banking = site.bank_import.connections.banking
    clock = banking.clock
    monkeypatch.setattr(banking, "clock", lambda: clock() + LIFETIME + timedelta(seconds=1))
    status, told, _ = await anna.back(url)
    assert (status, told["outcome"]) == (303, "failed")
    shown = await anna.ask("GET", f"/{begun['id']}/authorisation", status=200)
    assert (shown["outcome"], shown["reason"]) == ("failed", "too-late")
    assert await site.connection(begun["id"]) is None


async def test_it_is_given_up(site: Site) -> None:
    """The person comes back to the app by another way: what the bank says later brings nothing back."""
    anna = await site.browser()
    begun = await anna.connect()
    url = await anna.at_bank(begun["url"])
    shown = await anna.ask("DELETE", f"/{begun['id']}/authorisation", status=200)
    assert (shown["state"], shown["outcome"]) == ("ended", "cancelled")
    assert (await anna.back(url))[1]["outcome"] == "cancelled"
    assert await site.connection(begun["id"]) is None
    await anna.ask("GET", f"/{begun['id']}/authorisation", org_id="globex", status=404)
    await anna.ask("GET", "/nothing/authorisation", status=404)


async def test_nobody_comes_to_look(site: Site) -> None:
    """A HEAD, and a browser that fetches ahead, use no state up."""
    anna = await site.browser()
    begun = await anna.connect()
    url = await anna.at_bank(begun["url"])
    async with anna.session.head(url) as answer:
        assert answer.status == 204
    async with anna.session.get(url, headers={"Sec-Purpose": "prefetch;prerender"}) as answer:
        assert answer.status == 204
    assert (await anna.back(url))[1]["outcome"] == "connected"


async def test_the_same_login_is_noticed(site: Site) -> None:
    """A second connection to the same accounts is made, and says of which it is the second."""
    anna = await site.browser()
    first = await anna.connected()
    await anna.imported(first)
    begun = await anna.connect()
    _, told, _ = await anna.back(await anna.at_bank(begun["url"]))
    assert told == {"connection": begun["id"], "outcome": "connected", "sameLogin": first}
    other = await anna.connect()
    assert "sameLogin" not in (await anna.back(await anna.at_bank(other["url"], login="ben")))[1]


async def test_a_revocation_that_the_bank_does_not_take(site: Site) -> None:
    """Nothing is read from then on; the next call tells the bank again, and forgets the rest."""
    anna = await site.browser()
    connection_id = await anna.connected()
    await anna.imported(connection_id)
    away = Switch(kind=Kind.UNAVAILABLE, times=1, endpoint=Scope.CONSENT)
    site.sandbox[STATE].switches.add("anna~1", away)
    await anna.ask("DELETE", f"/{connection_id}", status=503)
    assert (await site.connection(connection_id)).status is ConnectionStatus.DISCONNECTED
    await anna.ask("POST", f"/{connection_id}/sync", status=409)
    await anna.ask("DELETE", f"/{connection_id}", status=200)
    assert site.consents() == ["revokedByPsu"]
    assert (await site.connection(connection_id)).status_reason is None


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"returnTo": "https://evil.example/banks"}, 422, "invalid-request"),
        ({"returnTo": "javascript:alert(1)"}, 422, "invalid-request"),
        ({"bank": "none"}, 422, "invalid-request"),
        ({"institution": "x" * 300}, 422, "invalid-request"),
    ],
)
async def test_a_wrong_wish_is_refused(site: Site, body: dict[str, Any], status: int, code: str) -> None:
    """Before the bank is asked, with the field's name."""
    anna = await site.browser()
    answer = await anna.ask("POST", "", {"bank": site.kind, **body}, status=status)
    assert answer["code"] == code
    assert answer["errors"][0]["pointer"] == f"/{next(iter(body))}"


async def test_without_a_login_it_is_the_browser(settings: Settings) -> None:
    """A host that doesn't say who is signed in: only the browser in which it was begun can end it."""
    async with site_of(settings, "berlin-group", by_browser=True) as site:
        anna, other = await site.browser(), await site.browser()
        begun = await anna.connect()
        url = await anna.at_bank(begun["url"])
        assert (await other.back(url))[0] == 403
        assert (await anna.back(url))[1]["outcome"] == "connected"


async def test_what_a_log_and_a_table_hold(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """No state, no address and no consent's id stands in the log; the table has but the state's hash."""
    anna = await site.browser()
    begun = await anna.connect()
    url = await anna.at_bank(begun["url"])
    state = url.partition("state=")[2].partition("&")[0] or url.partition("ref=")[2].partition("&")[0]
    await anna.back(url)
    told = "".join(capfd.readouterr())
    assert len(state) >= 22, "at least 128 random bits"
    assert [each for each in (state, begun["url"]) if each in told] == []
    database = site.bank_import.settings.database_url.get_secret_value().partition("///")[2]
    assert state.encode() not in await asyncio.to_thread(Path(database).read_bytes)


async def test_the_bank_says_revoked(site: Site) -> None:
    """What waits for the connection is cancelled at once, and the organisation is told who withdrew it."""
    anna = await site.browser()
    connection_id = await anna.connected()
    await anna.imported(connection_id)
    command = SyncConnection(org_id="acme", connection_id=connection_id, force_full_sync=True)
    due = datetime.now(UTC) + timedelta(hours=3)
    waiting = await site.bank_import.queue.enqueue(Enqueue(command, due=due))
    site.sandbox[STATE].switches.add("anna~1", Switch(kind=Kind.CONSENT_UNKNOWN))
    await site.bank_import.queue.enqueue(Enqueue(command.model_copy(update={"force_full_sync": False})))
    await anna.imported(connection_id)
    job = await site.bank_import.get_job_status(waiting)
    connection = await site.connection(connection_id)
    assert (connection.status, connection.status_reason) == (ConnectionStatus.REQUIRES_REAUTH, "revoked")
    assert job is not None
    assert job.state is JobState.CANCELLED
    told = await site.told("bank.connection.revoked")
    assert [(each.data["connectionId"], each.data["by"]) for each in told] == [(connection_id, "bank")]


async def test_which_banks_there_are(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page learns what `bank` and `institution` take; the long lists are asked for once."""
    anna, stranger = await site.browser(), await site.browser(None)
    address = f"{site.host}/api/organisations/acme/banks"
    async with anna.session.get(address) as answer:
        assert (await answer.json()) == {"banks": [{"name": site.kind, "connectable": True}]}
    flow = site.bank_import.connections.banking.flow(site.kind)
    real, asked = flow.banks, []

    async def banks(country: str | None = None) -> Any:
        asked.append(country)
        return await real(country)

    monkeypatch.setattr(flow, "banks", banks)
    url = f"{address}/{site.kind}/institutions"
    for _ in range(3):
        async with anna.session.get(url, params={"country": "de"}) as answer:
            assert answer.status == 200, await answer.text()
            found = (await answer.json())["institutions"]
    assert [each["id"] for each in found] == [INSTITUTIONS[site.kind] for _ in {site.kind} & set(INSTITUTIONS)]
    assert all({"id", "name", "country", "longestConsentDays", "requiredHeaders", "methods"} == set(e) for e in found)
    assert asked == ["DE"]
    for wrong, status in ((f"{url}?country=Germany", 422), (f"{address}/other/institutions", 404)):
        async with anna.session.get(wrong) as answer:
            assert answer.status == status
    async with stranger.session.get(url) as answer:
        assert answer.status == 403
