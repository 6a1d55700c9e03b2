"""What is asked of the banks: counted over all processes, told every few seconds, true after an outage of Redis."""

import asyncio
from datetime import timedelta

import pytest

from bankimport.models import BankActivity, ConnectionHealth, Period, RequestOutcome
from bankimport.watch import bank_figures
from bankimport.watch.bank_figures import BankFigures, percentile, step_of
from tests.queue.driver import Driver
from tests.waiting import wait_until

OK, AWAY, BUSY = RequestOutcome.ANSWERED, RequestOutcome.NO_ANSWER, RequestOutcome.LIMITED


def ms(number: float) -> timedelta:
    """Return so many milliseconds."""
    return timedelta(milliseconds=number)


async def one(figures: BankFigures, period: Period = Period.DAY) -> BankActivity:
    """Return what is known of the bank."""
    [found] = await figures.read(["bank"], period, {"bank": 1}, {"bank": {ConnectionHealth.NEW: 2}})
    return found


async def test_processes_add_up(driver: Driver) -> None:
    """Requests, errors by what they were, times, and reads put off are those of all processes, in every period."""
    here, there = BankFigures(driver.queue), BankFigures(driver.queue)
    for _ in range(90):
        here.heard("bank", OK, ms(100))
    for _ in range(10):
        there.heard("bank", OK, ms(4000))
    there.heard("bank", BUSY, ms(100))
    there.heard("bank", AWAY, ms(60_000))
    there.heard("other", OK, ms(1))
    here.deferred("bank")
    there.deferred("bank")
    await here.tell()
    await there.tell()
    for period in Period:
        bank = await one(here, period)
        assert (bank.requests, bank.deferred, bank.configured) == (102, 2, True)
        assert bank.errors == {BUSY: 1, AWAY: 1}
        assert bank.typical is not None
        assert bank.slow is not None
        assert ms(70) <= bank.typical <= ms(115)
        assert ms(2800) <= bank.slow <= ms(4600)
        assert bank.steps[-1].requests + bank.steps[-2].requests == 102  # a minute may have begun in between
        assert sum(step.errors for step in bank.steps) == 2
        assert bank.connections == {ConnectionHealth.NEW: 2}
        assert {later.since - sooner.since for sooner, later in zip(bank.steps, bank.steps[1:], strict=False)} == {
            {Period.HOUR: timedelta(minutes=1), Period.DAY: timedelta(hours=1), Period.WEEK: timedelta(hours=6)}[period]
        }
    await here.aclose()
    await there.aclose()


async def test_since_when_a_bank_fails(driver: Driver) -> None:
    """It fails from the first of three errors in a row on; an answer to any process ends it."""
    here, there = BankFigures(driver.queue), BankFigures(driver.queue)
    here.heard("bank", OK, ms(10))
    await asyncio.sleep(0.005)
    here.heard("bank", AWAY, ms(10))
    await here.tell()
    first = await one(here)
    assert first.failing_since is not None
    assert first.answered_at is not None
    assert first.failing_since > first.answered_at
    assert not first.is_failing
    there.heard("bank", RequestOutcome.FAILED, ms(10))
    there.heard("bank", RequestOutcome.FAILED, ms(10))
    await there.tell()
    third = await one(here)
    assert (third.is_failing, third.failures_in_a_row, third.last_error) == (True, 3, RequestOutcome.FAILED)
    assert abs(third.failing_since - first.failing_since) <= ms(2)  # type: ignore[operator]  # both are there
    await asyncio.sleep(0.005)
    here.heard("bank", RequestOutcome.REJECTED, ms(10))  # it understood: it answers
    await here.tell()
    last = await one(here)
    assert (last.failing_since, last.failures_in_a_row, last.last_error, last.is_failing) == (None, 0, None, False)
    await here.aclose()
    await there.aclose()


async def test_no_trip_a_request(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand requests cost one call, and none are made while nothing is asked of a bank."""
    monkeypatch.setattr(bank_figures, "_EVERY", 0.2)
    figures = BankFigures(driver.queue)
    await driver.queue.client.config_resetstat()

    async def calls() -> int:
        stats = await driver.queue.client.info("commandstats")
        return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))

    for _ in range(1000):
        figures.heard("bank", OK, ms(10))
    await wait_until(calls, what="the figures are told")
    await asyncio.sleep(0.5)  # more than twice as long as it waits: nothing more comes
    assert await calls() <= 2  # the second after the script was loaded
    assert (await one(figures)).requests == 1000
    await figures.aclose()


async def test_redis_takes_no_writes_for_a_while(driver: Driver) -> None:
    """What could not be told is kept, with what came after it, and told with the last word."""
    figures, client = BankFigures(driver.queue), driver.queue.client
    await figures.read(["bank"], Period.DAY, {}, {})
    await client.config_set("maxmemory", "1")
    try:
        figures.heard("bank", OK, ms(10))
        await figures.tell()
        figures.heard("bank", AWAY, ms(10))
        figures.heard("bank", AWAY, ms(10))
        await figures.tell()
    finally:
        await client.config_set("maxmemory", "0")
    figures.heard("bank", AWAY, ms(10))
    await figures.aclose()
    bank = await one(figures)
    assert (bank.requests, bank.failures_in_a_row) == (4, 3)
    assert bank.answered_at is not None


async def test_a_bank_that_nobody_has_asked(driver: Driver) -> None:
    """All is zero, and nothing is invented."""
    bank = await one(BankFigures(driver.queue))
    assert (bank.requests, bank.errors, bank.typical, bank.slow, bank.deferred) == (0, {}, None, None, 0)
    assert (bank.answered_at, bank.failing_since, bank.last_error) == (None, None, None)


async def test_every_figure_has_an_end(driver: Driver) -> None:
    """The figures go by themselves; they are bounded by the banks' names."""
    figures = BankFigures(driver.queue)
    figures.heard("bank", OK, ms(10))
    await figures.aclose()
    keys = [key async for key in driver.queue.client.scan_iter(match=f"{driver.queue.keys.prefix}bank*")]
    assert len(keys) == 4
    lives = [await driver.queue.client.pttl(key) for key in keys]
    assert all(0 < life <= 8 * 86_400_000 for life in lives)


@pytest.mark.parametrize("seconds", [0.0, 0.0049, 0.005, 0.0051, 0.3, 1.0, 59.9, 3600.0])
def test_a_time_is_within_its_step(seconds: float) -> None:
    """Each time is read again as no more than one step off; beyond a minute and a half all are one."""
    found = percentile({step_of(seconds): 1}, 1.0)
    assert found is not None
    assert min(seconds, 80) <= found.total_seconds() + 1e-9 <= max(min(seconds, 82) * 1.42, 0.0051)
