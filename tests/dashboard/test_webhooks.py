"""The page *Webhooks*: who is told, what was given up and why; "send again", and enabling, each with a reason."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet

from bankimport import BankImport, Settings
from bankimport.models import AttemptEnded, AuditFilter, DeliveryFilter, DeliveryState, DisabledBy
from bankimport.stores import SqlStore
from tests.migrated import upgraded
from tests.web.test_dashboard import HOSTILE, Pages, served


@pytest.fixture
async def bank_import(settings: Settings) -> AsyncIterator[BankImport]:
    """What the page stands on: a store that keeps webhooks."""
    url = settings.database_url.get_secret_value()
    await upgraded(url)
    async with BankImport(settings, banks={}, store=SqlStore(url, environment="development")) as bank_import:
        yield bank_import


@pytest.fixture
async def pages(bank_import: BankImport) -> AsyncIterator[Pages]:
    """The pages."""
    async with served(bank_import) as pages:
        yield pages


async def given_up(bank_import: BankImport, *, number: int = 2) -> list[str]:
    """Let messages to an operator's endpoint be given up, and one wait; return the ids of those that were."""
    store = bank_import.store
    assert isinstance(store, SqlStore)
    await bank_import.webhooks.add(f"http://127.0.0.1:1/{HOSTILE}?token=canary")
    await store.add_connection(org_id="acme", bank="b", id="giro")
    for _ in range(number + 1):
        await store.note_sync("giro", datetime.now(UTC))
    ids = []
    for _ in range(number):
        now = datetime.now(UTC) + timedelta(seconds=1)
        [taken] = await store.take_webhooks(now, now, limit=1, busy={})
        await store.settle_webhook(taken, AttemptEnded(DeliveryState.FAILED, 400, "refused"), now)
        ids.append(taken.delivery.id)
    return ids


async def states(bank_import: BankImport) -> list[str]:
    """Return the states of all deliveries, the oldest first."""
    found = (await bank_import.webhooks.deliveries()).deliveries
    return [each.state.value for each in reversed(found)]


async def test_without_an_endpoint(pages: Pages) -> None:
    """It says so, and how one is added."""
    page = await pages.get("/webhooks")
    assert "No other service is told" in page
    assert "bankimport webhooks add" in page


async def test_what_was_given_up_is_understood_and_sent_again(pages: Pages, bank_import: BankImport) -> None:
    """With the status and in words; one of them, then all that the filter means, with a reason; a query of an address and
    hostile texts show nowhere as they are."""
    first, _ = await given_up(bank_import)
    page = await pages.get("/webhooks")
    assert page.count("given up</span>") == 2
    assert "refused (400)" in page
    assert "canary" not in page
    assert "<img/src" not in page
    german = await pages.get("/webhooks?state=failed", **{"Accept-Language": "de"})
    assert "aufgegeben" in german
    assert (await pages.post("/webhooks/replay", message=first)).status == 422  # a reason is needed
    answer = await pages.post("/webhooks/replay", message=first, reason="mended")
    assert answer.status == 303
    assert await states(bank_import) == ["waiting", "failed", "waiting"]
    assert "1 message is sent again." in await pages.get("/webhooks?done=replay&number=1")
    again = await pages.post("/webhooks/replay", connection="giro", state="failed", reason="mended")
    assert again.status == 303
    assert await states(bank_import) == ["waiting"] * 3
    assert (await pages.post("/webhooks/replay", state="failed", reason="all")).status == 422
    assert (await pages.post("/webhooks/replay", message="msg_none", reason="x")).status == 404
    entries = (await bank_import.audit.list(AuditFilter(action="webhooks.replay"))).entries
    assert [(entry.via, entry.reason, entry.facts["webhooks"]) for entry in entries][-1] == ("page", "mended", 1)


async def test_an_endpoint_is_enabled_with_a_reason(pages: Pages, bank_import: BankImport) -> None:
    """One that was disabled says why, and is told again."""
    await given_up(bank_import)
    [endpoint] = await bank_import.webhooks.list()
    store = bank_import.store
    assert isinstance(store, SqlStore)
    await store.set_webhook_disabled(endpoint.id, DisabledBy.DEAD, datetime.now(UTC))
    page = await pages.get("/webhooks")
    assert "1 endpoint is disabled" in page
    assert "it took nothing for three days" in page
    assert "A webhook’s endpoint is disabled" in await pages.get()
    assert (await pages.post(f"/webhooks/{endpoint.id}/enable", reason="it is back")).status == 303
    assert (await bank_import.webhooks.get(endpoint.id)).disabled_by is None
    assert (await pages.post(f"/webhooks/{endpoint.id}/enable", reason="it is back")).status == 409
    assert (await pages.post(f"/webhooks/{endpoint.id}/disable", reason="too loud")).status == 303
    assert (await pages.post("/webhooks/hook_none/disable", reason="x")).status == 404


async def test_filters_are_in_the_address(pages: Pages, bank_import: BankImport) -> None:
    """State, endpoint, organisation and connection narrow; nonsense is named."""
    await given_up(bank_import)
    [endpoint] = await bank_import.webhooks.list()
    assert (await pages.get(f"/webhooks?endpoint={endpoint.id}&state=waiting")).count('data-label="Told"') == 1
    assert (await pages.get("/webhooks?org=globex")).count('data-label="Told"') == 0
    await pages.get("/webhooks?state=nonsense", status=422)
    assert await bank_import.webhooks.deliveries(DeliveryFilter(org_id="acme"))


async def test_a_secret_that_can_not_be_decrypted(bank_import: BankImport, settings: Settings) -> None:
    """Its key was rotated away: the list says so, and how to mend it."""
    url = settings.database_url.get_secret_value()
    async with BankImport(
        settings, banks={}, store=SqlStore(url, credentials_key=Fernet.generate_key().decode())
    ) as old:
        await old.webhooks.add("http://127.0.0.1:1/")
    async with served(bank_import) as pages:
        assert "bankimport webhooks rotate" in await pages.get("/webhooks")
