"""Authorisations in a bank's own app that no page asks about any more: who began them asks, until they end.

A page that polls goes first, since it knows the person's address for the import that begins then.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import structlog

from bankimport.errors import BankImportError
from bankimport.models import Authorisation, AuthorisationStep
from bankimport.redis.deadline import apart
from bankimport.service.banking import Banking

_log = structlog.get_logger(__name__)
#: how often is looked whether somebody polls
LOOK: Final = timedelta(seconds=10)
#: nobody has polled for so long: the page is closed, or its device sleeps
QUIET: Final = timedelta(seconds=20)


class LookingAfter:
    """Looks after what was begun here; `ask` is what a poll does."""

    def __init__(self, banking: Banking, ask: Callable[[Authorisation], Awaitable[object]]) -> None:
        self._banking, self._ask = banking, ask
        self._tasks: set[asyncio.Task[None]] = set()
        self.look, self.quiet = LOOK, QUIET

    def begin(self, authorisation: Authorisation) -> None:
        """Look after one from now on."""
        task = asyncio.create_task(self._until_it_ends(authorisation), context=apart())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Look after none any more; who polls ends them, or their time."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_it_ends(self, begun: Authorisation) -> None:
        while True:
            await asyncio.sleep(self.look.total_seconds())
            try:
                found = await self._banking.within(self._banking.authorisations().authorisation_of(begun.state_hash))
                if found is None or found.step is AuthorisationStep.ENDED:
                    return
                now = self._banking.clock()
                if now - (found.claimed_at or found.created_at) >= self.quiet:
                    await self._ask(found)
            except BankImportError as error:
                _log.warning("authorisation.not_looked_at", connection_id=begun.connection_id, error_code=error.code)
                if self._banking.clock() > begun.expires_at + self.quiet:
                    return
