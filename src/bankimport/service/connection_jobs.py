"""What an authorisation means for the jobs of its connection: one is begun, or all are stopped."""

from collections.abc import Sequence
from datetime import datetime

from bankimport.commands import SyncConnection
from bankimport.events import EventData
from bankimport.models import BankConnection, PsuContext
from bankimport.ports import AccessKey
from bankimport.queue.filters import JobFilter
from bankimport.queue.queue import Enqueue, Queue
from bankimport.queue.run import fields_of
from bankimport.stores.redis.ledger import RedisLedger


class ConnectionJobs:
    """The queue, as those see it who connect banks."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def begin(self, connection: BankConnection, psu: PsuContext | None, triggered_by: str) -> None:
        """Ask for an import, while the person is there."""
        command = SyncConnection(org_id=connection.org_id, connection_id=connection.id, triggered_by=triggered_by)
        await self._queue.enqueue(Enqueue(command, psu=psu))

    async def stop(self, connection: BankConnection) -> None:
        """Cancel what waits and what runs."""
        await self._queue.cancel_all(JobFilter(org_id=connection.org_id, connection_id=connection.id))

    async def close(self, keys: Sequence[AccessKey], until: datetime) -> None:
        """Allow no read of what these keys count without the person before then."""
        ledger = RedisLedger(self._queue)
        for key in keys:
            await ledger.close(key, until)

    async def tell(self, event: EventData, org_id: str) -> None:
        """Put an event into the organisation's stream."""
        await self._queue.transitions.emit_event(event.name, org_id, "", fields_of(event))
