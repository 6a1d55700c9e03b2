"""Events for a host's own stream of them: resumable, with a heartbeat, errors before the first byte."""

from collections import deque
from collections.abc import AsyncIterator
from datetime import timedelta
from types import TracebackType
from typing import Self

from bankimport.events import Event
from bankimport.stream import Follower, FollowerEnded


class Subscription:
    """Yields events as they happen, and None after each `heartbeat` without one.

    `position` is the id that resumes here, for `Last-Event-ID` and `after=`; it moves on without events too. It ends
    when the `BankImport` is closed or the caller leaves it.
    """

    def __init__(self, follower: Follower, heartbeat: timedelta) -> None:
        self._follower = follower
        self._heartbeat = heartbeat
        self._ready: deque[Event] = deque()
        self._given: str | None = None

    @property
    def position(self) -> str:
        """Where to resume after what was yielded so far."""
        return self._given if self._ready and self._given is not None else str(self._follower.position)

    def __aiter__(self) -> AsyncIterator[Event | None]:
        return self

    async def __anext__(self) -> Event | None:
        if not self._ready:
            try:
                chunk = await self._follower.next(self._heartbeat)
            except FollowerEnded:
                raise StopAsyncIteration from None
            if chunk is None:
                return None
            self._ready.extend(chunk.events)
        event = self._ready.popleft()
        self._given = event.id
        return event

    def close(self) -> None:
        """Leave the stream."""
        self._follower.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
