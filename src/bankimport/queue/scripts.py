"""The Lua scripts: read from the package, rendered once a queue, sent by digest, many in one round trip.

All calls of a process go through one line, first in, first out: what waits while a round trip is under way goes out
together in the next one. So progress written before a job's end arrives before it, and ten jobs that end at once cost
one write to the socket.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from bankimport.errors import Unavailable
from bankimport.events import Event
from bankimport.queue.connection import is_lost, unavailable
from bankimport.queue.deadline import GRACE, apart, left
from bankimport.queue.keys import Keys
from bankimport.queue.line import Line
from bankimport.queue.rendering import render
from bankimport.settings import Settings

#: Hears of every event that this process's scripts have emitted.
Listener = Callable[[Event], None]

_MOST_IN_ONE_TRIP = 256


@dataclass(frozen=True, slots=True)
class _Call:
    """A script asked for, and the future of its answer. A token lets its answer be asked for again."""

    name: str
    args: Sequence[bytes]
    token: bytes
    again: bool
    answer: "asyncio.Future[Any]"


class Scripts:
    """Calls the scripts of one queue on one client."""

    def __init__(self, client: Redis, keys: Keys, settings: Settings) -> None:
        self._line = Line(client)
        self._keys = (keys.prefix.encode(), keys.queue.encode())
        self._settings = settings
        self._arguments: dict[str, Sequence[tuple[str, str]]] = {}
        self._digests: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._waiting: list[_Call] = []
        self._under_way = False
        self._sender: asyncio.Task[None] | None = None
        self.listener: Listener | None = None
        #: called before a trip begins; what it puts into the line travels along
        self.before_trip: Callable[[], None] | None = None

    def declare(self, name: str, arguments: Sequence[tuple[str, str]]) -> None:
        """Learn the argument list of a script."""
        self._arguments[name] = arguments

    async def call(self, name: str, args: Sequence[bytes], token: bytes, *, again: bool = False) -> Any:
        """Run a script and return its answer (bytes, ints and lists); `again` where it may have been carried out.

        Raises:
            Unavailable: Redis can't be reached, or refuses.
        """
        call = _Call(name, args, token, again, asyncio.get_running_loop().create_future())
        if self._under_way or self.listener is not None:
            self._put(call)
            return await self.wait(call.answer)
        self._under_way = True  # the line is empty: no task need carry this call, and nobody hears of its events
        try:
            await self._carry([call])
        finally:
            self._go_on()
        return call.answer.result()

    async def wait(self, answer: "asyncio.Future[Any]") -> Any:
        """Return the answer to a call in the line.

        Raises:
            Unavailable: there is none within the deadline.
        """
        try:
            async with asyncio.timeout(left() + GRACE):
                return await answer
        except TimeoutError:
            raise unavailable(self._line.trouble) from None

    def send(self, name: str, args: Sequence[bytes], token: bytes) -> "asyncio.Future[Any]":
        """Put a call into the line without waiting for it; the future has its answer."""
        call = _Call(name, args, token, False, asyncio.get_running_loop().create_future())
        self._put(call)
        return call.answer

    def _put(self, call: _Call) -> None:
        self._waiting.append(call)
        if not self._under_way:
            self._go_on()

    def _go_on(self) -> None:
        """Let a task carry what waits; it is kept here, or nobody would hold it."""
        self._under_way = bool(self._waiting)
        if self._waiting:
            self._sender = asyncio.create_task(self._carry_all(), context=apart())

    async def _carry_all(self) -> None:
        try:
            while self._waiting:
                if self.before_trip is not None:
                    self.before_trip()
                trip, self._waiting = self._waiting[:_MOST_IN_ONE_TRIP], self._waiting[_MOST_IN_ONE_TRIP:]
                await self._carry([call for call in trip if not call.answer.done()])
        finally:
            self._go_on()

    async def _carry(self, trip: Sequence[_Call]) -> None:
        try:
            answers = await self._trip(trip)
        except BaseException as error:  # the callers must hear of it, whatever it is
            failure = _translated(error)
            for call in trip:
                _refuse(call.answer, failure)
            if not isinstance(error, Exception):
                raise
            return
        for call, answer in zip(trip, answers, strict=True):
            self._settle(call.answer, answer)

    def _settle(self, future: "asyncio.Future[Any]", answer: Any) -> None:
        if isinstance(answer, Exception):
            _refuse(future, _translated(answer))
            return
        result, emitted = answer
        if emitted and self.listener is not None:
            for index in range(0, len(emitted), 5):
                self.listener(event_of(*emitted[index : index + 5]))
        if not future.done():
            future.set_result(result)

    async def _trip(self, calls: Sequence[_Call]) -> list[Any]:
        if not calls:
            return []
        answers = await self._line.exchange(lambda again: [self._command(call, again) for call in calls])
        missing = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if missing:
            await self._load({calls[index].name for index in missing})
            again = await self._line.exchange(lambda again: [self._command(calls[index], again) for index in missing])
            for index, answer in zip(missing, again, strict=True):
                answers[index] = answer
        return answers

    def _command(self, call: _Call, again: bool) -> tuple[Any, ...]:  # noqa: FBT001  # the line's word
        digest = self._digests.get(call.name)
        if digest is None:
            text = self._text(call.name)
            digest = self._digests[call.name] = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        flags = ("w" if self.listener is not None else "") + ("a" if again or call.again else "")
        return ("EVALSHA", digest, 2, *self._keys, *call.args, flags, call.token)

    def _text(self, name: str) -> str:
        if name not in self._texts:
            self._texts[name] = render(name, self._settings, self._arguments.get(name, ()))
        return self._texts[name]

    async def _load(self, names: set[str]) -> None:
        texts = [self._text(name) for name in names]
        answers = await self._line.exchange(lambda _: [("SCRIPT", "LOAD", text) for text in texts])
        for refused in answers:
            if isinstance(refused, Exception):
                raise refused


def _refuse(future: "asyncio.Future[Any]", failure: BaseException) -> None:
    if not future.done():
        future.set_exception(failure)
        future.exception()  # a call nobody awaits is no warning


def _translated(error: BaseException) -> BaseException:
    """Rewrite what redis-py says: its texts carry whole commands (arq.md 23)."""
    if isinstance(error, Unavailable) or is_lost(error):
        return unavailable(error)
    if isinstance(error, RedisError):
        return RuntimeError(f"Redis refused a script: {type(error).__name__}: {str(error)[:200]}")
    return error


def event_of(entry: bytes, name: bytes, org_id: bytes, job_id: bytes, data: bytes) -> Event:
    """Return the envelope of an entry of a stream."""
    return Event.told(entry.decode(), name.decode(), org_id.decode(), job_id.decode(), data)
