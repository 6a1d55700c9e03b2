"""A writer and a reader of the test's own streams."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from bankimport.stream import EventStream
from tests.stream.writing import StreamWriter


@pytest.fixture
def keys() -> Keys:
    """The keys of the queue."""
    return Keys("bank-import")


@pytest.fixture
def writer(redis_client: "Redis[str]", keys: Keys) -> StreamWriter:
    """What writes."""
    return StreamWriter(redis_client, keys)


@pytest.fixture
async def events(settings: Settings, keys: Keys) -> AsyncIterator[EventStream]:
    """What reads, on a client as the application has one."""
    client = connect(settings, Redis)
    stream = EventStream(client, keys)
    yield stream
    await stream.aclose()
    await client.aclose()
