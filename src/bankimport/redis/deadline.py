"""One deadline for a whole call, however many steps it has: whoever asks is answered within two seconds.

`deadline` sets it where a call comes in. Each step to Redis asks what is `left` of it, so that Redis itself, which
knows why it doesn't answer, ends before the call is cut off from outside.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar, copy_context

#: The longest that a call may take, in seconds, whatever is away; and one step to Redis of a call without a deadline.
LONGEST = 1.7
#: Who ends by the deadline has so many seconds more to say why.
GRACE = 0.1


class _Deadline:
    """When a call ends, by the monotonic clock; None once it has, for tasks of the call that outlive it."""

    def __init__(self, until: float | None) -> None:
        self.until = until


_NONE = _Deadline(None)
_CURRENT: ContextVar[_Deadline] = ContextVar("bankimport.deadline", default=_NONE)


def left() -> float:
    """Return the seconds that are left to the running call; all of them where no deadline is set."""
    until = _CURRENT.get().until
    return LONGEST if until is None else max(0.0, until - time.monotonic())


def apart() -> Context:
    """Return a context for a task that works for other calls too: it has the deadline of none."""
    context = copy_context()
    context.run(_CURRENT.set, _NONE)
    return context


@asynccontextmanager
async def deadline() -> AsyncGenerator[None, None]:
    """Let what is inside end in time; a call within a call has the outer one's deadline.

    Raises:
        TimeoutError: the time is over.
    """
    if _CURRENT.get().until is not None:
        yield
        return
    current = _Deadline(time.monotonic() + LONGEST)
    token = _CURRENT.set(current)
    try:
        async with asyncio.timeout(LONGEST + 2 * GRACE):
            yield
    finally:
        current.until = None
        _CURRENT.reset(token)
