"""A secret that can't be decrypted, since its key was rotated away, costs its endpoint alone, and says how to mend it."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from bankimport import BankImport
from bankimport.models import DeliveryFilter
from bankimport.stores import SqlStore
from tests.webhooks.conftest import NONE, Scene
from tests.webhooks.receiver import Receiver, receiving

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture
async def lost(scene: Scene, url: str) -> AsyncIterator[Receiver]:
    """An endpoint `lost` whose secret was encrypted with the old key; the scene's store has the new one alone."""
    async with receiving() as receiver:
        before = SqlStore(url, credentials_key=OLD)
        scene.store = before
        await scene.endpoint(receiver, id="lost")
        await before.aclose()
        scene.store = SqlStore(url, credentials_key=NEW)
        yield receiver
        await scene.store.aclose()


async def test_it_costs_its_endpoint_alone(
    scene: Scene, lost: Receiver, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """Others hear everything; nothing of its own is counted as an attempt; the log says it once a minute, with how to
    mend it. Red before: no endpoint was told anything, and every second wrote an error without a name."""
    await scene.endpoint(receiver, id="well")
    accounts = [await scene.account(name) for name in "abcdef"]
    for account in accounts:
        await scene.imported(account)
    await scene.later(NONE)
    assert sorted(receiver.data("connectionId")) == ["a", "b", "c", "d", "e", "f"]
    said = [line for line in capsys.readouterr().out.splitlines() if "webhook.secret_unreadable" in line]
    assert len(said) == 1
    assert "lost" in said[0]
    assert "bankimport webhooks rotate" in said[0]
    await scene.later(timedelta(seconds=50))
    assert "secret_unreadable" not in capsys.readouterr().out
    await scene.later(timedelta(seconds=11))
    assert capsys.readouterr().out.count("secret_unreadable") == 1
    assert lost.raw == []
    waiting = await scene.store.webhook_deliveries(DeliveryFilter(endpoint_id="lost"), before=None, limit=9)
    assert {(each.state.value, each.attempts) for _, each in waiting} == {("waiting", 0)}
    assert [(each.id, each.secret_readable) for each in await scene.store.webhook_endpoints()] == [
        ("lost", False),
        ("well", True),
    ]


async def test_a_worker_that_has_the_key_delivers(scene: Scene, lost: Receiver, url: str) -> None:
    """While keys are being rolled out, some workers have the old one behind the new one: they tell the endpoint."""
    await scene.imported(await scene.account("giro"))
    await scene.later(NONE)
    assert lost.heard == []
    scene.store = SqlStore(url, credentials_key=f"{NEW},{OLD}")
    await scene.later(NONE, scene.deliverer())
    assert len(lost.heard) == 1
    await scene.store.aclose()


async def test_a_new_secret_mends_it(scene: Scene, lost: Receiver) -> None:
    """Whoever has lost the old key gives the endpoint a new secret, and all that has waited goes out. Red before: the
    secret could not be replaced either."""
    await scene.imported(await scene.account("giro"))
    await scene.later(NONE)
    async with BankImport(scene.settings, banks={}, store=scene.store) as bank_import:
        lost.secrets.append(await bank_import.webhooks.rotate("lost"))
        await scene.later(timedelta(minutes=1))
        assert len(lost.heard) == 1
