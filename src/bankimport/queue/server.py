"""What the server says of itself: whether it drops keys, and whether it keeps them over a restart (arq.md 27)."""

from datetime import datetime, timedelta

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bankimport.errors import Unavailable
from bankimport.queue.connection import LOST

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
            try:
                info = await self._client.info("memory")
                persistence = await self._client.info("persistence")
                saves = (await self._client.config_get("save")).get("save", "")
                aof = bool(persistence.get("aof_enabled"))
                self._facts = (now, info.get("maxmemory_policy"), aof or bool(saves))
            except LOST as error:
                raise Unavailable("Redis") from error
            except RedisError:  # CONFIG is forbidden on managed servers
                self._facts = (now, None, None)
        return self._facts[1], self._facts[2]
