"""The housekeeping that one worker at a time does for all: alerts, the age of events and of records, and once a minute
a full look."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from bankimport.events import QueueAlert
from bankimport.models import Alert
from bankimport.queue.queue import Queue
from bankimport.redis.connection import patiently
from bankimport.redis.keys import Keys
from bankimport.watch.watch import Watch

_TURN = timedelta(seconds=9)
_FULL_LOOK = timedelta(seconds=55)
#: Slices of old records of each state that are removed in a full look.
_SLICES = 20

#: Returns an alert for each consumer group that has lost events, and for whatever else the worker looks after.
GroupsBehind = Callable[[Redis, Keys, datetime], Awaitable[Sequence[Alert]]]


class Sweeper:
    """Sweeps one queue; whichever worker comes first in a turn does it."""

    def __init__(self, queue: Queue, groups_behind: GroupsBehind) -> None:
        self._queue = queue
        self._watch = Watch(queue)
        self._groups_behind = groups_behind

    async def run(self) -> bool:
        """Sweep if it is this worker's turn; return whether a full look is due.

        Raises:
            Unavailable: Redis can't be reached.
        """
        client, keys = self._queue.client, self._queue.keys
        if not await patiently(lambda: client.set(keys.of("sweeper"), "1", nx=True, px=_TURN)):
            return False
        health = await self._watch.health()
        groups = await patiently(lambda: self._groups_behind(client, keys, datetime.now(UTC)))
        await self._watch.scripts.note_alerts([_row(alert) for alert in (*health.alerts, *groups)])
        if not await patiently(lambda: client.set(keys.of("full_look"), "1", nx=True, px=_FULL_LOOK)):
            return False
        async for _ in self._queue.clean(_SLICES):  # the schedule's cleanup, which may be off, removes the rest
            pass
        return True


def _row(alert: Alert) -> dict[str, str]:
    event = QueueAlert(**alert.model_dump(exclude={"since"}), active=True, timestamp=alert.since)
    fields = event.model_dump_json(exclude={"active", "timestamp"}, exclude_none=True)
    return {"code": alert.code, "fields": fields[1:-1]}
