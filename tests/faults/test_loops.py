"""A host that runs a loop for each request keeps one queue: no call outlives its deadline."""

import asyncio

import pytest
from redis.asyncio import Redis

from bankimport.commands import SyncConnection
from bankimport.queue.queue import Enqueue, Queue
from bankimport.redis.connection import connect
from bankimport.settings import Settings


@pytest.mark.in_time
def test_a_call_in_another_loop_ends_in_time(settings: Settings) -> None:
    queue = Queue(connect(settings, Redis), settings)

    async def ask(connection: str) -> bool:
        asked = asyncio.ensure_future(queue.enqueue(Enqueue(SyncConnection(org_id="o", connection_id=connection))))
        done, _ = await asyncio.wait({asked}, timeout=5)
        if not done:
            asked.cancel()
        else:
            asked.exception()
        return bool(done)

    assert asyncio.run(ask("a"))
    assert asyncio.run(ask("b"))  # well or badly, but it ends
