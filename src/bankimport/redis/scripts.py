"""The Lua scripts: read from the package, rendered once for each set of settings, sent by digest, many in one trip.

All calls of a process go through one line, first in, first out: what waits while a round trip is under way goes out
together in the next one. So progress written before a job's end arrives before it, and ten jobs that end at once cost
one write to the socket. Calls of a joined script that stand beside each other are one call for Redis, too: what it does
for each script at all is done once.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from bankimport.errors import Unavailable
from bankimport.events import Event, event_of
from bankimport.redis.connection import LOST, is_lost, unavailable
from bankimport.redis.deadline import GRACE, apart, left
from bankimport.redis.declaring import Script
from bankimport.redis.keys import Keys
from bankimport.redis.line import Line
from bankimport.redis.rendering import render, with_digest
from bankimport.settings import Settings

#: Hears of every event that this process's scripts have emitted.
Listener = Callable[[Event], None]

_MOST_IN_ONE_TRIP = 256
#: So many calls of a joined script are one: a reader of one organisation's events reads past those of the others.
_MOST_JOINED = 20


@dataclass(slots=True, eq=False)  # a frozen one takes three times as long to make
class _Call:
    """A script asked for, and the future of its answer. A token lets its answer be asked for again."""

    script: Script[..., Any]
    args: Sequence[bytes]
    token: bytes
    again: bool
    answer: "asyncio.Future[Any]"


class Scripts:
    """Calls the scripts of one queue on one client."""

    def __init__(self, client: Redis, keys: Keys, settings: Settings) -> None:
        self._line = Line(client)
        #: for waits, which hold up whatever is behind them
        self._aside = Line(client)
        self._keys = (keys.prefix.encode(), keys.queue.encode())
        self._settings = settings
        #: the digest and the text of each
        self._rendered: dict[Script[..., Any], tuple[str, str]] = {}
        self._waiting: list[_Call] = []
        self._under_way = False
        self._sender: asyncio.Task[None] | None = None
        self.listener: Listener | None = None
        #: called before a trip begins; what it puts into the line travels along
        self.before_trip: Callable[[], None] | None = None

    async def call(self, script: Script[..., Any], args: Sequence[bytes], token: bytes, *, again: bool = False) -> Any:
        """Run a script and return its answer (bytes, ints and lists); `again` where it may have been carried out.

        Raises:
            Unavailable: Redis can't be reached, or refuses.
        """
        call = _Call(script, args, token, again, asyncio.get_running_loop().create_future())
        if self._under_way or self.listener is not None:
            self._put(call)
            return await self.wait(call.answer)
        self._under_way = True  # the line is empty: no task need carry this call, and nobody hears of its events
        try:
            await self._trip([[call]])
        except (*LOST, RedisError) as error:
            raise _translated(error) from None
        finally:
            self._go_on()
        return call.answer.result()

    async def call_aside(
        self, behind: Sequence[Any] | None, seconds: float, script: Script[..., Any], args: Sequence[bytes]
    ) -> Any:
        """Run a script on the connection that is there for waits, within so many seconds; if there is a command that
        waits, as soon as that has its answer, in the same trip.

        Raises:
            Unavailable: Redis can't be reached, or refuses; the script may have been carried out.
        """
        call = _Call(script, args, b"", False, asyncio.get_running_loop().create_future())
        command = self._command([call], again=False)
        try:
            answers = await self._aside.wait([command] if behind is None else [behind, command], seconds)
        except (*LOST, RedisError) as error:
            raise _translated(error) from None
        if isinstance(answers[-1], NoScriptError):
            return await self.call(script, args, b"", again=True)
        self._settle([call], answers[-1])
        if isinstance(answers[0], Exception) and behind is not None:
            raise unavailable(answers[0])  # who would wait again at once would be refused at once
        return call.answer.result()

    async def wait(self, answer: "asyncio.Future[Any]") -> Any:
        """Return the answer to a call in the line.

        Raises:
            Unavailable: there is none within the deadline.
        """
        # a timer costs a third of `asyncio.timeout`, and each job waits at least once
        late = asyncio.get_running_loop().call_later(
            left() + GRACE, lambda: _refuse(answer, unavailable(self._line.trouble))
        )
        try:
            return await answer
        finally:
            late.cancel()

    def send(self, script: Script[..., Any], args: Sequence[bytes], token: bytes) -> "asyncio.Future[Any]":
        """Put a call into the line without waiting for it; the future has its answer."""
        call = _Call(script, args, token, False, asyncio.get_running_loop().create_future())
        self._put(call)
        return call.answer

    async def aclose(self) -> None:
        """Refuse what is under way: a loop that ends complains of tasks that are left."""
        for call in self._waiting:
            _refuse(call.answer, unavailable(None))
        self._waiting.clear()
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.wait({self._sender})

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
            await self._trip(self._together(trip))
        except BaseException as error:  # the callers must hear of it, whatever it is
            failure = _translated(error)
            for call in trip:
                _refuse(call.answer, failure)
            if not isinstance(error, Exception):
                raise

    def _together(self, trip: Sequence[_Call]) -> list[list[_Call]]:
        """Return the calls of a trip in groups that are one for Redis."""
        groups: list[list[_Call]] = []
        for call in trip:
            last = groups[-1] if groups else ()
            if last and call.script.joined and last[0].script is call.script and len(last) < _MOST_JOINED:
                groups[-1].append(call)
            else:
                groups.append([call])
        return groups

    def _settle(self, group: Sequence[_Call], answer: Any) -> None:
        if isinstance(answer, Exception):
            results, emitted = [answer] * len(group), ()
        else:
            result, emitted = answer
            results = result if group[0].script.joined else [result]
        if self.listener is not None:
            for index in range(0, len(emitted), 5):
                self.listener(event_of(*emitted[index : index + 5]))
        for call, own in zip(group, results, strict=True):
            if isinstance(own, Exception):
                _refuse(call.answer, _translated(own))
            elif not call.answer.done():
                call.answer.set_result(own)

    async def _trip(self, groups: Sequence[list[_Call]]) -> None:
        """Carry calls there and their answers back; scripts that Redis didn't know are loaded and asked for again."""
        for is_last in (False, True):
            answers = await self._line.exchange(partial(self._commands, groups))
            unknown = []
            for group, answer in zip(groups, answers, strict=True):
                if isinstance(answer, NoScriptError) and not is_last:
                    unknown.append(group)
                else:
                    self._settle(group, answer)
            if not unknown:
                return
            await self._load({group[0].script for group in unknown})
            groups = unknown

    def _commands(self, groups: Sequence[list[_Call]], again: bool) -> list[tuple[Any, ...]]:  # noqa: FBT001  # the line's word
        return [self._command(group, again) for group in groups]

    def _command(self, group: Sequence[_Call], again: bool) -> tuple[Any, ...]:  # noqa: FBT001  # the line's word
        call = group[0]
        digest, _ = self._rendered.get(call.script) or self._rendered.setdefault(
            call.script, with_digest(render(call.script, self._settings))
        )
        flags = ("w" if self.listener is not None else "") + ("a" if again or call.again else "")
        return ("EVALSHA", digest, 2, *self._keys, *chain.from_iterable(one.args for one in group), flags, call.token)

    async def _load(self, scripts: set[Script[..., Any]]) -> None:
        texts = [self._rendered[script][1] for script in scripts]
        answers = await self._line.exchange(lambda _: [("SCRIPT", "LOAD", text) for text in texts])
        for refused in answers:
            if isinstance(refused, Exception):
                raise refused


class Place(Protocol):
    """One queue's place in Redis: `Queue`, as those see it who keep something beside its jobs."""

    client: Redis
    keys: Keys
    scripts: Scripts
    settings: Settings


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
