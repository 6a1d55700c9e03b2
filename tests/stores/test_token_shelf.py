"""A provider's token in Redis: shared by all workers, made by one at a time, gone by itself."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bankimport import BankImport
from bankimport.errors import Unavailable
from bankimport.providers import GoCardless
from bankimport.providers.tokens import SharedTokens, Tokens
from bankimport.redis import deadline
from bankimport.settings import Settings
from bankimport.stores.redis.shelf import RedisShelf
from bankimport.testing import MemoryStore
from tests.queue.driver import Driver
from tests.waiting import PATIENCE


async def test_a_token_is_kept_until_it_ends(driver: Driver) -> None:
    """What is put is got; a dropped one is gone; each has an end."""
    shelf = RedisShelf(driver.queue)
    assert await shelf.get("a") is None
    await shelf.put("a", "sealed", timedelta(seconds=30))
    assert await shelf.get("a") == "sealed"
    assert 0 < await driver.queue.client.pttl(driver.queue.keys.of("token", "a")) <= 30_000
    await shelf.drop("a")
    assert await shelf.get("a") is None


async def test_one_worker_makes_the_token_and_all_use_it(driver: Driver) -> None:
    """Thirty requests of three workers at once: one token is asked for, and it isn't readable in Redis."""
    made = 0

    async def make(refresh: str | None, now: datetime) -> Tokens:
        nonlocal made
        made += 1
        await asyncio.sleep(0.05)  # the request to the bank
        return Tokens(f"access-{made}", now.timestamp() + 3600, "refresh", now.timestamp() + 7200)

    workers = [SharedTokens("bank", "secret", make) for _ in range(3)]
    for worker in workers:
        worker.shelf = RedisShelf(driver.queue)
    now = datetime.now(UTC)
    tokens = await asyncio.gather(*(workers[n % 3].access(now) for n in range(30)))
    assert (made, set(tokens)) == (1, {"access-1"})
    kept = await driver.queue.client.get(driver.queue.keys.of("token", workers[0]._name))
    assert kept is not None
    assert b"access-1" not in kept


async def test_who_fails_in_its_turn_gives_it_back(driver: Driver) -> None:
    """The next one tries at once."""
    failed = False

    async def make(refresh: str | None, now: datetime) -> Tokens:
        nonlocal failed
        if not failed:
            failed = True
            raise RuntimeError("the bank is away")
        return Tokens("a", now.timestamp() + 3600, "r", now.timestamp() + 7200)

    tokens = SharedTokens("bank", "secret", make)
    tokens.shelf = RedisShelf(driver.queue)
    now = datetime.now(UTC)
    with pytest.raises(RuntimeError):
        await tokens.access(now)
    assert await asyncio.wait_for(tokens.access(now), PATIENCE) == "a"


async def test_a_redis_that_is_away_is_said_so(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is `Unavailable`, which a job waits for."""
    monkeypatch.setattr(deadline, "LONGEST", 1.0)
    shelf = RedisShelf(driver.queue)
    driver.queue.client.connection_pool.connection_kwargs["port"] = 1
    await driver.queue.client.connection_pool.disconnect()
    driver.queue.client.connection_pool.connection_kwargs["retry_on_error"] = []

    async def turn() -> None:
        async with shelf.turn("a"):
            pass

    steps: list[Any] = [shelf.get("a"), shelf.put("a", "b", timedelta(1)), shelf.drop("a"), turn()]
    for step in steps:
        with pytest.raises(Unavailable):
            await step


async def test_a_host_shares_them_without_a_word(settings: Settings) -> None:
    """`BankImport` gives each provider that wants it the shelf of its queue."""
    provider = GoCardless(secret_id="i", secret_key="k")
    bank_import = BankImport(settings, banks={"gc": provider}, store=MemoryStore())
    assert isinstance(provider._tokens.shelf, RedisShelf)
    await bank_import.aclose()
