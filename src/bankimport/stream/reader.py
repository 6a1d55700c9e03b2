"""Reading both streams as one, in the order of their ids, without ever skipping an entry."""

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bankimport.events import Event
from bankimport.queue.connection import BLOCK
from bankimport.queue.keys import Keys
from bankimport.stream.entries import Entry, entry_of, gap_event
from bankimport.stream.gaps import Bounds, resume_after_gap
from bankimport.stream.position import Position


@dataclass(frozen=True, slots=True)
class Batch:
    """What one look brought. All entries up to `upto` are in it; `more` says that there are others behind.

    `gap`: events after the position asked for are no longer held; the notice of it goes before the entries.
    """

    entries: tuple[Entry, ...]
    upto: Position
    more: bool
    end: Position
    gap: Event | None = None


class StreamReader:
    """Reads the streams of one queue."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._streams = (keys.events, keys.progress)

    async def end(self) -> Position:
        """Return the greatest id ever given."""
        return (await self.read(Position(10**15 - 1, 0), count=1)).end

    async def read(self, after: Position, *, count: int = 500) -> Batch:
        """Return the entries after a position, merged by id: at most `count` of each stream.

        One transaction looks at the bounds and reads, so that trimming can't come between. A stream that gave `count`
        entries may hold more, below entries of the other one: what is beyond its last is left to the next look.
        """
        async with self._client.pipeline(transaction=True) as pipe:
            for stream in self._streams:
                pipe.xinfo_stream(stream)
            pipe.xread(dict.fromkeys(self._streams, str(after)), count=count)
            *infos, answer = await pipe.execute(raise_on_error=False)
        if isinstance(answer, Exception):
            raise answer
        events, progress = (Bounds.of(_known(info)) for info in infos)
        read = self._entries(answer)
        full = [entries[-1].position for entries in read if len(entries) >= count]
        merged = sorted(entry for entries in read for entry in entries)
        upto = min(full) if full else (merged[-1].position if merged else after)
        end = max(events.last_given, progress.last_given)
        resume = resume_after_gap(after, events, end)
        if resume is None:
            return Batch(tuple(entry for entry in merged if entry.position <= upto), upto, bool(full), end)
        kept = tuple(entry for entry in merged if resume < entry.position <= upto)
        gap = gap_event(after, events.first, resume)
        return Batch(kept, kept[-1].position if kept else resume, bool(full), end, gap)

    def _entries(self, answer: Any) -> list[list[Entry]]:
        """Return the entries of each stream; redis-py answers a list of pairs (RESP2) or a mapping (RESP3)."""
        streams = answer.items() if isinstance(answer, dict) else answer or []
        rows = (pages[0] if isinstance(answer, dict) else pages for _, pages in streams)
        return [[entry_of(entry_id, fields) for entry_id, fields in entries if fields] for entries in rows]

    async def wait(self, after: Position) -> None:
        """Return as soon as there is an entry after a position, or after four seconds.

        What it brings is not used: a woken XREAD answers one stream alone (Redis < 7.2), out of order.
        """
        await self._client.xread(dict.fromkeys(self._streams, str(after)), count=1, block=BLOCK * 1000)


def _known(info: Any) -> Any:
    """Return an answer of XINFO STREAM; None for a stream that is not there yet.

    Raises:
        ResponseError: any other refusal.
    """
    if isinstance(info, ResponseError) and "no such key" in str(info):
        return None
    if isinstance(info, Exception):
        raise info
    return info
