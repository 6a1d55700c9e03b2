"""Doing the queued work in the test's own process, with the real worker."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from bankimport.models import QueueStats

_INTERVAL = 0.01


class Working(Protocol):
    """What of a `BankImport` is needed."""

    def working(self) -> AbstractAsyncContextManager[None]:
        """Run a worker in this process."""

    async def get_queue_stats(self) -> QueueStats:
        """Return how many jobs are in each state."""


async def run_until_idle(bank_import: Working, *, timeout: float = 30.0, delayed: bool = False) -> QueueStats:
    """Run a real worker here until no job waits or runs; return the numbers then.

    Jobs delayed into the future are left alone, a retry's wait or a schedule's later organisations, unless `delayed`:
    then they are waited for, so let `BANK_SYNC_RETRY_DELAY_SCALE` make their waits short.

    Raises:
        TimeoutError: the queue is not idle within `timeout` seconds; it says what is left.
    """
    until = time.monotonic() + timeout
    async with bank_import.working():
        while True:
            stats = await bank_import.get_queue_stats()
            if not (stats.waiting or stats.active or stats.waiting_children or (delayed and stats.delayed)):
                return stats
            if time.monotonic() > until:
                raise TimeoutError(f"the queue is not idle after {timeout:g} s: {stats!r}")
            await asyncio.sleep(_INTERVAL)
