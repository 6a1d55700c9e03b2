"""`on`: handlers in the worker's process, which can neither harm nor delay its jobs."""

import asyncio
import threading
import time
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from bankimport.events import Event
from bankimport.worker.listeners import Listeners
from tests.waiting import PATIENCE, wait_until


def event(number: int = 1, name: str = "bank.sync.completed") -> Event:
    """Return an event."""
    return Event(id=f"{number}-1", name=name, org_id="acme", timestamp=datetime.now(UTC), data={})


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        ("bank.sync.*", ["bank.sync.completed", "bank.sync.failed"]),
        ("bank.*.completed", ["bank.sync.completed", "bank.job.completed"]),
        ("bank.job.completed", ["bank.job.completed"]),
        ("bank.job", []),
        ("*", ["bank.sync.completed", "bank.sync.failed", "bank.job.completed"]),
    ],
)
async def test_wildcards(pattern: str, heard: list[str]) -> None:
    """A handler hears the events whose whole name its pattern matches, whether it is async or plain."""
    by_async: list[str] = []
    by_plain: list[str] = []

    async def listen(told: Event) -> None:
        by_async.append(told.name)

    listeners = Listeners()
    listeners.on(pattern, listen)
    listeners.on(pattern, lambda told: by_plain.append(told.name))
    for name in ("bank.sync.completed", "bank.sync.failed", "bank.job.completed"):
        listeners.tell(event(name=name))
    await listeners.drain()
    assert by_async == by_plain == heard


async def test_a_handler_that_blocks() -> None:
    """A plain handler that blocks its thread delays neither the loop, on which the jobs run, nor other handlers."""
    release, heard = threading.Event(), []
    listeners = Listeners(budget=0.2)
    listeners.on("*", lambda _: release.wait(60) and None)
    listeners.on("*", lambda told: heard.append(told.id))
    began = time.monotonic()
    for number in range(50):
        listeners.tell(event(number))
    assert time.monotonic() - began < 5  # fifty budgets are ten seconds
    await wait_until(lambda: len(heard) == 50)
    assert heard == [f"{number}-1" for number in range(50)]
    began = time.monotonic()
    await listeners.drain()
    assert time.monotonic() - began < 5  # it waits for the budget, not for the handler
    release.set()
    await wait_until(lambda: not any(thread.name.startswith("on test_") for thread in threading.enumerate()))


async def test_a_handler_that_takes_too_long() -> None:
    """An async handler is cut when its budget is over; the log says so, and names the handler."""
    cut = asyncio.Event()

    async def slow(_: Event) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cut.set()

    listeners = Listeners(budget=0.1)
    listeners.on("*", slow)
    with capture_logs() as logs:
        listeners.tell(event())
        await asyncio.wait_for(cut.wait(), PATIENCE)
        await listeners.drain()
    [line] = logs
    assert (line["event"], line["error"]) == ("event.handler_failed", "TimeoutError")
    assert "slow" in line["handler"]


@pytest.mark.parametrize("error", [RuntimeError("no"), SystemExit(1), TimeoutError()])
async def test_a_handler_that_fails(error: BaseException) -> None:
    """Whatever a handler raises is logged, and the next event is told all the same."""
    heard: list[str] = []

    async def fail(told: Event) -> None:
        heard.append(told.id)
        raise error

    def fail_plainly(told: Event) -> None:
        heard.append(told.id)
        raise error

    listeners = Listeners()
    listeners.on("*", fail)
    listeners.on("*", fail_plainly)
    with capture_logs() as logs:
        listeners.tell(event(1))
        listeners.tell(event(2))
        await listeners.drain()
    assert sorted(heard) == ["1-1", "1-1", "2-1", "2-1"]
    assert [line["event"] for line in logs] == ["event.handler_failed"] * 4


async def test_a_plain_handler_that_answers_a_coroutine() -> None:
    """What a plain handler answers is awaited on the worker's loop."""
    loops = []

    async def note() -> None:
        loops.append(asyncio.get_running_loop())

    listeners = Listeners()
    listeners.on("*", lambda _: note())
    listeners.tell(event())
    await listeners.drain()
    assert loops == [asyncio.get_running_loop()]


async def test_a_handler_that_can_not_keep_up() -> None:
    """What waits for a handler is bounded; what is left out is said."""
    release, heard = threading.Event(), []

    async def slow(told: Event) -> None:
        await asyncio.to_thread(release.wait, 20)
        heard.append(told.id)

    listeners = Listeners(most_waiting=5)
    listeners.on("*", slow)
    listeners.on("*", lambda told: heard.append(told.id) if release.wait(20) else None)
    with capture_logs() as logs:
        for number in range(100):
            listeners.tell(event(number))
        release.set()
        await listeners.drain()
    assert 10 <= len(heard) <= 11
    assert [line["event"] for line in logs] == ["event.handler_behind"]
