"""`bankimport health` and `bankimport ready`: what an orchestrator asks of the worker beside which they run."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Annotated

import typer

from bankimport.cli.operating import say
from bankimport.errors import BankImportError
from bankimport.models import WorkerInfo
from bankimport.settings import Settings

Pid = Annotated[int | None, typer.Option(help="Of this process; without it, of any worker on this host.")]
_PATIENCE = 4.0


def health(pid: Pid = None) -> None:
    """Say whether the worker of this host lives: 1 where Redis knows of none, or of another process alone.

    Redis being away is no reason to end a worker, which waits for it: then it ends with 0, and says so.
    """
    try:
        found = asyncio.run(_own(pid))
    except BankImportError as error:
        say(f"can't tell, which is no reason to restart: {error}")
        return
    if not found:
        say("no worker of this host has a fresh heartbeat")
        raise typer.Exit(1)
    say(f"{found[0].id} lives, and runs {found[0].running}")


def ready(pid: Pid = None) -> None:
    """Say whether the worker of this host can work: 4 where Redis or the database is away, 1 where it isn't there."""
    found = asyncio.run(_ready(pid))
    if not found:
        say("no worker of this host has a fresh heartbeat")
        raise typer.Exit(1)
    if found[0].trouble == "store-unavailable":
        say("the worker can't reach the database")
        raise typer.Exit(4)
    say(f"{found[0].id} is ready")


async def _ready(pid: int | None) -> Sequence[WorkerInfo]:
    from bankimport.app import BankImport

    async with BankImport.from_env():
        return await _own(pid)


async def _own(pid: int | None) -> Sequence[WorkerInfo]:
    """Return the workers of this host whose heartbeat is fresh, asking Redis alone.

    Raises:
        Unavailable: Redis doesn't tell.
    """
    from redis.asyncio import Redis

    from bankimport.errors import Unavailable
    from bankimport.queue.queue import Queue
    from bankimport.redis.connection import connect
    from bankimport.watch.watch import Watch

    settings = Settings.load()
    queue = Queue(connect(settings, Redis), settings)
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await Watch(queue).health()
    except TimeoutError:
        raise Unavailable("Redis") from None
    finally:
        await queue.aclose()
    if any(alert.code == "redis-unavailable" for alert in found.alerts):
        raise Unavailable("Redis")
    here = [each for each in found.workers if each.host == socket.gethostname()]
    return [each for each in here if pid in (None, each.pid)]
