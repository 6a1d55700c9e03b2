"""The ledger in Redis: the same answers as the pure decision, atomic, nameless, and lawful through the real job."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from bankimport.errors import Transient
from bankimport.imports.budget import ROLLING
from bankimport.models import Scope
from bankimport.ports import AccessKey
from bankimport.queue.ledger import WINDOW, RedisLedger
from bankimport.settings import Settings
from bankimport.testing.fakes import MemoryLedger
from bankimport.testing.memory_store import MemoryStore
from tests.queue.driver import Driver
from tests.simulation.world import CONNECTION, GIRO, World, reported

START = datetime(2026, 3, 10, tzinfo=UTC)
KEY = AccessKey("bank", GIRO.stable_key, Scope.TRANSACTIONS)


@pytest.fixture
async def ledger(settings: Settings, no_endless_keys: None) -> AsyncIterator[RedisLedger]:
    """A ledger of its own."""
    driver = Driver.of(settings)
    yield RedisLedger(driver.queue)
    await driver.aclose()


@pytest.mark.parametrize("seed", range(4))
async def test_redis_answers_as_the_decision_does(ledger: RedisLedger, seed: int) -> None:
    """Whatever is asked in whatever order, Redis and the pure decision give the same answers."""
    r, model, now = random.Random(seed), MemoryLedger(), START
    keys = [KEY, AccessKey("bank", GIRO.stable_key, Scope.BALANCES), AccessKey("other", "k", Scope.TRANSACTIONS)]
    assert WINDOW == ROLLING
    for _ in range(300):
        now += timedelta(milliseconds=r.choice((0, 1, 60_000, 3_600_000, 20_000_000)))
        key, limit = r.choice(keys), r.choice((4, 4, 4, 2, 0, None))
        match r.randrange(8):
            case 0:
                until = now + timedelta(minutes=r.randrange(-60, 2000))
                await ledger.close(key, until)
                await model.close(key, until)
            case 1 | 2:
                success = r.random() < 0.5
                answers = [await each.note_outcome(key, success=success, now=now) for each in (ledger, model)]
                assert answers[0] == answers[1]
            case _:
                answer = await ledger.reserve(key, limit=limit, now=now)
                assert answer == await model.reserve(key, limit=limit, now=now)
        assert list(await ledger.reads(key, now)) == list(await model.reads(key, now))
        assert await ledger.failures(key) == await model.failures(key)


async def test_fifty_at_once_get_four(ledger: RedisLedger) -> None:
    """Fifty workers that ask at the same instant get four reads between them."""
    answers = await asyncio.gather(*(ledger.reserve(KEY, limit=4, now=START) for _ in range(50)))
    assert answers.count(None) == 4
    assert set(answers) - {None} == {START + WINDOW}


async def test_no_key_names_an_account(ledger: RedisLedger, redis_client: "Redis[str]") -> None:
    """Neither a key nor a value in Redis says whose account was read."""
    await ledger.reserve(KEY, limit=4, now=START)
    await ledger.close(KEY, START + timedelta(hours=1))
    keys = [key async for key in redis_client.scan_iter("*access*")]
    assert len(keys) == 2
    assert not [key for key in keys if GIRO.stable_key in key]


async def test_never_more_than_four_reads_by_redis(ledger: RedisLedger) -> None:
    """Through the job with a fifth of its reads failing, 20 days of ticks: never more than 4 in 24 h."""
    world, r = World(MemoryStore()), random.Random(7)
    await world.add(CONNECTION)
    world.ledger = ledger  # type: ignore[assignment]  # the same port
    asked: list[datetime] = []
    for tick in range(20 * 6):
        world.clock.now = START + tick * timedelta(hours=4, seconds=r.randrange(10))
        for wait in (0, 5, 10, 20):
            world.clock.advance(timedelta(seconds=wait))
            world.pages(*([Transient("down")] if r.random() < 0.2 else [[reported("-3.50", ref="a")]]))
            before = len([call for call in world.bank.calls if call[0] is Scope.TRANSACTIONS])
            try:
                await world.sync(scheduled=True)
                done = True
            except Transient:
                done = False
            after = len([call for call in world.bank.calls if call[0] is Scope.TRANSACTIONS])
            asked += [world.clock()] * (after - before)
            if done:
                break
    for at in asked:
        assert sum(at <= other < at + timedelta(hours=24) for other in asked) <= 4
    assert len(asked) >= 55
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert max(gaps) <= timedelta(hours=28, minutes=5)  # the circuit's day, and the tick after it
