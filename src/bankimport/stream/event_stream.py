"""The reading side of events: live, resumed, of one job, or as a consumer group."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta

from redis.asyncio import Redis

from bankimport.errors import NotFound
from bankimport.events import TERMINAL, Event, StreamGap
from bankimport.models import JobStatus
from bankimport.redis.connection import patiently
from bankimport.redis.keys import Keys
from bankimport.stream.consumer import IDLE, Consumer
from bankimport.stream.follower import Follower, FollowerEnded
from bankimport.stream.hub import LiveHub
from bankimport.stream.job_ends import behind, ending
from bankimport.stream.position import Position
from bankimport.stream.reader import Batch, StreamReader

#: How often the record of a followed job is looked at while nothing is heard.
_LOOK_AGAIN = timedelta(seconds=10)

#: Returns the record of a job, or None.
Record = Callable[[str], Awaitable[JobStatus | None]]


class EventStream:
    """The events of one queue. All followers of one object share one reader of Redis."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._reader = StreamReader(client, keys)
        self.hub = LiveHub(self._reader)

    async def aclose(self) -> None:
        """End all followers. The client stays open: it is the caller's."""
        await self.hub.aclose()

    async def read(self, after: str, *, count: int = 500) -> Batch:
        """Return the entries that are held after an id, of events and progress in one order.

        Raises:
            InvalidRequest: `after` is no id.
            Unavailable: Redis can't be reached.
        """
        position = Position.parse(after)
        return await patiently(lambda: self._reader.read(position, count=count))

    async def subscribe(
        self, *, org_id: str | None = None, job_id: str | None = None, after: str | None = None
    ) -> Follower:
        """Return a follower for one reader; `close` it in the end. None: of all organisations, of all jobs, from now.

        Raises:
            InvalidRequest: `after` is no id.
            Unavailable: Redis can't be reached.
        """
        position = Position.parse(after) if after is not None else None
        return await patiently(lambda: self.hub.subscribe(org_id=org_id, job_id=job_id, after=position))

    async def events(
        self, *, org_id: str | None = None, job_id: str | None = None, after: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield events as they happen: of an organisation, or of all and of the queue, of one job if one is named;
        first those after an id.

        A `bank.stream.gap` tells that events after `after` are no longer held. Ends when the stream is closed.

        Raises:
            InvalidRequest, Unavailable: as `subscribe`.
        """
        follower = await self.subscribe(org_id=org_id, job_id=job_id, after=after)
        try:
            while True:
                chunk = await follower.next(_LOOK_AGAIN)
                for event in chunk.events if chunk else ():
                    yield event
        except FollowerEnded:
            return
        finally:
            follower.close()

    async def follow(
        self, job_id: str, after: str | None = None, *, org_id: str | None = None, record: Record
    ) -> AsyncGenerator[Event, None]:
        """Yield the events of a job, from its beginning (or after an id), and end after the terminal one.

        A job whose events are gone ends with an event told from its record, which `record` returns.

        Raises:
            NotFound: there is no such job, or it is not `org_id`'s.
            InvalidRequest, Unavailable: as `subscribe`.
        """
        job = await record(job_id)
        if job is None or org_id not in (None, job.org_id):
            raise NotFound("job")
        follower = await self.subscribe(org_id=job.org_id, job_id=job_id, after=str(behind(after, job)))
        try:
            async for event in _until_ended(follower, job, record):
                if after is not None or event.name != StreamGap.name:  # nobody misses what nobody has asked for
                    yield event
        except FollowerEnded:
            return
        finally:
            follower.close()

    async def consume(
        self,
        group: str,
        consumer: str,
        names: Sequence[str] = ("*",),
        *,
        start: str = "$",
        idle: timedelta = IDLE,
    ) -> AsyncGenerator[Event, None]:
        """Yield events to one consumer of a group, at least once each: asking for the next acknowledges the last.

        What a consumer held that has been silent for `idle` is given to another. See docs/how-to/consume-events.md.

        Args:
            group: the service; each group gets every event.
            consumer: this process of it, by a name that no other has; each event goes to one of a group.
            names: names or wildcards (`bank.sync.*`).
            start: where a new group begins: `$` now, `0` with all that is held, or an id.
            idle: at least 100 ms.
        """
        one = Consumer(self._client, self._keys, group, consumer, names, start=start, idle=idle)
        async for event in one.events():
            yield event


async def _until_ended(follower: Follower, job: JobStatus, record: Record) -> AsyncIterator[Event]:
    """Yield a job's events up to its end; a job that was tried again after it had failed goes on."""
    history = follower.upto
    wait = timedelta(0) if job.state.is_terminal else _LOOK_AGAIN
    refreshed = False
    while True:
        chunk = await follower.next(wait)
        for event in chunk.events if chunk else ():
            yield event
            if event.name in TERMINAL and not await _goes_on(event, history, job.id, record):
                return
        if chunk is not None:
            continue
        now = await record(job.id)
        if now is None:
            return
        if not now.state.is_terminal:
            wait = _LOOK_AGAIN
            continue
        if refreshed:
            yield ending(now)
            return
        await follower.refresh()
        refreshed, wait = True, timedelta(0)


async def _goes_on(event: Event, history: Position, job_id: str, record: Record) -> bool:
    """Whether a terminal event of the past was not the last word: somebody retried the job since."""
    if Position.of(event.id) > history:
        return False
    now = await record(job_id)
    return now is not None and not now.state.is_terminal
