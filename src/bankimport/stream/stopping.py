"""Cancellations that are heard for certain.

redis-py sends each command through `asyncio.wait_for`, and that of Python 3.11 answers with its result where a
cancellation comes at the same moment: the task goes on as if nobody had cancelled it.
"""

import asyncio
from typing import Any


async def stop(task: "asyncio.Task[Any]") -> None:
    """Cancel a task until it has heard."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.05)


def cancellations() -> int:
    """Return how often the current task was cancelled and has not made up for it."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def raise_if_cancelled(before: int) -> None:
    """Raise the cancellation that was swallowed since `cancellations()` was `before`."""
    if cancellations() > before:
        raise asyncio.CancelledError
