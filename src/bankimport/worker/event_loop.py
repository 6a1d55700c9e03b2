"""The event loop of a process that is a worker's alone: uvloop's where it is installed."""

import asyncio

from bankimport.errors import MissingExtra
from bankimport.settings import Settings


def choose_event_loop(settings: Settings) -> None:
    """Let the worker that arq is about to make run on the loop of `BANK_SYNC_EVENT_LOOP`: arq takes the current one.

    Nothing happens inside a running loop (`arq --watch` has one), and no policy is set: other loops are what they were.

    Raises:
        MissingExtra: uvloop is asked for and not installed.
    """
    if settings.event_loop == "asyncio" or _is_running():
        return
    try:
        import uvloop
    except ModuleNotFoundError:
        if settings.event_loop == "uvloop":
            raise MissingExtra("uvloop", "BANK_SYNC_EVENT_LOOP=uvloop") from None
    else:
        asyncio.set_event_loop(uvloop.new_event_loop())


def _is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
