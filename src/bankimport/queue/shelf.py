"""Tokens of providers in Redis, for all workers: sealed by the provider, and made by one worker at a time."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

from redis.exceptions import LockError

from bankimport.errors import Unavailable
from bankimport.queue.connection import LOST, patiently
from bankimport.queue.queue import Queue

#: a request to a bank ends sooner; who died in its turn loses it then
_TURN: Final = timedelta(seconds=90)
_PAUSE: Final = 0.05


class RedisShelf:
    """The `TokenShelf` of a queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def get(self, name: str) -> str | None:
        """See `TokenShelf`."""
        value: bytes | None = await patiently(lambda: self._queue.client.get(self._queue.keys.of("token", name)))
        return None if value is None else value.decode(errors="replace")

    async def put(self, name: str, value: str, ttl: timedelta) -> None:
        """See `TokenShelf`."""
        await patiently(lambda: self._queue.client.set(self._queue.keys.of("token", name), value, px=_ms(ttl)))

    async def drop(self, name: str) -> None:
        """See `TokenShelf`."""
        await patiently(lambda: self._queue.client.delete(self._queue.keys.of("token", name)))

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncGenerator[None, None]:
        """See `TokenShelf`."""
        key = self._queue.keys.of("token_turn", name)
        lock = self._queue.client.lock(key, timeout=_TURN.total_seconds(), sleep=_PAUSE)
        try:
            await lock.acquire()
        except LOST as error:
            raise Unavailable("Redis") from error
        try:
            yield
        finally:
            with suppress(LockError, *LOST):  # it ends by itself
                await lock.release()


def _ms(duration: timedelta) -> int:
    return max(1, int(duration / timedelta(milliseconds=1)))
