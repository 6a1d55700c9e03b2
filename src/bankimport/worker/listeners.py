"""Handlers in the worker's own process: told of what its scripts emitted, never able to harm or delay a job."""

import asyncio
import inspect
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from fnmatch import fnmatchcase

import structlog

from bankimport.events import Event
from bankimport.logs import frames_of

log = structlog.get_logger(__name__)

#: A handler, async or plain.
EventHandler = Callable[[Event], Awaitable[None] | None]

#: The longest a handler may take, in seconds; what takes longer belongs into a consumer of its own (`consume`).
BUDGET = 10.0
#: Async handlers that run at a time; further events wait their turn.
_AT_ONCE = 32
#: Events that wait, of a plain handler and of all async ones; more are left out: the worker's memory is not theirs.
MOST_WAITING = 10_000


class Listeners:
    """The handlers registered with `on`, by name or wildcard (`bank.sync.*`).

    An async one runs on the worker's loop; a plain one, which could block that, in a thread, one event at a time.
    """

    def __init__(self, *, budget: float = BUDGET, most_waiting: int = MOST_WAITING) -> None:
        self._budget = budget
        self._most_waiting = most_waiting
        self._handlers: list[tuple[str, EventHandler, PlainHandler | None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._places: asyncio.Semaphore | None = None
        self._left_out = 0

    def on(self, pattern: str, handler: EventHandler) -> None:
        """Call `handler` for each event whose name matches."""
        plain = None if _is_async(handler) else PlainHandler(handler, self._budget)
        self._handlers.append((pattern, handler, plain))

    def __bool__(self) -> bool:
        return bool(self._handlers)

    def tell(self, event: Event) -> None:
        """Start the handlers of an event; return at once."""
        for pattern, handler, plain in self._handlers:
            if not fnmatchcase(event.name, pattern):
                continue
            if (plain.waiting if plain else len(self._tasks)) >= self._most_waiting:
                if self._left_out % 1000 == 0:
                    log.error("event.handler_behind", handler=_name(handler), left_out=self._left_out + 1)
                self._left_out += 1
            elif plain is not None:
                plain.tell(event, asyncio.get_running_loop())
            else:
                task = asyncio.create_task(self._call(handler, event))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait for the handlers, all together within one budget; cut those that take longer."""
        until = time.monotonic() + self._budget
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._budget)
        for plain in [plain for _, _, plain in self._handlers if plain is not None]:
            while plain.busy and time.monotonic() < until:  # noqa: ASYNC110  # a thread ends it
                await asyncio.sleep(0.01)
            self._left_out += plain.forget()
        for task in self._tasks:
            task.cancel()

    async def _call(self, handler: EventHandler, event: Event) -> None:
        if self._places is None:
            self._places = asyncio.Semaphore(_AT_ONCE)
        async with self._places:
            try:
                async with asyncio.timeout(self._budget):
                    answer = handler(event)
                    if inspect.isawaitable(answer):
                        await answer
            except (Exception, SystemExit) as error:  # a host's handler may raise anything, and harms nobody
                _failed(handler, event, error)


class PlainHandler:
    """A plain handler and the events that wait for it, in order; a thread works on them while there are any.

    Nothing can end a thread: one that hangs holds up this handler alone, and does not keep the process from ending.
    """

    def __init__(self, handler: EventHandler, budget: float) -> None:
        self._handler = handler
        self._budget = budget
        self._waiting: deque[tuple[Event, asyncio.AbstractEventLoop]] = deque()
        self._lock = threading.Lock()
        self.busy = False

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return len(self._waiting)

    def tell(self, event: Event, loop: asyncio.AbstractEventLoop) -> None:
        """Put an event into the line; what the handler answers, if it can be awaited, is awaited on `loop`."""
        with self._lock:
            self._waiting.append((event, loop))
            if not self.busy:
                self.busy = True
                threading.Thread(target=self._work, daemon=True, name=f"on {_name(self._handler)}").start()

    def forget(self) -> int:
        """Leave out what waits; return how many those are."""
        with self._lock:
            number = len(self._waiting)
            self._waiting.clear()
        return number

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self.busy = False
                    return
                event, loop = self._waiting.popleft()
            began = time.monotonic()
            try:
                answer = self._handler(event)
                if inspect.isawaitable(answer):
                    asyncio.run_coroutine_threadsafe(_awaited(answer), loop).result(self._budget)
            except (Exception, SystemExit) as error:  # as above
                _failed(self._handler, event, error)
            if (took := time.monotonic() - began) > self._budget:
                log.warning("event.handler_slow", handler=_name(self._handler), event_name=event.name, seconds=took)


async def _awaited(answer: Awaitable[None]) -> None:
    await answer


def _is_async(handler: EventHandler) -> bool:
    """Whether it is an async function, or an object whose call is one."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


def _failed(handler: EventHandler, event: Event, error: BaseException) -> None:
    log.error(
        "event.handler_failed",
        handler=_name(handler),
        event_name=event.name,
        error=type(error).__name__,
        frames=frames_of(error.__traceback__),
    )


def _name(handler: EventHandler) -> str:
    return getattr(handler, "__qualname__", type(handler).__name__)
