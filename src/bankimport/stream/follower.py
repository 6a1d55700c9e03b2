"""One follower: first what it missed, read from Redis by itself; then what the hub hands it."""

import asyncio
from collections import deque
from datetime import timedelta
from typing import Protocol

import structlog

from bankimport.redis.connection import LOST
from bankimport.stream.chunk import Chunk
from bankimport.stream.entries import Entry
from bankimport.stream.position import Position
from bankimport.stream.reader import StreamReader
from bankimport.stream.stopping import cancellations, raise_if_cancelled

_log = structlog.get_logger(__name__)

#: Seconds between two tries to catch up while Redis is away.
_RETRY = 0.5
#: Events that wait for a follower in memory; with more it reads them from Redis when it gets to it.
MOST_WAITING = 1000


class FollowerEnded(Exception):  # a state, not a failure: the process is shutting down
    """Nothing more is handed on; `Follower.position` is where to go on elsewhere."""


class Hub(Protocol):
    """What a follower needs of what feeds it."""

    reader: StreamReader
    position: Position
    slots: asyncio.Semaphore

    def leave(self, follower: "Follower") -> None:
        """Forget a follower."""


class Follower:
    """A bounded line of events from the hub to one reader.

    `position` is the last that was handed out: everything of interest up to it has been.
    """

    __slots__ = ("_ended", "_hub", "_since", "_waiting", "_waiting_events", "_wake", "job_id", "org_id", "position")

    def __init__(self, hub: Hub, org_id: str | None, job_id: str | None, after: Position, *, live: bool) -> None:
        self.org_id = org_id
        self.job_id = job_id
        self.position = after
        self._hub = hub
        #: while set, Redis is read up to here; what is behind it waits in the line
        self._since: Position | None = None if live else hub.position
        self._waiting: deque[Chunk] = deque()
        self._waiting_events = 0
        self._wake: asyncio.Future[None] | None = None
        self._ended = False

    def offer(self, chunk: Chunk) -> None:
        """Put a chunk into the line; where that is full, note to read from Redis instead."""
        self._waiting_events += len(chunk.events)
        if self._waiting_events > MOST_WAITING:
            self._waiting.clear()
            self._waiting_events = 0
            self._since = self._hub.position
        else:
            self._waiting.append(chunk)
        self._call()

    def end(self) -> None:
        """Let `next` raise from now on."""
        self._ended = True
        self._call()

    def close(self) -> None:
        """Leave the hub."""
        self._hub.leave(self)

    def _call(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    @property
    def upto(self) -> Position:
        """What is behind this has happened since the subscription."""
        return self._since or self.position

    async def refresh(self) -> None:
        """Read what Redis holds by now before the next word from the hub."""
        self._since = await self._hub.reader.end()

    @property
    def is_behind(self) -> bool:
        """Whether there is something to hand out already, or to read."""
        return bool(self._waiting) or self._since is not None

    async def next(self, timeout: timedelta) -> Chunk | None:
        """Return the next events; None if there are none within the time.

        While Redis is away there is nothing; it goes on when it is back.

        Raises:
            FollowerEnded: the hub is closing, or `end` was called.
        """
        cancelled = cancellations()
        chunk = await self._next_ready()
        raise_if_cancelled(cancelled)
        if chunk is None:
            await self._sleep(timeout)
            chunk = await self._next_ready()
            raise_if_cancelled(cancelled)
        return chunk

    async def _next_ready(self) -> Chunk | None:
        while not self._ended and self.is_behind:
            chunk = await self._catch_up(self._since) if self._since is not None else self._take()
            if chunk is not None:
                self.position = max(self.position, chunk.last)
                return chunk
        if self._ended:
            raise FollowerEnded
        if self._hub.position > self.position:  # nothing of interest up to there
            self.position = self._hub.position
        return None

    async def _sleep(self, timeout: timedelta) -> None:
        if self._ended or self.is_behind:
            return
        loop = asyncio.get_running_loop()
        self._wake = loop.create_future()
        alarm = loop.call_later(timeout.total_seconds(), self._call)
        try:
            await self._wake
        finally:
            alarm.cancel()
            self._wake = None

    def _take(self) -> Chunk | None:
        chunk = self._waiting.popleft()
        self._waiting_events -= len(chunk.events)
        return chunk.after(self.position)

    async def _catch_up(self, since: Position) -> Chunk | None:
        """Read on in Redis, up to `since`. The hub has read that far, so what isn't there by now never comes."""
        try:
            async with self._hub.slots:
                batch = await self._hub.reader.read(self.position, org_id=self.org_id, job_id=self.job_id)
        except LOST as error:
            _log.warning("stream.catching_up_failed", error=type(error).__name__)
            await asyncio.sleep(_RETRY)
            return None
        gap = batch.gap and batch.gap.model_copy(update={"org_id": self.org_id or ""})
        wanted = (entry for entry in batch.entries if entry.position <= since and self._wants(entry))
        found = [gap, *(entry.event() for entry in wanted)]
        events = [event for event in found if event is not None]
        reached = batch.upto if batch.more and batch.upto < since else since
        self.position = max(Position.of(gap.id) if gap else self.position, reached)
        if self._since is not None and self.position >= self._since:
            self._since = None
        return Chunk(events) if events else None

    def _wants(self, entry: Entry) -> bool:
        return self.org_id in (None, entry.org_id) and self.job_id in (None, entry.job_id)
