"""What is told of how far a run and a batch are, on a real server."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bankimport.models import Stage
from bankimport.queue.run import Run
from bankimport.settings import Settings
from bankimport.stream import EventStream
from tests.queue.driver import Driver
from tests.waiting import wait_until


@pytest.fixture
async def driver(settings: Settings) -> AsyncIterator[Driver]:
    """Drives the scripts of the test's queue."""
    driver = Driver.of(settings)
    yield driver
    await driver.aclose()


async def told(events: EventStream, job_id: str) -> list[tuple[int, str]]:
    """Return the progress of a job that went out: when (ms), and in which words."""
    entries = (await events.read("0", count=10_000)).entries
    found = [entry.event() for entry in entries if entry.name == "bank.job.progress" and entry.job_id == job_id]
    return [(int(event.id.split("-")[0]), event.data["message"]) for event in found if event is not None]


async def test_a_run_that_hangs_after_quick_steps(driver: Driver, events: EventStream) -> None:
    """Steps that come too soon are left out, but where a run then stands still the last of them is shown."""
    await driver.ask("c")
    [claim] = await driver.claim()
    run = Run(claim, driver.do, timedelta(minutes=1), "w", asyncio.get_running_loop().time())
    run.start(None)
    for number in range(1, 41):
        await run.advance(Stage.SYNCING_TRANSACTIONS, f"Importing account {number} of 50", number)
        await asyncio.sleep(0.01)

    async def stands_at_the_last() -> bool:
        job = await driver.queue.get(claim.job_id)
        return job is not None and job.progress is not None and job.progress.message == "Importing account 40 of 50"

    await wait_until(stands_at_the_last)
    times = [at for at, _ in await told(events, claim.job_id)]
    assert 2 <= len(times) <= 2 + (times[-1] - times[0]) / 250


async def test_nothing_is_told_after_the_end(driver: Driver, events: EventStream) -> None:
    """A step that is still held when its run ends is left out: the end is the last word."""
    await driver.ask("c")
    [claim] = await driver.claim()
    run = Run(claim, driver.do, timedelta(minutes=1), "w", asyncio.get_running_loop().time())
    run.start(None)
    for percent in (1, 2, 3):
        await run.advance(Stage.SYNCING_TRANSACTIONS, f"at {percent}", percent)
    run.settled = True
    await driver.complete(claim, steps=run.take_untold())
    assert run._later is not None
    await wait_until(lambda: run._later is None)
    assert [words for _, words in await told(events, claim.job_id)] == ["at 1", "completed"]


async def test_a_batch_whose_children_end_quickly(driver: Driver, events: EventStream) -> None:
    """A batch's progress goes out at most four times a second, its record is always exact, and its end is told."""
    connections = [f"c{number}" for number in range(30)]
    batch = await driver.ask_all(*connections)
    [claim] = await driver.claim()
    await driver.fan_out(claim, *connections)
    done = 0
    while done < len(connections):
        children = await driver.claim()
        for child in children:
            await driver.complete(child)
            done += 1
            job = await driver.queue.get(batch)
            assert job is not None
            assert job.progress is not None
            assert job.progress.percent == done * 100 // len(connections)
            await asyncio.sleep(0.02)
    out = await told(events, batch)
    assert out[-1][1] == "completed"
    times = [at for at, _ in out[:-1]]
    assert len(times) >= 2
    assert all(later - at >= 250 for at, later in itertools.pairwise(times))
