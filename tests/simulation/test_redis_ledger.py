"""The ledger in Redis: the same answers as the pure decision, atomic, nameless."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as RedisConnectionError

from bankimport.access.budget import ROLLING, horizon
from bankimport.models import Scope
from bankimport.ports import AccessHistory, AccessKey, Asks, CountedRead, Met
from bankimport.settings import Settings
from bankimport.stores.redis.ledger import RedisLedger
from bankimport.stores.redis.notes import RedisNotes
from bankimport.testing.fakes import MemoryLedger
from tests.queue.driver import Driver
from tests.simulation.world import CONNECTION, GIRO

START = datetime(2026, 3, 10, tzinfo=UTC)
KEY = AccessKey("bank", GIRO.stable_key, Scope.TRANSACTIONS)


@pytest.fixture
async def ledger(settings: Settings, no_endless_keys: None) -> AsyncIterator[RedisLedger]:
    """A ledger of its own."""
    driver = Driver.of(settings)
    yield RedisLedger(driver.queue)
    await driver.aclose()


@pytest.mark.parametrize("zone", [None, ZoneInfo("Europe/Berlin")])
@pytest.mark.parametrize("seed", range(4))
async def test_redis_answers_as_the_decision_does(ledger: RedisLedger, seed: int, zone: ZoneInfo | None) -> None:
    """Whatever is asked in whatever order, Redis and the pure decision give the same answers."""
    r, model, now = random.Random(seed), MemoryLedger(), START
    keys = [KEY, AccessKey("bank", GIRO.stable_key, Scope.BALANCES), AccessKey("other", "k", Scope.TRANSACTIONS)]
    for number in range(300):
        now += timedelta(milliseconds=r.choice((0, 1, 60_000, 3_600_000, 20_000_000)))
        key, limit, who = r.choice(keys), r.choice((4, 4, 4, 2, 1, 0, None)), r.choice(("c", "c", "d"))
        match r.randrange(8):
            case 0:
                until = now + timedelta(minutes=r.randrange(-60, 2000))
                await ledger.close(key, until)
                await model.close(key, until)
            case 1 | 2:
                await ledger.note_success(key, who)
                await model.note_success(key, who)
            case _:
                read = CountedRead(now, r.choice((*Asks, Asks.PLANNED)), who, f"job:{number}")
                begins = r.random() < 0.8
                answer = await ledger.reserve(key, read, limit=limit, zone=zone, begins=begins)
                assert answer == await model.reserve(key, read, limit=limit, zone=zone, begins=begins)
        since = horizon(now, zone)
        assert known(await ledger.history(key, "c", since)) == known(await model.history(key, "c", since))


def known(history: AccessHistory) -> tuple[object, ...]:
    """What two ledgers have to agree on; in Redis others' connections have no names."""
    reads = [(read.at, read.asks, read.connection_id == "c", read.job_id) for read in history.reads]
    return sorted(reads), history.failures, history.closed_until


def planned(number: int = 0) -> CountedRead:
    """A read of the schedule."""
    return CountedRead(START, Asks.PLANNED, "c", f"job-{number}")


async def test_fifty_at_once_get_four(ledger: RedisLedger) -> None:
    """Fifty workers that ask at the same instant get four reads between them."""
    asked = (ledger.reserve(KEY, planned(n), limit=4, zone=None, begins=True) for n in range(50))
    answers = await asyncio.gather(*asked)
    assert answers.count(None) == 4
    assert set(answers) - {None} == {START + ROLLING}


async def test_a_repeated_call_is_counted_once(ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reservation whose reply was lost is sent once more, and is one request all the same."""
    scripts = ledger._place.scripts
    call = scripts.call

    async def twice(*args: Any) -> Any:
        await call(*args)
        return await call(*args)

    monkeypatch.setattr(scripts, "call", twice)
    for number in range(4):
        assert await ledger.reserve(KEY, planned(number), limit=4, zone=None, begins=True) is None
    history = await ledger.history(KEY, "c", START - ROLLING)
    assert (len(history.reads), history.failures) == (4, 4)


async def test_no_key_names_an_account(ledger: RedisLedger, redis_client: "Redis[str]") -> None:
    """Neither a key nor a value in Redis says whose account was read, or by which consent."""
    await ledger.reserve(KEY, planned(), limit=4, zone=None, begins=True)
    await ledger.close(KEY, START + timedelta(hours=1))
    await ledger.meet(CONNECTION.id, Met(START))
    keys = [key async for key in redis_client.scan_iter("*access*")]
    assert len(keys) == 3
    assert not [key for key in keys if GIRO.stable_key in key or CONNECTION.id in key]


async def test_a_read_is_small(ledger: RedisLedger, redis_client: "Redis[str]") -> None:
    """Members of at most 64 bytes are kept in a list, a fifth as large: an organisation has a dozen such keys for each
    connection. A batch's child has the longest id that we give."""
    for number in range(4):
        read = CountedRead(START + timedelta(hours=number), Asks.PLANNED, "c", "0123456789abcdef0123")
        await ledger.reserve(KEY, read, limit=4, zone=None, begins=True)
    [name] = [key async for key in redis_client.scan_iter("*access:*")]
    assert await redis_client.object("encoding", name) == "listpack"


async def test_a_connection_is_met_once(ledger: RedisLedger, redis_client: "Redis[str]") -> None:
    """What was noted is read back; what nobody can read in Redis is no list."""
    assert await ledger.met("c") is None
    for met in (Met(START), Met()):
        await ledger.meet("c", met)
        assert await ledger.met("c") == met
    [key] = [key async for key in redis_client.scan_iter("*access-met*")]
    for text in ("", "{}", "-1", "nonsense"):
        await redis_client.set(key, text, px=1000)
        assert await ledger.met("c") == Met()


async def test_notes_are_the_jobs_own(settings: Settings, no_endless_keys: None) -> None:
    """What the runs of a job have done is read back by account, and no other job has it."""
    driver = Driver.of(settings)
    notes = RedisNotes(driver.queue)
    await notes.put("job-1", "acc_1", "first")
    await notes.put("job-1", "acc_1", "second")
    await notes.put("job-1", "acc_2", "other")
    assert await notes.load("job-1") == {"acc_1": "second", "acc_2": "other"}
    assert await notes.load("job-2") == {}
    await driver.aclose()


async def test_a_note_is_put_although_the_link_fails_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red before: redis-py empties a pipeline that has failed, and the second try wrote nothing, and said nothing."""
    driver, sent = Driver.of(settings), Connection.send_packed_command
    notes = RedisNotes(driver.queue)

    async def fails(self: Connection, *arguments: Any, **options: Any) -> None:
        monkeypatch.setattr(Connection, "send_packed_command", sent)
        raise RedisConnectionError("cut")

    await notes.put("job-1", "acc_1", "first")
    monkeypatch.setattr(Connection, "send_packed_command", fails)
    await notes.put("job-1", "acc_1", "second")
    assert await notes.load("job-1") == {"acc_1": "second"}
    await driver.aclose()
