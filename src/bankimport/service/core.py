"""What every call stands on: settings, banks, a store, a queue, and the deadline that all calls have."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from redis.asyncio import Redis

from bankimport.errors import NotOffered
from bankimport.ports import (
    BankProvider,
    BankStore,
    Clock,
    ConnectionStore,
    RotatesCredentials,
    SharesTokens,
    TellsRequests,
)
from bankimport.queue.queue import Queue
from bankimport.redis.connection import connect
from bankimport.service.audit import Audit
from bankimport.service.bounds import Bounds
from bankimport.service.connection_jobs import ConnectionJobs
from bankimport.service.connections import Connections
from bankimport.service.overview import Overview
from bankimport.service.webhooks import Webhooks
from bankimport.settings import Settings
from bankimport.stores.redis.ledger import RedisLedger
from bankimport.stores.redis.shelf import RedisShelf
from bankimport.stream import EventStream
from bankimport.watch.bank_figures import BankFigures
from bankimport.watch.watch import Watch


def utc_now() -> datetime:
    """Return the present instant, aware and in UTC."""
    return datetime.now(UTC)


class Core:
    """The parts, joined; each of its subclasses is one thing that a host can ask."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        banks: Mapping[str, BankProvider],
        store: BankStore,
        clock: Clock = utc_now,
    ) -> None:
        self.settings = settings or Settings.load()
        self.banks = banks
        self.store = store
        self.bounds = Bounds()
        self.queue = Queue(connect(self.settings, Redis), self.settings)
        self.stream = EventStream(self.queue.client, self.queue.keys)
        self._watch = Watch(self.queue)
        self.figures = BankFigures(self.queue)
        self._clock = clock
        jobs = ConnectionJobs(self.queue)
        self.audit = Audit(store, clock, self.bounds)
        self.webhooks = Webhooks(store, clock, self.bounds, self.audit)
        self.connections = Connections(store, banks, jobs, self.settings, clock, self.bounds, self.audit)
        ledger = RedisLedger(self.queue)
        self._overview = Overview(self.connections, store, ledger, clock, self.settings.timezone)
        for name, bank in banks.items():
            if isinstance(bank, RotatesCredentials):
                bank.keep_credentials_with(self._keep_credentials)
            if isinstance(bank, SharesTokens):
                bank.share_tokens(RedisShelf(self.queue))
            if isinstance(bank, TellsRequests):
                bank.tell_requests(partial(self.figures.heard, name))

    async def _keep_credentials(self, connection_id: str, credentials: Mapping[str, Any]) -> None:
        """Keep what a bank has handed out anew, in a run of a job: no deadline, since what is lost is lost for good.

        Raises:
            NotFound, InvalidSettings, NotOffered, StoreUnavailable
        """
        if not isinstance(self.store, ConnectionStore):
            raise NotOffered(type(self.store).__name__, "update credentials")
        await self.store.update_credentials(connection_id, credentials)

    async def _close(self) -> None:
        """Close all connections, those of the store and the providers too."""
        self.bounds.state = "closed"
        await self.connections.authorising.looking_after.aclose()
        await self.figures.aclose()
        await self.stream.aclose()
        await self.queue.aclose()
        for bank in self.banks.values():
            await bank.aclose()
        await self.store.aclose()
