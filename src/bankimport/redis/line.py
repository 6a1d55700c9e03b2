"""One connection, kept: commands go out together, their answers come back in order.

A pool of redis-py gives a connection for each command and tries it before: a third of what a short command costs. Its
connections read through asyncio's streams, which is half of the rest: here it opens them (address, TLS, password,
database, sentinel), and then their transport is given a protocol of ours, which hands what comes to hiredis.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from hiredis import Reader, pack_command
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, DefaultParser
from redis.exceptions import BusyLoadingError, InvalidResponse, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError

from bankimport.redis.connection import in_place, patiently
from bankimport.redis.deadline import LONGEST, left

Commands = Sequence[Sequence[Any]]


class _Wire(asyncio.Protocol):
    """What is on its way in one open connection."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        #: is told of the end, for who closes the connection
        self._opened_by = transport.get_protocol()
        self._reader = Reader(protocolError=InvalidResponse, replyError=DefaultParser.parse_error)
        self._answers: list[Any] = []
        self._number = 0
        self._all: asyncio.Future[list[Any]] | None = None
        #: when what is waited for is late, by the monotonic clock; a timer that looks by then: when, in which loop
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer_until = 0.0
        transport.set_protocol(self)
        transport.resume_reading()  # streams pause where nobody reads

    @property
    def is_open(self) -> bool:
        """Whether anything can be sent."""
        return not self._transport.is_closing()

    async def ask(self, commands: Commands, seconds: float) -> list[Any]:
        """Send commands here and now, and return their answers.

        Raises:
            RedisError, OSError: they don't come within so many seconds, or the connection ends.
        """
        self._answers, self._number = [], len(commands)
        loop = asyncio.get_running_loop()
        answers: asyncio.Future[list[Any]] = loop.create_future()
        self._all = answers
        self._until = time.monotonic() + seconds
        if self._timer is None or self._timer_until > self._until or self._loop is not loop:
            self._loop = loop
            self._look_at(self._until, seconds)
        try:
            self._transport.write(b"".join([pack_command(tuple(command)) for command in commands]))
            return await answers
        finally:
            self._all = None

    def _look_at(self, until: float, seconds: float) -> None:
        # one timer for many exchanges: to begin and end one costs as much as to send a short command
        if self._timer is not None:
            self._timer.cancel()
        self._timer_until = until
        self._timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self._look)

    def _look(self) -> None:
        self._timer = None
        if self._all is None:
            return
        seconds = self._until - time.monotonic()
        if seconds > 0:
            self._look_at(self._until, seconds)
        else:
            self._fail(TimeoutError("no answer in time"))

    def data_received(self, data: bytes) -> None:
        """Take what came; the last answer is what is waited for."""
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not False:
                self._answers.append(answer)
        except InvalidResponse as error:
            self._transport.abort()
            self._fail(error)
            return
        if self._all is not None and len(self._answers) >= self._number and not self._all.done():
            self._all.set_result(self._answers)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is waited for."""
        self._fail(RedisConnectionError("the connection was closed"))
        self._opened_by.connection_lost(exc)

    def _fail(self, error: Exception) -> None:
        if self._all is not None and not self._all.done():
            self._all.set_exception(error)


class Line:
    """Exchanges commands for answers, one exchange at a time. The client's `aclose` ends its connection too."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._connection: AbstractConnection | None = None
        self._wire: _Wire | None = None
        #: why the last try failed
        self.trouble: Exception | None = None

    async def exchange(self, commands: Callable[[bool], Commands]) -> list[Any]:
        """Return the answer of each of the commands; that of a refused one is its error. `commands` is told whether
        they may have been carried out before: the link failed, and they are asked for again.

        Raises:
            Unavailable: Redis can't be reached within the deadline.
        """
        seconds, began = left(), time.monotonic()
        try:
            return await self._once(commands(False), seconds)
        except Exception as error:  # only what has failed needs patience, which is told of it first
            return await self._patiently(commands, error, max(0.0, began + seconds - time.monotonic()))

    async def _patiently(self, commands: Callable[[bool], Commands], error: Exception, seconds: float) -> list[Any]:
        failed = [error]

        async def again() -> list[Any]:
            if failed:
                raise failed.pop()
            return await self._once(commands(True), LONGEST)

        return await patiently(again, within=seconds, bounded=in_place)

    async def wait(self, commands: Commands, seconds: float) -> list[Any]:
        """Return the answers to commands of which the first may wait; there is no second try.

        Raises:
            RedisError, OSError: Redis can't be reached, or is not within so many seconds.
        """
        return await self._once(commands, seconds)

    async def _once(self, commands: Commands, seconds: float) -> list[Any]:
        wire = self._wire
        try:
            if wire is None or not wire.is_open:
                wire = self._wire = await in_place(self._open, seconds)
            answers = await wire.ask(commands, seconds)
            for answer in answers:
                if isinstance(answer, ReadOnlyError | BusyLoadingError):
                    raise answer  # a failover: the next connection may know better
        except BaseException as error:
            self._wire = None
            if isinstance(error, Exception):
                self.trouble = error
            if self._connection is not None:
                await self._connection.disconnect(nowait=True)
            raise
        self.trouble = None
        return answers

    async def _open(self) -> _Wire:
        """Open the connection anew: what was in it is not ours."""
        if self._connection is None:
            self._connection = self._client.connection_pool.get_available_connection()
            self._connection.socket_timeout = None  # each exchange has its own
        await self._connection.disconnect(nowait=True)
        await self._connection.connect()
        opened = cast("asyncio.StreamWriter", self._connection._writer)  # noqa: SLF001  # redis-py shows it nowhere else
        return _Wire(cast("asyncio.Transport", opened.transport))
