"""Being told what happens: one job followed to its end, events as they come, or a consumer of a group."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import timedelta

from bankimport.errors import NotFound
from bankimport.events import Event
from bankimport.service.bounds import bounded
from bankimport.service.core import Core
from bankimport.service.subscription import Subscription
from bankimport.stream import behind


class Told(Core):
    """Events, as they happen or from an id on."""

    def follow(self, job_id: str, *, org_id: str | None = None, after: str | None = None) -> AsyncIterator[Event]:
        """Yield a job's events from its beginning, or after an event's id; end after the terminal one.

        Raises:
            NotFound: there is no such job.
            InvalidRequest: `after` is no id.
            Unavailable: Redis can't be reached.
        """
        return self._served(self.stream.follow(job_id, after, org_id=org_id, record=self.queue.get))

    def events(
        self, *, org_id: str | None = None, job_id: str | None = None, after: str | None = None
    ) -> AsyncIterator[Event]:
        """Yield events as they happen, of one organisation or of all; first those after an id, without a gap unless a
        `bank.stream.gap` says so.

        Raises:
            InvalidRequest, Unavailable: as `follow`.
        """
        return self._served(self.stream.events(org_id=org_id, job_id=job_id, after=after))

    @bounded
    async def subscribe(
        self,
        *,
        org_id: str | None = None,
        job_id: str | None = None,
        after: str | None = None,
        heartbeat: timedelta = timedelta(seconds=10),
    ) -> Subscription:
        """Return events for a stream of the host's own: of an organisation, of one job, or of all.

        What is wrong is raised here, before the first byte of an answer. With `job_id` and no `after` it begins with
        the job's first event; else now, or after the id of an event.

        Raises:
            NotFound: there is no such job, or it is not `org_id`'s.
            InvalidRequest: `after` is no id.
            Unavailable: Redis can't be reached.
        """
        if job_id is not None:
            job = await self.queue.get(job_id)
            if job is None or org_id not in (None, job.org_id):
                raise NotFound("job")
            after = str(behind(after, job))
        follower = await self.stream.subscribe(org_id=org_id, job_id=job_id, after=after)
        return Subscription(follower, heartbeat)

    def consume(
        self, group: str, consumer: str, names: Sequence[str] = ("*",), *, start: str = "$"
    ) -> AsyncIterator[Event]:
        """Yield events to one consumer of a group, at least once each: asking for the next acknowledges the last.

        What a consumer held that died is given to another. `start` is where a new group begins: `$` now, `0` all that
        is held, or an event's id.
        """
        return self._served(self.stream.consume(group, consumer, names, start=start))

    async def _served(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        with self.bounds.serving():
            async with aclosing(events):
                async for event in events:
                    yield event
