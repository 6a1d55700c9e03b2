"""The time of a crowded machine: whether a call ends in time is asked by tests that are marked `in_time`, and by no other.

A machine on which other programs compute keeps one answer of some thousands for longer than two seconds. A test that
asks for something else must not meet that: it isn't what it is about.
"""

import asyncio
import contextlib
import time
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

from tests.waiting import PATIENCE

_SCHEDULED = Path("/proc/thread-self/schedstat")
#: how long the product waits in this process: for Redis, the store and the host's functions, and for the last word of what ends
_SECONDS = {
    "redis.deadline": ("LONGEST",),
    "redis.connection": ("LONGEST", "SOCKET_TIMEOUT"),
    "app.starting": ("_PATIENCE",),
    "service.audit": ("_PATIENCE",),
    "worker.telling": ("_PATIENCE",),
    "cli.probes": ("_PATIENCE",),
    "cli.doctor.facts": ("_PATIENCE",),
    "queue.gate": ("_LAST_WORD",),
    "worker.lifecycle": ("_LAST_WORD",),
    "worker.runner": ("_LAST_WORD",),
    "watch.bank_figures": ("_LAST_WORD",),
    "web.live": ("_CLOSING",),
}


def own_time() -> float:
    """Return seconds of a clock that stands still while this thread is ready to run and the machine runs others: what a
    promise of the product's is measured by. Linux tells it; elsewhere it is the monotonic clock."""
    kept = int(_SCHEDULED.read_text().split()[1]) / 1e9 if _SCHEDULED.exists() else 0.0
    return time.monotonic() - kept


def give_time(patch: pytest.MonkeyPatch) -> None:
    """Let nothing that this process waits for be given up soon."""
    for module, names in _SECONDS.items():
        with contextlib.suppress(ModuleNotFoundError):  # it needs an extra that is not there
            found = import_module(f"bankimport.{module}")
            for name in names:
                patch.setattr(found, name, PATIENCE)
    for name in ("LONGEST", "SOON"):
        patch.setattr(f"bankimport.web.authorising.{name}", timedelta(seconds=PATIENCE))


async def ask_again(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Send a request again while it is answered 503 with `Retry-After`, as clients do: a host in a process of its own
    has the product's deadlines."""
    until = time.monotonic() + PATIENCE
    while True:
        answer = await handler(request)
        if answer.status != 503 or "Retry-After" not in answer.headers or time.monotonic() > until:
            return answer
        answer.release()
        await asyncio.sleep(int(answer.headers["Retry-After"]))
