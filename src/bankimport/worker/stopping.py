"""A worker of arq, or some tasks of it, come to their end."""

import asyncio
import contextlib
from typing import Any, Final

from arq.worker import Worker

_CANCEL_AGAIN: Final = 0.5


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until they are over: redis-py's use of `wait_for` may swallow a cancel (Python 3.11)."""
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_CANCEL_AGAIN)


async def stop(worker: Worker, working: asyncio.Task[None]) -> None:
    """Stop a worker of arq that runs as a task of this process.

    `Worker.close` alone cancels once: a swallowed cancel would leave it polling a closed pool.

    Raises:
        Exception: what ended the worker before.
    """
    await end(working)
    await worker.close()
    with contextlib.suppress(asyncio.CancelledError):
        await working
