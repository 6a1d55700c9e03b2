"""The Lua scripts: read from the package, rendered once a queue, sent by digest, many in one round trip.

All calls of a process go through one line, first in, first out: what waits while a round trip is under way goes out
together in the next one. So progress written before a job's end arrives before it, and ten jobs that end at once cost
one write to the socket.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from bankimport.errors import Unavailable
from bankimport.events import Event
from bankimport.queue.connection import LOST
from bankimport.queue.keys import Keys
from bankimport.settings import Settings
from bankimport.status import TRANSITIONS

#: Hears of every event that this process's scripts have emitted.
Listener = Callable[[Event], None]

_MOST_IN_ONE_TRIP = 256


@cache
def _source(name: str) -> str:
    return resources.files("bankimport.queue").joinpath("lua", f"{name}.lua").read_text()


def _lua_table(mapping: dict[str, dict[str, str]]) -> str:
    rows = []
    for operation, ways in mapping.items():
        pairs = ",".join(f"['{before}']='{after}'" for before, after in ways.items())
        rows.append(f"['{operation}']={{{pairs}}}")
    return "{" + ",".join(rows) + "}"


def _milliseconds(duration: timedelta) -> int:
    return int(duration / timedelta(milliseconds=1))


def render(name: str, settings: Settings) -> str:
    """Return the full text of a script: the prelude with the transition table and the settings, then its own lines."""
    constants = {
        "TRANSITIONS": _lua_table(
            {str(o): {str(a): str(b) for a, b in ways.items()} for o, ways in TRANSITIONS.items()}
        ),
        "EVENTS_MAX": str(settings.events_max),
        "KEEP_COMPLETED": str(_milliseconds(settings.keep_completed)),
        "KEEP_FAILED": str(_milliseconds(settings.keep_failed)),
        "KEEP_LONGEST": str(_milliseconds(max(settings.keep_completed, settings.keep_failed))),
    }
    text = f"{_source('_prelude')}\n{_source(name)}"
    for constant, value in constants.items():
        text = text.replace(f"@{constant}@", value)
    return text


class Scripts:
    """Calls the scripts of one queue on one client."""

    def __init__(self, client: Redis, keys: Keys, settings: Settings) -> None:
        self._client = client
        self._keys = keys
        self._settings = settings
        self._digests: dict[str, str] = {}
        self._waiting: list[tuple[str, Sequence[Any], asyncio.Future[Any]]] = []
        self._sender: asyncio.Task[None] | None = None
        self.listener: Listener | None = None

    async def run(self, name: str, *args: str | int | bytes) -> Any:
        """Run a script and return its answer (bytes, ints and lists).

        Raises:
            Unavailable: Redis can't be reached, is loading, or is read-only.
        """
        return await self.send(name, *args)

    def send(self, name: str, *args: str | int | bytes) -> "asyncio.Future[Any]":
        """Put a call into the line without waiting for it; the future has its answer."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((name, args, future))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_all())
        return future

    async def _send_all(self) -> None:
        while self._waiting:
            trip, self._waiting = self._waiting[:_MOST_IN_ONE_TRIP], self._waiting[_MOST_IN_ONE_TRIP:]
            try:
                answers = await self._trip([(name, args) for name, args, _ in trip])
            except BaseException as error:  # the callers must hear of it, whatever it is
                failure = _translated(error)
                for _, _, future in trip:
                    if not future.done():
                        future.set_exception(failure)
                        future.exception()  # a call nobody awaits is no warning
                if not isinstance(error, Exception):
                    raise
                continue
            for (_, _, future), answer in zip(trip, answers, strict=True):
                self._settle(future, answer)

    def _settle(self, future: "asyncio.Future[Any]", answer: Any) -> None:
        if isinstance(answer, Exception):
            if not future.done():
                future.set_exception(_translated(answer))
                future.exception()
            return
        result, emitted = answer
        if emitted and self.listener is not None:
            for index in range(0, len(emitted), 5):
                self.listener(event_of(*emitted[index : index + 5]))
        if not future.done():
            future.set_result(result)

    async def _trip(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        commands = [self._command(name, args) for name, args in calls]
        if len(commands) == 1:
            try:
                return [await self._client.execute_command(*commands[0])]
            except NoScriptError:
                await self._load()
                return [await self._client.execute_command(*commands[0])]
            except ResponseError as error:
                return [error]
        answers = await self._pipeline(commands)
        missing = [index for index, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if missing:
            await self._load()
            for index, answer in zip(missing, await self._pipeline([commands[i] for i in missing]), strict=True):
                answers[index] = answer
        return answers

    async def _pipeline(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            return list(await pipe.execute(raise_on_error=False))

    def _command(self, name: str, args: Sequence[Any]) -> tuple[Any, ...]:
        digest = self._digests.get(name)
        if digest is None:
            text = render(name, self._settings)
            digest = self._digests[name] = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        wanted = "1" if self.listener is not None else "0"
        return ("EVALSHA", digest, 3, self._keys.prefix, self._keys.queue, wanted, *args)

    async def _load(self) -> None:
        for name in self._digests:
            await self._client.script_load(render(name, self._settings))


def _translated(error: BaseException) -> BaseException:
    """Rewrite what redis-py says: its texts carry whole commands (arq.md 23)."""
    if isinstance(error, LOST):
        return Unavailable("Redis")
    if isinstance(error, RedisError):
        return RuntimeError(f"Redis refused a script: {type(error).__name__}: {str(error)[:200]}")
    return error


def event_of(entry: bytes, name: bytes, org_id: bytes, job_id: bytes, data: bytes) -> Event:
    """Return the envelope of an entry of a stream."""
    entry_id = entry.decode()
    return Event(
        id=entry_id,
        name=name.decode(),
        org_id=org_id.decode(),
        job_id=job_id.decode() or None,
        timestamp=datetime.fromtimestamp(int(entry_id.split("-")[0]) / 1000, UTC),
        data=json.loads(data),
    )
