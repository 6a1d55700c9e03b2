"""The databases of the store's tests, and the queue's Redis."""

from tests.queue.conftest import driver
from tests.stores.databases import postgres_server, postgres_url, store, url

__all__ = ["driver", "postgres_server", "postgres_url", "store", "url"]
