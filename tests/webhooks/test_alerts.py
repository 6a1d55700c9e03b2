"""The operator is told that an endpoint was disabled, once, and that this is over."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis

from bankimport import BankImport
from bankimport.errors import StoreUnavailable
from bankimport.models import DisabledBy
from bankimport.queue.queue import Queue
from bankimport.redis.connection import connect
from bankimport.settings import Settings
from bankimport.stream import EventStream
from bankimport.watch.sweeper import Sweeper
from bankimport.worker.telling import watching
from tests.webhooks.conftest import Scene
from tests.webhooks.receiver import Receiver


@dataclass
class Operator:
    """Whoever hears alerts."""

    scene: Scene
    queue: Queue
    events: EventStream

    async def told(self) -> list[bool]:
        """Return what was told of `hook-1` by now, once one of the workers has swept: began, ended."""
        await self.queue.client.delete(self.queue.keys.of("sweeper"))
        await Sweeper(self.queue, watching([self.scene.deliverer()])).run()
        entries = (await self.events.read("0", count=1000)).entries
        told = [entry.event() for entry in entries if entry.name == "bank.queue.alert"]
        return [each.data["active"] for each in told if each and each.data["code"] == "webhook-disabled:hook-1"]


@pytest.fixture
async def operator(scene: Scene, receiver: Receiver, settings: Settings) -> AsyncIterator[Operator]:
    """One who has an endpoint `hook-1`."""
    await scene.endpoint(receiver)
    client = connect(settings, Redis)
    queue = Queue(client, settings)
    stream = EventStream(client, queue.keys)
    yield Operator(scene, queue, stream)
    await stream.aclose()
    await client.aclose()


async def test_until_it_is_enabled(operator: Operator) -> None:
    """It is said once, and is over once somebody enables it. Red before: it was in force for ever."""
    store = operator.scene.store
    assert await operator.told() == []
    await store.set_webhook_disabled("hook-1", DisabledBy.DEAD, operator.scene.now)
    assert await operator.told() == [True]
    assert await operator.told() == [True]
    async with BankImport(operator.scene.settings, banks={}, store=store) as bank_import:
        await bank_import.webhooks.enable("hook-1")
        assert await operator.told() == [True, False]


async def test_until_it_is_removed(operator: Operator) -> None:
    """Or replaced by another, or its organisation erased: it is gone."""
    store = operator.scene.store
    await store.set_webhook_disabled("hook-1", DisabledBy.GONE, operator.scene.now)
    assert await operator.told() == [True]
    await store.remove_webhook_endpoint("hook-1")
    assert await operator.told() == [True, False]


async def test_whoever_disabled_it_knows(operator: Operator) -> None:
    """What a person has disabled alarms nobody."""
    await operator.scene.store.set_webhook_disabled("hook-1", DisabledBy.HAND, operator.scene.now)
    assert await operator.told() == []


async def test_a_database_that_is_away_ends_nothing(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows then whether it was enabled."""
    await operator.scene.store.set_webhook_disabled("hook-1", DisabledBy.DEAD, operator.scene.now)
    assert await operator.told() == [True]

    async def away(_: object) -> bool:
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(type(operator.scene.store), "has_webhook_endpoints", away)
        assert await operator.told() == [True]
    assert await operator.told() == [True]
