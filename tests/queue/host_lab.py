"""A laboratory worker with functions and a cron job of a host's own: `arq tests.queue.host_lab.WorkerSettings`.

Each run leaves a word and its `job_try` in the list `lab:host`.
"""

import asyncio
from typing import Any

from arq import Retry, cron, func

from bankimport.queue.gate import Gate
from bankimport.settings import Settings
from tests.queue.lab import lab_settings_class

HOST = "lab:host"


async def _mark(ctx: dict[Any, Any], word: str) -> None:
    pool: Gate = ctx["redis"]
    await pool.rpush(HOST, f"{word} {ctx['job_try']}")


async def slow(ctx: dict[Any, Any]) -> None:
    """Take longer than its timeout."""
    await _mark(ctx, "slow")
    await asyncio.sleep(60)


async def again(ctx: dict[Any, Any]) -> None:
    """Ask for another run, always."""
    await _mark(ctx, "again")
    raise Retry(defer=0.01)


async def tick(ctx: dict[Any, Any]) -> None:
    """Be due every second."""
    await _mark(ctx, "tick")


def __getattr__(name: str) -> Any:
    if name != "WorkerSettings":
        raise AttributeError(name)
    base: Any = lab_settings_class(Settings.load())

    class WorkerSettings(base):  # type: ignore[misc]  # made anew for each process
        functions = [*base.functions, func(slow, timeout=0.5), func(again, max_tries=3)]  # noqa: RUF012  # arq's way
        cron_jobs = [cron(tick, second=set(range(60)))]  # noqa: RUF012  # arq's way

    return WorkerSettings
