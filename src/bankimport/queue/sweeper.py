"""The housekeeping that one worker at a time does for all: alerts, the age of events, and once a minute a full look."""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from redis.asyncio import Redis

from bankimport.errors import Unavailable
from bankimport.events import QueueAlert
from bankimport.models import Alert
from bankimport.queue.connection import LOST
from bankimport.queue.keys import Keys
from bankimport.queue.queue import Queue
from bankimport.queue.run import fields_of

_TURN = timedelta(seconds=9)
_FULL_LOOK = timedelta(seconds=55)


#: Returns an alert for each consumer group that has lost events; the stream's readers know (they are above us).
GroupsBehind = Callable[[Redis, Keys, datetime], Awaitable[Sequence[Alert]]]


class Sweeper:
    """Sweeps one queue; whichever worker comes first in a turn does it."""

    def __init__(self, queue: Queue, groups_behind: GroupsBehind) -> None:
        self._queue = queue
        self._groups_behind = groups_behind

    async def run(self, now: datetime) -> bool:
        """Sweep if it is this worker's turn; return whether a full look at arq's queue is due.

        Raises:
            Unavailable: Redis can't be reached.
        """
        client, prefix = self._queue.client, self._queue.keys.prefix
        try:
            if not await client.set(f"{prefix}sweeper", "1", nx=True, px=_TURN):
                return False
            health = await self._queue.health()
            oldest = int((now - self._queue.settings.events_keep).timestamp() * 1000)
            await client.xtrim(self._queue.keys.events, minid=oldest, approximate=True)
            alerts = (*health.alerts, *await self._groups_behind(client, self._queue.keys, now))
            await self._queue.scripts.run("note_alerts", json.dumps([_row(alert) for alert in alerts]))
            return bool(await client.set(f"{prefix}full-look", "1", nx=True, px=_FULL_LOOK))
        except LOST as error:
            raise Unavailable("Redis") from error


def _row(alert: Alert) -> dict[str, str]:
    event = QueueAlert(
        code=alert.code,
        message=alert.message,
        value=alert.value,
        threshold=alert.threshold,
        active=True,
        timestamp=alert.since,
    )
    fields = json.loads("{" + fields_of(event) + "}")
    del fields["active"]
    return {"code": alert.code, "fields": json.dumps(fields)[1:-1]}
