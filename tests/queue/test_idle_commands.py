"""What an idle worker asks of Redis: so little that many workers cost nothing while there is nothing to do."""

from collections.abc import Awaitable, Callable
from typing import Any

from bankimport.watch.repairing import repair
from tests.queue.driver import Driver


async def commands(driver: Driver, do: Callable[[], Awaitable[Any]]) -> int:
    """Return how many commands the server carries out for a call, those inside scripts too."""
    await do()  # the scripts are loaded
    before = (await driver.queue.client.info("stats"))["total_commands_processed"]
    await do()
    after = (await driver.queue.client.info("stats"))["total_commands_processed"]
    return int(after - before - 1)


async def test_a_beat_of_an_idle_worker(driver: Driver) -> None:
    """It says that the worker lives, and looks once whether there is anything that a beat looks after."""
    assert min([await commands(driver, driver.beat) for _ in range(3)]) <= 4, "but for one a minute"


async def test_a_sweep_of_an_empty_queue(driver: Driver) -> None:
    """A state in which nobody is asks for no script."""
    assert await commands(driver, lambda: repair(driver.queue)) <= 4


async def test_a_script_is_sent_once(driver: Driver) -> None:
    """A server that knows none is sent what is asked for, and not each time all that this process knows."""
    client = driver.queue.client
    await client.script_flush()
    before = (await client.info("commandstats")).get("cmdstat_script|load", {"calls": 0})["calls"]
    await driver.ask("c")
    for call in (driver.claim, driver.beat, driver.watch.stats, driver.queue.pause):
        await call()
    assert (await client.info("commandstats"))["cmdstat_script|load"]["calls"] - before == 5
