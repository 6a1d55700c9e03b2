"""A driver of the test's own queue."""

from collections.abc import AsyncIterator

import pytest

from bankimport.redis import deadline
from bankimport.settings import Settings
from tests.queue.driver import Driver


@pytest.fixture
async def driver(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Driver]:
    """Drives the scripts of the test's queue. On a crowded machine one call of thousands waits longer than it may
    take; whether a call ends in time is asked in `tests/faults`."""
    monkeypatch.setattr(deadline, "LONGEST", 60.0)
    driver = Driver.of(settings)
    yield driver
    await driver.aclose()
