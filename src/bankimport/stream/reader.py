"""Reading both streams as one, in the order of their ids, without ever skipping an entry."""

from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bankimport.events import Event
from bankimport.redis.connection import BLOCK
from bankimport.redis.declaring import Declared, as_it_is, script
from bankimport.redis.keys import Keys
from bankimport.redis.rendering import render
from bankimport.stream.entries import Entry, entry_of, gap_event
from bankimport.stream.gaps import Bounds, resume_after_gap
from bankimport.stream.position import Position


class _Reading(Declared):
    @script(as_it_is)
    def read_events(self, org: str, job: str, after: str, count: int) -> Any: ...


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
        self._keys = keys
        self._streams = (keys.events, keys.progress)
        self._by_index = client.register_script(render(vars(_Reading)["read_events"], None))

    async def end(self) -> Position:
        """Return the greatest id ever given."""
        return (await self.read(Position(10**15 - 1, 0), count=1)).end

    async def read(
        self, after: Position, *, count: int = 500, org_id: str | None = None, job_id: str | None = None
    ) -> Batch:
        """Return the entries after a position, merged by id: at most `count` of each stream, or, of an organisation,
        about `count` of its own, which are found by its index whatever else there is.

        One transaction looks at the bounds and reads, so that trimming can't come between. A stream that gave `count`
        entries may hold more, below entries of the other one: what is beyond its last is left to the next look.
        """
        if org_id:
            own = await self._read_own(after, count, org_id, job_id)
            if own is not None:
                return own
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
        wanted = tuple(entry for entry in merged if entry.position <= upto)
        return _batch(after, wanted, upto, more=bool(full), bounds=events, end=end)

    async def _read_own(self, after: Position, count: int, org_id: str, job_id: str | None) -> Batch | None:
        """Return an organisation's entries by its index; None if that doesn't reach back so far."""
        names = [self._keys.prefix, self._keys.queue]
        answer = await self._by_index(keys=names, args=[org_id, job_id or "", str(after), count])
        events, progress = (_bounds(each) for each in answer[:2])
        rows, last, short = answer[2], _text(answer[3]), answer[4]
        if short:
            return None
        entries = tuple(
            entry_of(rows[at], {"name": rows[at + 1], "orgId": org_id, "jobId": rows[at + 2], "data": rows[at + 3]})
            for at in range(0, len(rows), 4)
        )
        end = max(events.last_given, progress.last_given)
        upto = Position.of(last) if last else max(after, end)
        return _batch(after, entries, upto, more=bool(last), bounds=events, end=end)

    def _entries(self, answer: Any) -> list[list[Entry]]:
        """Return the entries of each stream; redis-py answers a list of pairs (RESP2) or a mapping (RESP3)."""
        streams = answer.items() if isinstance(answer, dict) else answer or []
        rows = (pages[0] if isinstance(answer, dict) else pages for _, pages in streams)
        return [[entry_of(entry_id, fields) for entry_id, fields in entries if fields] for entries in rows]

    async def wait(self, after: Position) -> bool:
        """Return whether there is an entry after a position, as soon as there is one, or after two seconds.

        What it brings is not used: a woken XREAD answers one stream alone (Redis < 7.2), out of order.
        """
        return bool(
            await self._client.xread(dict.fromkeys(self._streams, str(after)), count=1, block=int(BLOCK * 1000))
        )


def _batch(
    after: Position, entries: tuple[Entry, ...], upto: Position, *, more: bool, bounds: Bounds, end: Position
) -> Batch:
    """Return a batch, with the notice of a gap if entries after `after` may no longer be held."""
    resume = resume_after_gap(after, bounds, end)
    if resume is None:
        return Batch(entries, upto, more, end)
    kept = tuple(entry for entry in entries if resume < entry.position)
    reached = upto if more else max(resume, kept[-1].position if kept else resume)
    return Batch(kept, reached, more, end, gap_event(after, bounds.first, resume))


def _bounds(answer: Any) -> Bounds:
    first, last, length, added = answer
    return Bounds(
        first=Position.of(first) if first else None,
        last_given=Position.of(last),
        length=int(length),
        added=int(added) if int(added) >= 0 else None,
    )


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()


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
