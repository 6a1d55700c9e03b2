"""Handlers in the worker's own process: told of what its scripts emitted, never able to harm or delay a job."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from fnmatch import fnmatchcase

import structlog

from bankimport.events import Event

log = structlog.get_logger(__name__)

#: A handler, async or plain.
EventHandler = Callable[[Event], Awaitable[None] | None]

#: The longest a handler may take; what takes longer belongs into a consumer of its own (`consume`).
BUDGET = 10.0
#: Handlers that run at a time; further events wait their turn.
_AT_ONCE = 32


class Listeners:
    """The handlers registered with `on`, by name or wildcard (`bank.sync.*`)."""

    def __init__(self) -> None:
        self._handlers: list[tuple[str, EventHandler]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._places: asyncio.Semaphore | None = None

    def on(self, pattern: str, handler: EventHandler) -> None:
        """Call `handler` for each event whose name matches."""
        self._handlers.append((pattern, handler))

    def __bool__(self) -> bool:
        return bool(self._handlers)

    def tell(self, event: Event) -> None:
        """Start the handlers of an event; return at once."""
        for pattern, handler in self._handlers:
            if fnmatchcase(event.name, pattern):
                task = asyncio.create_task(self._call(handler, event))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait for the handlers under way, each within its budget."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _call(self, handler: EventHandler, event: Event) -> None:
        if self._places is None:
            self._places = asyncio.Semaphore(_AT_ONCE)
        async with self._places:
            try:
                async with asyncio.timeout(BUDGET):
                    answer = handler(event)
                    if inspect.isawaitable(answer):
                        await answer
            except Exception as error:  # a host's handler may raise anything, and harms nobody
                name = getattr(handler, "__qualname__", type(handler).__name__)
                log.exception("event.handler_failed", handler=name, event_name=event.name, error=type(error).__name__)
