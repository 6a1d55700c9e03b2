"""`bank_import.webhooks`: endpoints are added, seen, changed, and what was delivered is sent again; all of it is audited."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from bankimport import BankImport, Settings, acting_as
from bankimport.errors import Conflict, InvalidRequest, InvalidSettings, NotFound, NotOffered
from bankimport.models import AuditFilter, DeliveryFilter, DeliveryState, DisabledBy
from bankimport.providers.addresses import PublicResolver
from bankimport.stores import SqlStore
from bankimport.testing import MemoryStore
from bankimport.webhooks import checked_url
from bankimport.webhooks.sending import Sender
from tests.migrated import upgraded
from tests.stores.databases import scalar
from tests.webhooks.conftest import Scene
from tests.webhooks.receiver import Receiver

URL = "https://hooks.example/bank?token=t"


@asynccontextmanager
async def serving(settings: Settings, store: object) -> AsyncIterator[BankImport]:
    """Start an object without banks."""
    async with BankImport(settings, banks={}, store=store) as bank_import:  # type: ignore[arg-type]  # one is none
        yield bank_import


@pytest.fixture
async def bank_import(settings: Settings) -> AsyncIterator[BankImport]:
    """One on a database of its own, with a key."""
    url = settings.database_url.get_secret_value()
    await upgraded(url)
    async with serving(settings, SqlStore(url, credentials_key=Fernet.generate_key().decode())) as bank_import:
        yield bank_import


async def test_an_endpoints_life(bank_import: BankImport, settings: Settings) -> None:
    """It is added with a secret that no table shows, replaced, disabled, enabled and removed; each of it is written down
    with who did it and why."""
    hooks = bank_import.webhooks
    with acting_as("ops", reason="because"):
        endpoint, secret = await hooks.add(URL, org_id="acme", types=["bank.transactions.changed"])
        stored = await scalar(settings.database_url.get_secret_value(), "SELECT secrets FROM bank_webhook_endpoints")
        assert secret.startswith("whsec_")
        assert secret not in stored
        assert list(await hooks.list("acme")) == [endpoint]
        assert list(await hooks.list("globex")) == []
        assert await hooks.rotate(endpoint.id) != secret
        await hooks.disable(endpoint.id)
        with pytest.raises(Conflict):
            await hooks.disable(endpoint.id)
        assert (await hooks.get(endpoint.id)).disabled_by is DisabledBy.HAND
        await hooks.enable(endpoint.id)
        assert (await hooks.get(endpoint.id)).disabled_by is None
        await hooks.remove(endpoint.id)
    assert list(await hooks.list()) == []
    entries = (await bank_import.audit.list(AuditFilter(action="webhooks"))).entries
    done = ["add", "rotate", "disable", "enable", "remove"]
    assert [entry.action for entry in reversed(entries)] == [f"webhooks.{each}" for each in done]
    assert {(entry.who, entry.org_id, entry.subject, entry.reason) for entry in entries} == {
        ("ops", "acme", f"webhook:{endpoint.id}", "because")
    }


async def test_another_organisations_is_none(bank_import: BankImport) -> None:
    """Whoever names an organisation reaches its own alone; one of all organisations is nobody's."""
    hooks = bank_import.webhooks
    own, _ = await hooks.add(URL, org_id="acme")
    all_, _ = await hooks.add(URL)
    for endpoint in (own, all_):
        for call in (hooks.get, hooks.remove, hooks.rotate, hooks.disable, hooks.enable):
            with pytest.raises(NotFound):
                await call(endpoint.id, org_id="globex")
    assert len(await hooks.list()) == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "https://127.0.0.1/",
        "https://localhost:8443/",
        "https://10.1.2.3/",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/",
        "https://user:pass@hooks.example/",
        "https://hooks.example/#part",
        "ftp://hooks.example/",
        "https:///path",
        "nonsense",
        f"https://hooks.example/{'x' * 2000}",
    ],
)
async def test_where_no_webhook_may_lead(bank_import: BankImport, url: str) -> None:
    """An organisation's people may type what they like: nothing within, nothing unencrypted."""
    with pytest.raises(InvalidRequest, match="/url"):
        await bank_import.webhooks.add(url, org_id="acme")


def test_an_operators_endpoint_may_be_here() -> None:
    """On this machine, without TLS too; in a private network it may not."""
    for url in ("http://127.0.0.1:9000/hooks", "http://localhost/hooks", "https://hooks.example"):
        assert str(checked_url(url, of_organisation=False)).rstrip("/") == url
    with pytest.raises(InvalidRequest):
        checked_url("http://192.168.1.1/", of_organisation=False)


async def test_a_name_that_leads_within_is_not_asked(
    scene: Scene, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A public name whose address is of a private network, or of this machine, now or later, gets nothing."""

    async def resolved(self: object, host: str, port: int = 0, family: object = None) -> list[dict[str, object]]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]

    monkeypatch.setattr("bankimport.providers.addresses.ThreadedResolver.resolve", resolved)
    assert PublicResolver
    sender = Sender(timedelta(seconds=5))
    port = receiver.url.split(":")[2].split("/")[0]
    answer = await sender.send(f"https://rebound.example:{port}/hooks", "{}", {}, scene.now, of_organisation=True)
    assert (answer.status, answer.error) == (None, "private-address")
    assert receiver.raw == []
    await sender.aclose()


async def test_what_can_not_be_asked(bank_import: BankImport, settings: Settings) -> None:
    """Wrong types, secrets, pages and replays of everything are refused; so is a store that tells nobody, and one
    without a key."""
    hooks = bank_import.webhooks
    for wrong in ({"types": ["bank.nothing"]}, {"secret": "whsec_c2hvcnQ="}, {"secret": "plain"}):
        with pytest.raises(InvalidRequest):
            await hooks.add(URL, **wrong)  # type: ignore[arg-type]  # what is wrong is the test
    with pytest.raises(InvalidRequest, match="/limit"):
        await hooks.deliveries(limit=0)
    with pytest.raises(InvalidRequest, match="/cursor"):
        await hooks.deliveries(cursor="1 OR 1")
    with pytest.raises(InvalidRequest, match="/endpointId"):
        await hooks.replay(DeliveryFilter(state=DeliveryState.FAILED))
    with pytest.raises(InvalidRequest, match="/state"):
        await hooks.replay(DeliveryFilter(endpoint_id="x", state=DeliveryState.WAITING))
    async with serving(settings, MemoryStore()) as other:
        with pytest.raises(NotOffered):
            await other.webhooks.list()
    async with serving(settings, SqlStore(settings.database_url.get_secret_value())) as keyless:
        with pytest.raises(InvalidSettings, match="BANK_SYNC_CREDENTIALS_KEY"):
            await keyless.webhooks.add(URL)


async def test_pages_of_deliveries(bank_import: BankImport) -> None:
    """The newest first, each once."""
    await bank_import.webhooks.add(URL)
    connection_id = await bank_import.store.add_connection(org_id="acme", bank="b")  # type: ignore[attr-defined]
    for _ in range(5):
        await bank_import.store.note_sync(connection_id, bank_import._clock())
    seen: list[str] = []
    cursor = None
    for number in (2, 2, 1):
        page = await bank_import.webhooks.deliveries(cursor=cursor, limit=2)
        assert len(page.deliveries) == number
        seen += [each.id for each in page.deliveries]
        cursor = page.next_cursor
    assert cursor is None
    assert len(set(seen)) == 5
    created = [each.created_at for each in (await bank_import.webhooks.deliveries()).deliveries]
    assert created == sorted(created, reverse=True)
    assert [each.next_at is not None for each in (await bank_import.webhooks.deliveries()).deliveries] == [
        *[False] * 4,
        True,
    ]
