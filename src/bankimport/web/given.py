"""What a host gives to the routes: who may, who asks; and a memory for repeated requests."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from aiohttp import web

from bankimport.models import PsuContext

#: What a request wants to do: read = look; sync = sync, retry, cancel, connect; operate = whatever concerns the whole
#: queue, which is always asked with no organisation.
Action = Literal["read", "sync", "operate"]

#: Says whether the sender of a request may do something in an organisation (None: the whole queue). Only True lets in.
Authorize = Callable[[web.Request, Action, str | None], Awaitable[bool]]

#: Says which person asks for a sync just now, for their bank; None where nobody is there.
Person = Callable[[web.Request], Awaitable[PsuContext | None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a POST: its status, its JSON text, and the `Location`, if there was one."""

    status: int
    text: str
    location: str | None = None


class Answers(Protocol):
    """Remembers, for 24 hours, what was answered to a POST with an `Idempotency-Key`."""

    async def claim(self, key: str, digest: str) -> Answer | None:
        """Take `key` for the request with this digest, atomically. None: it is yours, `remember` or `forget` it.

        Raises:
            KeyReused: the key stands for another request.
            KeyInUse: the same request is being answered just now.
            Unavailable: Redis can't be reached.
        """

    async def remember(self, key: str, digest: str, answer: Answer) -> None:
        """Keep the answer of the request that has claimed `key`, for 24 hours."""

    async def forget(self, key: str, digest: str) -> None:
        """Give a claim back: the request had no lasting answer and may be sent again."""
