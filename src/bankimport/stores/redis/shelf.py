"""Tokens of providers in Redis, for all workers: sealed by the provider, and made by one worker at a time."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final

from redis.exceptions import LockError

from bankimport.errors import Unavailable
from bankimport.redis.connection import LOST, patiently
from bankimport.redis.scripts import Place

#: a request to a bank ends sooner; who died in its turn loses it then
_TURN: Final = timedelta(seconds=90)
_PAUSE: Final = 0.05
_SHORTEST: Final = timedelta(milliseconds=1)


class RedisShelf:
    """The `TokenShelf` of a queue."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def get(self, name: str) -> str | None:
        """See `TokenShelf`."""
        value: bytes | None = await patiently(lambda: self._place.client.get(self._place.keys.of("token", name)))
        return None if value is None else value.decode(errors="replace")

    async def put(self, name: str, value: str, ttl: timedelta) -> None:
        """See `TokenShelf`."""
        await patiently(
            lambda: self._place.client.set(self._place.keys.of("token", name), value, px=max(ttl, _SHORTEST))
        )

    async def drop(self, name: str) -> None:
        """See `TokenShelf`."""
        await patiently(lambda: self._place.client.delete(self._place.keys.of("token", name)))

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncGenerator[None, None]:
        """See `TokenShelf`."""
        key = self._place.keys.of("token_turn", name)
        lock = self._place.client.lock(key, timeout=_TURN.total_seconds(), sleep=_PAUSE)
        try:
            await lock.acquire()
        except LOST as error:
            raise Unavailable("Redis") from error
        try:
            yield
        finally:
            with suppress(LockError, *LOST):  # it ends by itself
                await lock.release()
