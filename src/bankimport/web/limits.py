"""So much for each organisation: how many requests a minute, how many at one time, how many in one turn of the loop."""

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from bankimport.web.problems import refuse

_WINDOW = 60.0
#: Organisations remembered at most; who is forgotten begins anew, and these are the ones that have been quiet longest.
_REMEMBERED = 50_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RequestLimit:
    """A bucket of tokens for each organisation: full at first, refilled evenly over a minute. Of this process alone."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str) -> dict[str, str]:
        """Take one token; return the `RateLimit` headers of the answer.

        Raises:
            ProblemRaised: 429, none is left.
        """
        now = self._clock()
        bucket = self._buckets.pop(key, None) or _Bucket(self._size, now)
        bucket.tokens = min(self._size, bucket.tokens + (now - bucket.at) * self._size / _WINDOW)
        bucket.at = now
        self._buckets[key] = bucket
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            wait = timedelta(seconds=(1 - bucket.tokens) * _WINDOW / self._size)
            headers = self._headers(0, wait.total_seconds())
            raise refuse(
                429, "too-many-requests", "too many requests of this organisation", retry_after=wait, headers=headers
            )
        bucket.tokens -= 1
        return self._headers(int(bucket.tokens), (self._size - bucket.tokens) * _WINDOW / self._size)

    def _headers(self, left: int, reset: float) -> dict[str, str]:
        return {
            "RateLimit-Policy": f'"organisation";q={self._size};w={_WINDOW:.0f}',
            "RateLimit": f'"organisation";r={left};t={math.ceil(reset)}',
        }


class Pace:
    """Lets one request, or a few, begin in each turn of the event loop, of each organisation in its turn.

    A thousand requests that come in at once would all begin in one turn, and whoever waits for an answer of Redis would
    wait for all of them. Nothing is held: a slow request keeps nobody from beginning.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._begun = 0
        self._is_counting = False
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def turn(self, key: str) -> None:
        """Wait until a request of this organisation may begin: at once, unless there is a crowd."""
        loop = asyncio.get_running_loop()
        self._count(loop)
        if not self._waiting and self._begun < self._at_once:
            self._begun += 1
            return
        place = loop.create_future()
        self._waiting.setdefault(key, deque()).append(place)
        await place

    def _count(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_counting:
            self._is_counting = True
            loop.call_soon(self._next, loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin a new turn: with the organisation that has waited longest, one request of each."""
        self._is_counting, self._begun = False, 0
        while self._waiting and self._begun < self._at_once:
            key, places = self._waiting.popitem(last=False)
            place = places.popleft()
            if places:
                self._waiting[key] = places
            if not place.done():  # its client has gone meanwhile
                place.set_result(None)
                self._begun += 1
        if self._begun:
            self._count(loop)


class Turns:
    """Lets a few requests of each organisation be worked on at one time; the others wait for theirs."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._waiting: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the context ends."""
        places, users = self._waiting.get(key) or (asyncio.Semaphore(self._at_once), 0)
        self._waiting[key] = places, users + 1
        try:
            async with places:
                yield
        finally:
            _, users = self._waiting[key]
            if users == 1:
                del self._waiting[key]
            else:
                self._waiting[key] = places, users - 1
