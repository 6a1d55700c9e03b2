"""One reader of Redis for all followers of a process."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable

import structlog

from bankimport.events import Event
from bankimport.logs import frames_of
from bankimport.redis.connection import LOST, forget
from bankimport.stream.chunk import Chunk
from bankimport.stream.entries import Entry
from bankimport.stream.follower import Follower
from bankimport.stream.position import START, Position
from bankimport.stream.reader import Batch, StreamReader
from bankimport.stream.stopping import stop
from bankimport.telemetry import events_read

_log = structlog.get_logger(__name__)

#: After a look there is this much time for each follower it reached: what happens meanwhile goes out together.
_PAUSE_EACH = 0.00005
_LONGEST_PAUSE = 0.1
#: While nothing happens, the hub looks closer once in so many waits.
_EMPTY_WAITS = 5
#: Followers that catch up read Redis themselves; so many at a time.
_CATCHING_UP = 4


class LiveHub:
    """Reads the streams while there are followers, and hands each event to those who may see it.

    Its position is a promise: everything up to it has been handed on, everything behind it will be.
    """

    def __init__(self, reader: StreamReader) -> None:
        self.reader = reader
        self.position: Position = START
        self.slots = asyncio.Semaphore(_CATCHING_UP)
        self._followers: dict[str | None, set[Follower]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        #: asks for the end of the streams; and the one that will when it has the answer
        self._asking: asyncio.Task[Position] | None = None
        self._next_end: asyncio.Task[Position] | None = None

    async def subscribe(
        self, *, org_id: str | None = None, job_id: str | None = None, after: Position | None = None
    ) -> Follower:
        """Return a follower of an organisation (None: of all), of one job if one is named.

        It begins behind `after`, or with what happens from now on: not with what the hub has yet to read. Close it in
        the end.

        Raises:
            redis.ConnectionError and the others of `LOST`: Redis can't be reached.
        """
        now = await self._now() if after is None or self._task is None else self.position
        if self._task is None:
            self.position = now
            self._task = asyncio.create_task(self._run())
        follower = Follower(self, org_id, job_id, now if after is None else after, live=after is None)
        self._followers[org_id].add(follower)
        return follower

    async def _now(self) -> Position:
        """Return the end of the streams, asked for after this call: who comes while one asks shares the next answer, so
        that a thousand who come back at one time cost two questions and one connection."""
        if self._next_end is None:
            self._next_end = asyncio.create_task(self._ask_end(self._asking))
            self._next_end.add_done_callback(forget)  # whoever waits for it may have given up
        return await asyncio.shield(self._next_end)

    async def _ask_end(self, before: "asyncio.Task[Position] | None") -> Position:
        if before is not None:
            await asyncio.wait({before})
        self._asking, self._next_end = self._next_end, None
        return await self.reader.end()

    def leave(self, follower: Follower) -> None:
        """Forget a follower."""
        group = self._followers.get(follower.org_id)
        if group is not None:
            group.discard(follower)
            if not group:
                del self._followers[follower.org_id]

    def count(self, org_id: str | None) -> int:
        """Return how many follow an organisation."""
        return len(self._followers.get(org_id, ()))

    @property
    def followers(self) -> list[Follower]:
        """All followers."""
        return [follower for group in self._followers.values() for follower in group]

    async def aclose(self) -> None:
        """End every follower and the reading."""
        for follower in self.followers:
            follower.end()
        task, self._task = self._task, None
        if task is not None:
            await stop(task)

    async def _run(self) -> None:
        wait = 0.1
        while self._followers:
            try:
                await self._step()
                wait = 0.1
            except Exception as error:  # whatever it is, followers must not wait for ever in silence
                log = _log.warning if isinstance(error, LOST) else _log.error
                frames = frames_of(error.__traceback__)  # its text may hold a whole command
                log("stream.reading_failed", error=type(error).__name__, frames=frames, retry_in=wait)
                await asyncio.sleep(wait)
                wait = min(2.0, 2 * wait)
        self._task = None

    async def _step(self) -> None:
        batch = await self.reader.read(self.position, count=1000)
        if batch.entries or batch.gap:
            await asyncio.sleep(min(_LONGEST_PAUSE, _PAUSE_EACH * self._dispatch(batch)))
        else:
            for _ in range(_EMPTY_WAITS):  # a closer look tells of what was lost, too
                if await self.reader.wait(self.position) or not self._followers:
                    break

    def _dispatch(self, batch: Batch) -> int:
        """Hand a batch on and advance, without a step aside: who subscribes sees either all of it or none.

        Returns how many followers it reached.
        """
        self.position = batch.upto
        reached = 0
        if batch.entries:
            events_read(max(0.0, time.time() - batch.entries[0].position.ms / 1000))
        if batch.gap is not None:
            _log.warning("stream.gap", after=batch.gap.data["after"])
            for follower in self.followers:
                follower.offer(Chunk([batch.gap.model_copy(update={"org_id": follower.org_id or ""})]))
                reached += 1
        for org_id, chunk in _by_organisation(batch.entries, self._followers).items():
            parts: dict[str | None, Chunk | None] = {None: chunk}
            for follower in tuple(self._followers.get(org_id, ())):
                if follower.job_id not in parts:
                    events = [event for event in chunk.events if event.job_id == follower.job_id]
                    parts[follower.job_id] = Chunk(events) if events else None
                part = parts[follower.job_id]
                if part is not None:
                    follower.offer(part)
                    reached += 1
        return reached


def _by_organisation(entries: Iterable[Entry], wanted: Iterable[str | None]) -> dict[str | None, Chunk]:
    """Return the events of each organisation that is followed, and all of them under None if somebody wants all."""
    followed = set(wanted)
    found: dict[str | None, list[Event]] = defaultdict(list)
    for entry in entries:
        if None not in followed and entry.org_id not in followed:
            continue
        event = entry.event()
        if event is None:
            continue
        for org_id in (None, event.org_id):
            if org_id in followed:
                found[org_id].append(event)
    return {org_id: Chunk(events) for org_id, events in found.items()}
