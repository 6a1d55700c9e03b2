"""Who gives up waiting for Redis leaves nothing behind that complains."""

import asyncio
import gc
from typing import Any, cast

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from bankimport.stream.hub import LiveHub
from bankimport.stream.reader import StreamReader


class _Late:
    """A reader whose answer is an error, once it may come."""

    def __init__(self) -> None:
        self.may_come = asyncio.Event()

    async def end(self) -> None:
        await self.may_come.wait()
        raise RedisConnectionError("Connection closed by server")


async def test_an_answer_that_nobody_waits_for() -> None:
    """A follower that gives up in an outage leaves a question whose error is nobody's. Red before: asyncio printed its
    traceback, with redis-py's text."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    late = _Late()
    hub = LiveHub(cast(StreamReader, late))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await hub.subscribe()
    late.may_come.set()
    for _ in range(5):
        await asyncio.sleep(0)
    del hub
    gc.collect()
    assert complaints == []
