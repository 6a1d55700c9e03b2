"""The world of one connection, over the store in memory."""

import pytest

from bankimport.testing.memory_store import MemoryStore
from tests.simulation.world import CONNECTION, World


@pytest.fixture
def world() -> World:
    """A connection that was never synced, today at eight."""
    return World(MemoryStore(CONNECTION))
