"""What a worker holds of the queue: it claims as places become free, never more than it has, and sleeps while full."""

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest
from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as RedisConnectionError

from bankimport.errors import Unavailable
from bankimport.queue.claims import Claims, Hooks
from bankimport.queue.gate import Gate
from bankimport.queue.run import Run
from bankimport.queue.transitions import Ended, Transitions
from bankimport.queue.wake_ups import WakeUps
from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.worker import stopping
from tests.queue.driver import FUNCTIONS, Driver
from tests.waiting import wait_until

SLOTS = 4
_OF_A_RUN: ContextVar[str] = ContextVar("of_a_run", default="")


@pytest.fixture
async def claims(driver: Driver) -> AsyncIterator[Claims]:
    """A worker's claims, with four places."""
    made = Claims(driver.queue, Hooks("w", SLOTS, functions=set(FUNCTIONS)), driver.queue.client)
    yield made
    driver.queue.scripts.before_trip = None
    await stopping.end(*made.asking, *made.running)


async def asked(driver: Driver, number: int) -> None:
    """Ask for so many syncs."""
    for index in range(number):
        await driver.ask(f"c{index}")


def end(claims: Claims, driver: Driver, run: Run) -> "asyncio.Future[Any]":
    """Let a run end well, as the runner does; its end is on its way."""
    run.settled = True
    answer = driver.do.complete_job.send(run.job_id, str(run.fence), b"{}", "", "", "ok", [], [], [])
    claims.refill()
    return answer


def held(claims: Claims) -> list[Run]:
    """Return the runs that have not ended."""
    return [run for run in claims.runs.values() if not run.settled]


async def full(claims: Claims) -> list[Run]:
    """Let a worker look until it has what it has places for."""
    while len(held(claims)) < SLOTS:
        await claims.look()
    return held(claims)


async def test_half_of_the_places_begin_a_turn_before_the_others(driver: Driver, claims: Claims) -> None:
    """The ends of one half are on their way to Redis while the other half works."""
    begun: list[str] = []
    seen: list[int] = []

    async def run(run: Run) -> None:
        begun.append(run.job_id)
        asyncio.get_running_loop().call_soon(lambda: seen.append(len(begun)))

    claims.hooks.run = run
    await asked(driver, SLOTS)
    await claims.look()
    await wait_until(lambda: len(seen) == SLOTS, what="all of them")
    assert seen == [2, 2, 4, 4]
    assert claims.runs == {}, "they are over"


async def test_a_run_knows_nothing_of_the_one_that_asked_for_it(driver: Driver, claims: Claims) -> None:
    """A claim that travels with a run's end is sent by that run's task, whose bank, span and lines are its own. Red
    before: the next run began with them."""
    seen: list[str] = []

    async def run(run: Run) -> None:
        seen.append(_OF_A_RUN.get())
        _OF_A_RUN.set(run.job_id)
        await end(claims, driver, run)

    claims.hooks.run = run
    await asked(driver, 8)
    await claims.look()
    await wait_until(lambda: len(seen) == 8, what="all of them")
    assert seen == [""] * 8


async def test_claims_under_way_take_no_place_twice(driver: Driver, claims: Claims) -> None:
    """Ends that come while a claim is under way bring another; together they ask for the places there are."""
    await asked(driver, 20)
    for _ in range(4):
        runs = await full(claims)
        for half in (runs[:2], runs[2:]):
            ends = [end(claims, driver, run) for run in half]
            await asyncio.sleep(0)
        await asyncio.gather(*ends)
        for run in runs:
            claims._held.done(run)
        await wait_until(lambda: len(held(claims)) == SLOTS, what="new runs")
    assert await driver.queue.client.zcard(driver.queue.keys.state("active")) == SLOTS


async def test_claims_whose_replies_were_lost(driver: Driver, claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is asked for again, for as many places as before, so that nothing is claimed twice and nothing is left."""
    await asked(driver, 20)
    runs = await full(claims)
    line = driver.queue.scripts._line
    exchange = line.exchange

    async def deaf(commands: Any) -> list[Any]:
        await exchange(commands)
        raise Unavailable("Redis", reason="the reply was lost")

    monkeypatch.setattr(line, "exchange", deaf)
    for half in (runs[:2], runs[2:]):
        ends = [end(claims, driver, run) for run in half]
        await asyncio.wait(ends)
        for run in half:
            claims._held.done(run)
    monkeypatch.undo()
    assert len(held(claims)) == 0
    claims.wake()
    await full(claims)
    active = await driver.queue.client.zrange(driver.queue.keys.state("active"), 0, -1)
    assert {job_id.decode() for job_id in active} == set(claims.runs)


async def test_a_suspect_gets_no_company_from_a_second_claim(driver: Driver, claims: Claims) -> None:
    """While a claim is under way that may bring a suspect, which runs alone, no other is sent."""
    await asked(driver, 4)
    suspect = await driver.ask("suspect")
    keys, client = driver.queue.keys, driver.queue.client
    await client.hset(keys.job(suspect), "stalls", 2)
    await client.zadd(keys.of("suspects"), {suspect: 1})
    looking = asyncio.create_task(claims.look())
    await asyncio.sleep(0)
    for _ in range(3):
        claims.refill()
        await driver.do.advance_progress.send("nobody", "1", ["{}"])
    await looking
    await wait_until(lambda: claims.runs, what="the claim")
    assert list(claims.runs) == [suspect]


async def test_a_full_worker_waits_for_no_token(driver: Driver, claims: Claims) -> None:
    """It would have to pass on each that it gets."""
    listening = asyncio.create_task(WakeUps(claims, driver.queue, driver.queue.client).listen())
    client = driver.queue.client
    try:
        await asked(driver, 8)
        await client.delete(driver.queue.keys.wake)
        for run in await full(claims):
            end(claims, driver, run)
        await wait_until(lambda: len(held(claims)) == SLOTS, what="the next")
        for _ in range(3):
            await asyncio.sleep(0)
        assert (await client.info("clients"))["blocked_clients"] == 0
        await asyncio.gather(*(end(claims, driver, run) for run in held(claims)))
        await wait_until(lambda: not held(claims), what="the end of all")
        claims.wake()
        await claims.look()
        await wait_until(lambda: blocked(driver), what="an idle worker's wait")
    finally:
        listening.cancel()


async def blocked(driver: Driver) -> bool:
    """Whether somebody waits for a token."""
    return bool((await driver.queue.client.info("clients"))["blocked_clients"])


async def test_ends_that_travel_together_are_one_call(driver: Driver) -> None:
    """What Redis does for each script at all is done once for all of them."""
    await asked(driver, 5)
    runs = await driver.claim(5)
    client = driver.queue.client
    await driver.do.complete_job("nobody", "1", b"", "", "", "ok", [], [], [])
    before = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert await asyncio.gather(*(driver.complete(run) for run in runs)) == [Ended.DONE] * 5
    assert (await client.info("commandstats"))["cmdstat_evalsha"]["calls"] - before <= 2, "the first goes at once"


async def test_one_calls_trouble_is_no_others(driver: Driver) -> None:
    """A key that isn't what it should be refuses one end; those that travel with it are written."""
    for org in ("acme", "other", "third"):
        await driver.ask(f"c-{org}", org=org)
    runs = await driver.claim(3)
    held_up = Keys(driver.queue.settings.queue_name).of("held", "c-other")
    await driver.queue.client.set(held_up, "no set", px=60_000)
    answers = await asyncio.gather(*(driver.complete(run) for run in runs), return_exceptions=True)
    of = {run.org_id: answer for run, answer in zip(runs, answers, strict=True)}
    assert isinstance(of.pop("other"), RuntimeError)
    assert of == {"acme": Ended.DONE, "third": Ended.DONE}


async def test_more_numbers_than_are_reserved_at_once(driver: Driver) -> None:
    """A script that makes many jobs numbers each anew, and what comes after is behind all of them."""
    rows = [f"c{number}" for number in range(700)]
    await driver.ask_all(*rows)
    [batch] = await driver.claim(1)
    await driver.fan_out(batch, *rows, size=700)
    last = await driver.ask("last")
    client, keys = driver.queue.client, driver.queue.keys
    waiting = [job_id.decode() for job_id in await client.zrange(keys.state("waiting"), 0, -1)]
    orders = {job_id: int(await client.hget(keys.job(job_id), "order")) for job_id in waiting}
    behind = orders.pop(last)
    assert len(set(orders.values())) == 700
    assert behind > max(orders.values()) - 1e14, "a child's order is so much larger than its number"


async def test_an_answer_that_can_not_be_read_costs_no_place(
    driver: Driver, claims: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its places would be gone for ever, and the worker would claim nothing more."""
    await asked(driver, 2)
    with monkeypatch.context() as garbled:
        garbled.setattr(vars(Transitions)["claim_jobs"], "decode", lambda _: 1 / 0)
        claims.wake()
        await asyncio.wait(claims.asking)
    await driver.ask("later")
    claims.wake()
    await wait_until(lambda: len(held(claims)) == 1, what="the job that came later")


async def test_a_queue_is_not_empty_because_a_link_failed(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--burst` ends when arq is told that nothing is left. Red before: redis-py empties a pipeline that has failed, and
    the second try counted nothing."""
    gate, sent = connect(driver.queue.settings, Gate), Connection.send_packed_command
    gate.attach(driver.queue, Hooks("w", SLOTS))
    await asked(driver, 3)

    async def fails(self: Connection, *arguments: Any, **options: Any) -> None:
        monkeypatch.setattr(Connection, "send_packed_command", sent)
        raise RedisConnectionError("cut")

    assert await gate.zcard(driver.queue.keys.queue) == 3, "the link stands"
    monkeypatch.setattr(Connection, "send_packed_command", fails)
    assert await gate.zcard(driver.queue.keys.queue) == 3
    await gate.aclose()
