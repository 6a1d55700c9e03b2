"""A consumer of a group: at least once, acknowledged, taking over what a dead consumer held."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bankimport.events import PROGRESS, Event
from bankimport.redis.connection import BLOCK, LOST
from bankimport.redis.keys import Keys
from bankimport.stream.entries import entry_of, gap_event
from bankimport.stream.gaps import Bounds, group_has_gap
from bankimport.stream.names import matches_any
from bankimport.stream.position import Position
from bankimport.stream.stopping import cancellations, raise_if_cancelled, stop

_log = structlog.get_logger(__name__)

#: A consumer that is silent for so long is taken for dead.
IDLE = timedelta(seconds=30)
_AT_ONCE = 50
_RETRY = 0.5
#: A consumer that holds nothing is forgotten when it has been silent for an hour, and for so many idle times.
_LONG_MS, _LONG_IDLES = 3_600_000, 100

#: A stream, the id of an entry in it, and the entry's fields; none where trimming has removed it meanwhile.
Held = tuple[str, str, dict[Any, Any] | None]


class Consumer:
    """One consumer's side of `EventStream.consume`."""

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        group: str,
        name: str,
        names: Sequence[str],
        *,
        start: str = "$",
        idle: timedelta = IDLE,
    ) -> None:
        if not group or not name or idle < timedelta(milliseconds=100):
            raise ValueError("a group, a consumer and an idle time of at least 100 ms are needed")
        self._client = client
        self._group, self._name, self._names = group, name, tuple(names)
        self._start = start if start == "$" else str(Position.parse(start))
        self._idle_ms = int(idle / timedelta(milliseconds=1))
        self._streams = [keys.events, *([keys.progress] if matches_any(names, PROGRESS) else [])]
        self._position = Position(0, 0)
        #: the last id given to anybody, as of the last look
        self._end = Position(0, 0)
        #: (stream, id) of what this process has and has not acknowledged
        self._held: set[tuple[str, str]] = set()

    async def events(self) -> AsyncIterator[Event]:
        """Yield events; the next step acknowledges. Never ends by itself; waits while Redis is away."""
        await self._persist(self._create)
        beat = asyncio.create_task(self._beat())
        try:
            async for stream, entry_id, event in self._all():
                if event is not None:
                    yield event
                await self._acknowledge(stream, entry_id)
        finally:
            await stop(beat)

    async def _all(self) -> AsyncIterator[tuple[str, str, Event | None]]:
        """Yield what this consumer held when it ended, then new entries, and now and then those of the dead."""
        for held in await self._persist(self._own):
            yield self._decoded(held)
        loop = asyncio.get_running_loop()
        look_at = loop.time()
        while True:
            if loop.time() >= look_at:
                for held in await self._persist(self._take_over):
                    yield self._decoded(held)
                look_at = loop.time() + self._idle_ms / 2000
            gap, fresh = await self._persist(self._fresh)
            if gap is not None:
                _log.warning("consumer.gap", group=self._group, after=gap.data["after"])
                yield "", "" if fresh else gap.id, gap
            for held in fresh:
                yield self._decoded(held)
            if not fresh:
                await self._persist(self._wait)

    async def _persist(self, step: Any) -> Any:
        """Do a step until Redis answers; a group that Redis has lost is made again, from the first entry it holds."""
        cancelled = cancellations()
        while True:
            raise_if_cancelled(cancelled)
            try:
                answer = await step()
                raise_if_cancelled(cancelled)
                return answer
            except LOST as error:
                _log.warning("consumer.waiting_for_redis", group=self._group, error=type(error).__name__)
                await asyncio.sleep(_RETRY)
            except ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                _log.warning("consumer.group_lost", group=self._group)
                self._start, self._position = "0", Position(0, 0)
                await self._create()

    async def _create(self) -> None:
        for stream in self._streams:
            try:
                await self._client.xgroup_create(stream, self._group, id=self._start, mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    async def _own(self) -> list[Held]:
        """Return what this name has taken and not acknowledged: a process of that name died."""
        found: list[Held] = []
        for stream in self._streams:
            after: str = "0"
            while rows := self._rows(await self._read_group(stream, after)):
                found += rows
                after = rows[-1][1]
        return found

    async def _read_group(self, stream: str, after: str) -> Any:
        return await self._client.xreadgroup(self._group, self._name, {stream: after}, count=_AT_ONCE)

    async def _forget_dead(self) -> None:
        """Remove the names of consumers that have been silent for long and hold nothing: each process has a new one."""
        long = max(_LONG_MS, _LONG_IDLES * self._idle_ms)
        for stream in self._streams:
            for each in await self._client.xinfo_consumers(stream, self._group):
                if each["idle"] > long and not each["pending"] and _text(each["name"]) != self._name:
                    await self._client.xgroup_delconsumer(stream, self._group, each["name"])

    async def _take_over(self) -> list[Held]:
        await self._forget_dead()
        known = set(self._held)
        found: list[Held] = []
        for stream in self._streams:
            start: Any = "0-0"
            while True:
                answer = await self._client.xautoclaim(
                    stream, self._group, self._name, self._idle_ms, start, count=_AT_ONCE
                )
                start, entries = answer[0], answer[1]
                removed = answer[2] if len(answer) > 2 else []
                found += self._rows([(stream, [*entries, *((entry, None) for entry in removed)])])
                if _text(start) == "0-0":
                    break
        return [held for held in found if held[:2] not in known]

    async def _fresh(self) -> tuple[Event | None, list[Held]]:
        """Return new entries, merged by id, and the notice of a gap if the group has fallen out of the stream."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.xinfo_stream(self._streams[0])
            for stream in self._streams:
                pipe.xinfo_groups(stream)
            pipe.xreadgroup(self._group, self._name, dict.fromkeys(self._streams, ">"), count=_AT_ONCE)
            info, *groups, answer = await pipe.execute(raise_on_error=False)
        for each in (answer, info, *groups):
            if isinstance(each, Exception):
                raise each
        mine = [group for found in groups for group in found if _text(group["name"]) == self._group]
        given = [Position.of(group["last-delivered-id"]) for group in mine]
        rows = sorted(self._rows(answer), key=lambda row: Position.of(row[1]))
        self._position = max(*given, *(Position.of(row[1]) for row in rows), self._position)
        bounds = Bounds.of(info)
        end_seen, self._end = self._end, bounds.last_given
        if not group_has_gap(given[0], mine[0].get("entries-read"), bounds, end_seen=end_seen):
            return None, rows
        return gap_event(given[0], bounds.first, (bounds.first or bounds.last_given).before()), rows

    async def _wait(self) -> None:
        """Return when there is something new, or after some seconds. (A woken XREADGROUP would not merge.)"""
        block = min(BLOCK * 1000, self._idle_ms // 2)
        await self._client.xread(dict.fromkeys(self._streams, str(self._position)), count=1, block=block)

    def _rows(self, answer: Any) -> list[Held]:
        """Return the entries of an answer, and note that this process has them."""
        streams = answer.items() if isinstance(answer, dict) else answer or []
        rows: list[Held] = []
        for stream, entries in streams:
            for entry in entries:
                if entry[0] is None:  # Redis 6 answers nothing at all for a trimmed entry
                    continue
                rows.append((_text(stream), _text(entry[0]), entry[1] or None))
        self._held.update((stream, entry_id) for stream, entry_id, _ in rows)
        return rows

    def _decoded(self, held: Held) -> tuple[str, str, Event | None]:
        stream, entry_id, fields = held
        if fields is None:
            position = Position.of(entry_id)
            return stream, entry_id, gap_event(position.before(), None, position)
        entry = entry_of(entry_id, fields)
        return stream, entry_id, entry.event() if matches_any(self._names, entry.name) else None

    async def _acknowledge(self, stream: str, entry_id: str) -> None:
        if not stream:
            if entry_id:  # nothing is left behind the gap that would take the group past it
                await self._persist(lambda: self._client.xgroup_setid(self._streams[0], self._group, str(self._end)))
            return
        await self._persist(lambda: self._client.xack(stream, self._group, entry_id))
        self._held.discard((stream, entry_id))

    async def _beat(self) -> None:
        """Say now and then that what is held is still worked on, however long a handler takes."""
        while True:
            await asyncio.sleep(self._idle_ms / 3000)
            for stream in self._streams:
                ids = [entry_id for held_in, entry_id in self._held if held_in == stream]
                if ids:
                    await self._persist(lambda stream=stream, ids=ids: self._renew(stream, ids))

    async def _renew(self, stream: str, ids: list[Any]) -> None:
        await self._client.xclaim(stream, self._group, self._name, 0, ids, idle=0, justid=True)


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()
