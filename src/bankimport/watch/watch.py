"""What operators ask of a queue: its numbers, its health, what ended and what failed."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

from bankimport.errors import Unavailable
from bankimport.models import FailureKind, QueueHealth, QueueStats, Throughput
from bankimport.redis.deadline import left
from bankimport.redis.declaring import Declared, as_it_is, script, word
from bankimport.redis.instants import instant
from bankimport.redis.scripts import Place
from bankimport.watch.failures import failures_of
from bankimport.watch.health import Snapshot, assess, unreachable
from bankimport.watch.server import Server
from bankimport.watch.snapshots import EXCUSED, snapshot_of
from bankimport.watch.throughput import HOUR, HOURS, MINUTE, MINUTES, starts, throughput_of

#: More kinds of failures than a page can show are a host's mistake: codes are classes, and banks are configured.
_MOST: Final = 500


class _Looks(Declared):
    """The scripts of it."""

    @script(as_it_is)
    def read_queue(self, excused: list[str]) -> Any: ...

    @script(as_it_is)
    def read_throughput(self, minute: datetime, minutes: int, hour: datetime, hours: int) -> Any: ...

    @script(failures_of)
    def read_failures(self, most: int) -> Any: ...

    @script(word)
    def note_alerts(self, alerts: list[dict[str, str]]) -> Any: ...


class Watch:
    """One queue, as operators see it."""

    def __init__(self, place: Place) -> None:
        self.scripts = _Looks(place.scripts)
        self._place = place
        self._server = Server(place.client)

    async def stats(self) -> QueueStats:
        """Return how many jobs are in each state, in constant time.

        Raises:
            Unavailable: as of every call here but the next, Redis can't be reached.
        """
        return (await self._snapshot(facts=False)).stats

    async def health(self) -> QueueHealth:
        """Return the health of the queue; Redis being away is a finding, not an error."""
        try:
            async with asyncio.timeout(left()):
                return assess(await self._snapshot(facts=True), self._place.settings)
        except (Unavailable, TimeoutError) as error:
            return unreachable(datetime.now(UTC), str(error) or "Redis is not available: it does not answer")

    async def throughput(self, now: datetime) -> Throughput:
        """Return how many jobs ended in each minute of the last hour, and in each hour of the last week."""
        minutes, hours = starts(now, MINUTE, MINUTES), starts(now, HOUR, HOURS)
        counts = await self.scripts.read_throughput(minutes[-1], MINUTES, hours[-1], HOURS)
        return throughput_of([*minutes, *hours], counts)

    async def failures(self) -> list[FailureKind]:
        """Return what jobs have failed of, those that happened last first."""
        return await self.scripts.read_failures(_MOST)

    async def _snapshot(self, *, facts: bool) -> Snapshot:
        look = await self.scripts.read_queue(EXCUSED)
        at = instant(look[6])
        policy, persistent = await self._server.facts(at) if facts else (None, None)
        return snapshot_of(look, at, policy, persistent)
