"""The databases of the store's tests."""

from tests.stores.databases import postgres_server, postgres_url, store, url

__all__ = ["postgres_server", "postgres_url", "store", "url"]
