"""A worker of arq, its runs, or some tasks of it, come to their end."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final

import structlog
from arq.worker import create_worker

from bankimport.queue.claims import Claims

log = structlog.get_logger(__name__)

_CANCEL_AGAIN: Final = 0.5
#: How long a cancelled run may take to let go of what it holds, and to give itself back, before it is cancelled again.
_LETTING_GO: Final = 10.0
#: How long runs may take to give themselves back when the worker is to stop at once, and how often it looks for that.
_MOMENT: Final = 1.0
_LOOK: Final = 0.1
#: A host that is told to stop twice is meant.
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until they are over: redis-py's use of `wait_for` may swallow a cancel (Python 3.11)."""
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_CANCEL_AGAIN)


async def end_runs(claims: Claims) -> None:
    """Claim nothing more, wait for what runs within the grace, and let the rest give itself back. A run whose end is on
    its way to Redis isn't cancelled, or the end would stay behind."""
    claims.stop()
    log.info("worker.stopping", worker=claims.hooks.worker_id, running=len(claims.running))
    await _ended(claims, claims.hooks.grace)
    cancel_runs(claims)
    await _ended(claims, _LETTING_GO)
    for task in claims.running:
        task.cancel()
    await _ended(claims, _CANCEL_AGAIN)
    if claims.running:
        log.error("worker.runs_left", worker=claims.hooks.worker_id, running=len(claims.running))


async def _ended(claims: Claims, seconds: float) -> None:
    """Wait until nothing runs, for so many seconds; only for a moment once the worker is to stop at once."""
    until = time.monotonic() + seconds
    while claims.running and (left := min(until, claims.at_once_by) - time.monotonic()) > 0:
        await asyncio.wait(claims.running, timeout=min(left, _LOOK))


def cancel_runs(claims: Claims) -> None:
    """Let what runs give itself back."""
    for task, run in claims.running.items():
        if not run.settled:
            task.cancel()


def hear_signals(claims: Claims) -> None:
    """Claim nothing after the first signal, and stop at once after the second. arq's own handlers, which are
    asyncio's, stay: asyncio wakes its loop by a file, whatever Python's handler is."""
    loop, main, numbers = asyncio.get_running_loop(), asyncio.current_task(), count(1)
    ending: set[asyncio.Task[None]] = set()

    def stop() -> None:
        if main is not None:  # arq cancels it once, which redis-py may swallow
            ending.add(loop.create_task(end(main)))
        _stop(claims, next(numbers))

    def heard(_: int, __: object) -> None:
        loop.call_soon_threadsafe(stop)

    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler):
                signal.signal(number, heard)


def _stop(claims: Claims, signals: int) -> None:
    claims.stop()
    if signals == 1:
        return
    log.warning("worker.stopped_at_once", worker=claims.hooks.worker_id, running=len(claims.running))
    claims.at_once_by = min(claims.at_once_by, time.monotonic() + _MOMENT)
    cancel_runs(claims)


@asynccontextmanager
async def working(settings: Any) -> AsyncIterator[None]:
    """Let arq work with these settings as a task of this process; what runs in the end is given back at once.

    Raises:
        Exception: what ended the worker before.
    """
    settings.job_completion_wait = 0
    worker = create_worker(settings, handle_signals=False)
    task = asyncio.create_task(worker.async_run())
    try:
        yield
    finally:
        await end(task)  # `Worker.close` alone cancels once: swallowed, it would be left polling a closed pool
        await worker.close()
        with contextlib.suppress(asyncio.CancelledError):
            await task
