"""Bringing our own records and lines in line, after keys were removed behind our back."""

from functools import partial
from typing import Any

import structlog

from bankimport.queue.queue import Queue
from bankimport.redis.connection import patiently
from bankimport.redis.declaring import Declared, script

log = structlog.get_logger(__name__)

#: How many jobs of a state are looked at in one script; batches have children to look at.
_SLICES = {"waiting": 200, "delayed": 500, "active": 500, "waiting-children": 10}


class Repairs(Declared):
    """The script, `lua/sweep_queue.lua`."""

    @script(tuple)
    def sweep_queue(self, state: str, offset: int, slice: int) -> Any: ...  # noqa: A002  # a script's argument


async def repair(queue: Queue) -> None:
    """Look at every unfinished job, and put right what is wrong.

    Raises:
        Unavailable: Redis can't be reached.
    """
    sweep = Repairs(queue.scripts).sweep_queue
    for state, size in _SLICES.items():
        offset, seen = 0, size if await patiently(partial(queue.client.zcard, queue.keys.state(state))) else 0
        while seen == size:
            seen, repaired = await sweep(state, offset, size)
            offset += size
            if repaired:
                log.warning("queue.repaired", state=state, jobs=repaired)
