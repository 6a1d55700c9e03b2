"""The queue that is watched."""

from tests.queue.conftest import driver

__all__ = ["driver"]
