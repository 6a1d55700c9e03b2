"""One connection, kept: commands go out together, their answers come back in order.

A pool of redis-py gives a connection for each command and tries it before: a third of what a short command costs.
"""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from bankimport.queue.connection import LOST


class Line:
    """Exchanges commands for answers, one exchange at a time. The client's `aclose` ends its connection too."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._connection: AbstractConnection | None = None

    async def exchange(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Return the answer of each command; that of a refused one is its error. Tried again where the link fails.

        Raises:
            redis.ConnectionError and the others of `LOST`: Redis can't be reached.
        """
        if self._connection is None:
            self._connection = await self._client.connection_pool.get_connection()
        connection = self._connection
        answers: list[Any] = await connection.retry.call_with_retry(
            lambda: _exchange(connection, commands), lambda _: connection.disconnect()
        )
        return answers


async def _exchange(connection: AbstractConnection, commands: Sequence[Sequence[Any]]) -> list[Any]:
    await connection.send_packed_command(connection.pack_commands(commands))
    return [await _answer(connection) for _ in commands]


async def _answer(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        if isinstance(error, LOST):
            raise
        return error
