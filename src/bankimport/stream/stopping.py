"""Ending a task for certain."""

import asyncio
from typing import Any


async def stop(task: "asyncio.Task[Any]") -> None:
    """Cancel a task until it has heard: redis-py 5.3 can swallow a cancellation that meets it while it connects."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.05)
