"""One connection, kept: commands go out together, their answers come back in order.

A pool of redis-py gives a connection for each command and tries it before: a third of what a short command costs.
"""

from collections.abc import Callable, Sequence
from typing import Any

from hiredis import pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import BusyLoadingError, ReadOnlyError, ResponseError

from bankimport.redis.connection import in_place, patiently

Commands = Sequence[Sequence[Any]]


class Line:
    """Exchanges commands for answers, one exchange at a time. The client's `aclose` ends its connection too."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._connection: AbstractConnection | None = None
        #: why the last try failed
        self.trouble: Exception | None = None

    async def exchange(self, commands: Callable[[bool], Commands]) -> list[Any]:
        """Return the answer of each of the commands; that of a refused one is its error. `commands` is told whether
        they may have been carried out before: the link failed, and they are asked for again.

        Raises:
            Unavailable: Redis can't be reached within the deadline.
        """
        tries = 0

        async def once() -> list[Any]:
            nonlocal tries
            tries += 1
            try:
                answers = await self._once(commands(tries > 1))
            except Exception as error:
                self.trouble = error
                raise
            self.trouble = None
            return answers

        return await patiently(once, bounded=in_place)

    async def _once(self, commands: Commands) -> list[Any]:
        if self._connection is None:
            self._connection = self._client.connection_pool.get_available_connection()
            # `patiently` bounds a whole exchange; redis-py would begin a task for each sending, a timer for each answer
            self._connection.socket_timeout = None
            await self._connection.disconnect(nowait=True)  # what another has left in it is not ours
        connection = self._connection
        try:
            await connection.connect()
            packed = [pack_command(tuple(command)) for command in commands]  # redis-py's own packs in Python
            await connection.send_packed_command(packed, check_health=False)
            answers = [await _answer(connection) for _ in commands]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        for answer in answers:
            if isinstance(answer, ReadOnlyError | BusyLoadingError):  # a failover: the next connection may know better
                await connection.disconnect(nowait=True)
                raise answer
        return answers


async def _answer(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except (ResponseError, BusyLoadingError) as error:
        return error
