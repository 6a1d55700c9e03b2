"""Stock arq's workers: `arq benchmarks.stock_worker.DefaultPoll` and `.FastPoll`."""

import asyncio
import os
import time
from typing import Any, ClassVar

from arq.connections import RedisSettings


async def empty(ctx: dict[Any, Any]) -> None:
    """Do nothing."""


async def mark(ctx: dict[Any, Any]) -> None:
    """Tell when the first line ran, on the clock that all processes of the machine share."""
    at = time.monotonic_ns()
    await ctx["redis"].rpush("bench:marks", at)


async def sleep(ctx: dict[Any, Any], seconds: float) -> None:
    """Wait, as for a bank's answer."""
    await asyncio.sleep(seconds)


async def three_accounts(ctx: dict[Any, Any], connection_id: str) -> dict[str, Any]:
    """Return what a sync of three accounts returns, for arq to keep."""
    account = {
        "accountId": "acc_000000000000",
        "outcome": "synced",
        "isNew": True,
        "complete": True,
        "newTransactions": 0,
        "updatedTransactions": 0,
        "removedTransactions": 0,
        "quarantined": 0,
        "window": {"since": "2026-08-26"},
        "balances": "synced",
        "balanceCheck": "unknown",
    }
    counts = ("accountsSynced", "transactionsSynced", "newAccounts", "newTransactions", "updatedTransactions")
    return {"connectionId": connection_id, "success": True, **dict.fromkeys(counts, 3), "accounts": [{**account}] * 3}


class DefaultPoll:
    """arq as it comes: `poll_delay` 0.5 s."""

    functions: ClassVar[list[Any]] = [empty, mark, sleep, three_accounts]
    redis_settings = RedisSettings.from_dsn(os.environ.get("REDIS_URL", "redis://localhost"))
    max_jobs = 10


class FastPoll:
    """arq with `poll_delay` 0.01 s."""

    functions: ClassVar[list[Any]] = [empty, mark, sleep, three_accounts]
    redis_settings = RedisSettings.from_dsn(os.environ.get("REDIS_URL", "redis://localhost"))
    max_jobs = 10
    poll_delay = 0.01
