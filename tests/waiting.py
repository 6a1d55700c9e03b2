"""Waiting for a condition instead of sleeping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bankimport.errors import Unavailable

T = TypeVar("T")

#: Quick enough to be unnoticed, slow enough to leave a two-core machine to what is waited for.
INTERVAL = 0.01
#: Longer than a crowded machine keeps anything waiting, shorter than a test may take: a time that is given explicitly is a
#: promise of the product's.
PATIENCE = 100.0


async def wait_until(condition: Callable[[], T | Awaitable[T]], timeout: float = PATIENCE, *, what: str = "") -> T:
    """Return the condition's first true value; it may be plain or async. Fail after `timeout` seconds.

    What can't be asked for now isn't true yet: a crowded machine may keep an answer for longer than a call may take.
    """
    deadline = time.monotonic() + timeout
    refused: Unavailable | None = None
    while True:
        try:
            value = condition()
            if inspect.isawaitable(value):
                value = await value
            refused = None
        except Unavailable as error:
            value, refused = None, error  # type: ignore[assignment]  # asked again
        if value:
            return value  # type: ignore[return-value]  # narrowed above
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what or _named(condition)}") from refused
        await asyncio.sleep(INTERVAL)


def wait_until_sync(condition: Callable[[], T], timeout: float = PATIENCE, *, what: str = "") -> T:
    """Return the condition's first true value, for tests and fixtures without a loop."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what or _named(condition)}")
        time.sleep(INTERVAL)
    return value


def _named(condition: Callable[..., object]) -> str:
    return getattr(condition, "__qualname__", repr(condition))
