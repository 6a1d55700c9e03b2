"""The databases of the store's tests, and the queue's Redis."""

from tests.queue.conftest import driver
from tests.stores.databases import store, url

__all__ = ["driver", "store", "url"]
