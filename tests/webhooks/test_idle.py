"""What waiting for webhooks costs the database: nothing while no endpoint exists, little while nothing is written."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from sqlalchemy import event

from bankimport.stores import SqlStore
from bankimport.webhooks import Deliverer, deliverer
from tests.waiting import wait_until
from tests.webhooks.conftest import Scene
from tests.webhooks.receiver import Receiver

#: a minute of a worker is a second of the tests'
FASTER = 60


@pytest.fixture(autouse=True)
def _a_minute_is_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SHORTEST", "_LONGEST", "_NOBODY"):
        monkeypatch.setattr(deliverer, name, getattr(deliverer, name) / FASTER)


@contextmanager
def asked_of(store: SqlStore) -> Iterator[list[str]]:
    """Collect the queries of a store."""
    queries: list[str] = []

    def heard(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT"):
            queries.append(statement)

    engine = store._engine.sync_engine
    event.listen(engine, "before_cursor_execute", heard)
    try:
        yield queries
    finally:
        event.remove(engine, "before_cursor_execute", heard)


@asynccontextmanager
async def working(scene: Scene) -> AsyncIterator[Deliverer]:
    """Let a worker deliver, turn by turn."""
    each = scene.deliverer()

    async def turns() -> None:
        while True:
            await each.turn()

    task = asyncio.create_task(turns())
    try:
        yield each
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_without_an_endpoint(scene: Scene) -> None:
    """It is asked once a minute whether there is one, and nothing else. It was sixty times."""
    with asked_of(scene.store) as queries:
        async with working(scene):
            began = time.monotonic()
            await asyncio.sleep(1.2)  # more than a minute
            minutes = time.monotonic() - began
    assert len(queries) <= 1 + minutes
    assert all("bank_webhook_lanes" not in each for each in queries)


async def test_while_nothing_is_written(scene: Scene, receiver: Receiver) -> None:
    """Every four seconds, and once a minute whether there is an endpoint. It was sixty times a minute."""
    await scene.told(receiver)
    with asked_of(scene.store) as queries:
        async with working(scene):
            await asyncio.sleep(1)  # a minute
            assert len(queries) <= 20
            await wait_until(lambda: len(queries) >= 5)


async def test_what_is_written_is_told_at_once_by_who_wrote_it(
    scene: Scene, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit of this process is no matter of waiting for the next look."""
    for name in ("_SHORTEST", "_LONGEST", "_NOBODY"):
        monkeypatch.setattr(deliverer, name, 3600)
    account = await scene.told(receiver)
    async with working(scene):
        await scene.imported(account)
        await wait_until(lambda: len(receiver.heard) == 1)


async def test_what_others_have_written_is_told_soon(scene: Scene, receiver: Receiver, url: str) -> None:
    """Another process's commit wakes nobody here: it is found by the next look, also where an endpoint is new."""
    async with working(scene):
        await asyncio.sleep(0.1)  # it has asked, and there was none
        other = Scene(SqlStore(url, environment="development"), scene.settings)
        await other.imported(await other.told(receiver))
        await wait_until(lambda: len(receiver.heard) == 1)
        await other.store.note_sync("giro", scene.now)
        await wait_until(lambda: len(receiver.heard) == 2)
        await other.store.aclose()
