"""What the server says of itself: whether it drops keys, and whether it keeps them over a restart (arq.md 27)."""

from datetime import datetime, timedelta

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bankimport.redis.connection import is_lost, patiently

#: It is asked once in this time.
_FACTS_FOR = timedelta(seconds=60)


class Server:
    """The server behind a client."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._facts: tuple[datetime, str | None, bool | None] | None = None

    async def facts(self, now: datetime) -> tuple[str | None, bool | None]:
        """Return the memory policy and whether anything is persisted; None where a managed server doesn't tell.

        Raises:
            Unavailable: Redis can't be reached.
        """
        if self._facts is None or now - self._facts[0] > _FACTS_FOR:
            memory = await patiently(lambda: self._client.info("memory"))
            self._facts = (now, memory.get("maxmemory_policy"), await self._persists())
        return self._facts[1], self._facts[2]

    async def _persists(self) -> bool | None:
        persistence = await patiently(lambda: self._client.info("persistence"))
        if persistence.get("aof_enabled"):
            return True
        try:
            return bool((await patiently(lambda: self._client.config_get("save"))).get("save", ""))
        except RedisError as error:  # CONFIG is forbidden on managed servers
            if is_lost(error):
                raise
            return None
