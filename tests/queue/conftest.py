"""A driver of the test's own queue."""

from collections.abc import AsyncIterator

import pytest

from bankimport.settings import Settings
from tests.queue.driver import Driver


@pytest.fixture
async def driver(settings: Settings) -> AsyncIterator[Driver]:
    """Drives the scripts of the test's queue."""
    driver = Driver.of(settings)
    yield driver
    await driver.aclose()
