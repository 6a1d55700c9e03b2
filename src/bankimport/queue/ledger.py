"""The ledger of unattended reads in Redis: one for all workers, each step atomic, surviving renewed consents."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bankimport.errors import Unavailable
from bankimport.ports import AccessKey
from bankimport.queue.connection import LOST
from bankimport.queue.queue import Queue

#: RTS (EU) 2018/389 Art. 36(5)(b) counts in 24 hours; five minutes allow for the bank's own clock.
WINDOW = timedelta(hours=24, minutes=5)


def _ms(duration: timedelta) -> int:
    return int(duration / timedelta(milliseconds=1))


def _instant(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _digest(key: AccessKey) -> str:
    """Return a name for the key that tells nobody an account's number."""
    text = "\0".join((key.bank, key.stable_key, key.scope.value))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


class RedisLedger:
    """The `AccessLedger` of a queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def reserve(self, key: AccessKey, *, limit: int | None, now: datetime) -> datetime | None:
        """See `AccessLedger`."""
        most = -1 if limit is None else limit
        answer: bytes = await self._queue.scripts.run("reserve_access", _digest(key), _instant(now), most, _ms(WINDOW))
        return datetime.fromtimestamp(int(answer) / 1000, UTC) if answer else None

    async def close(self, key: AccessKey, until: datetime) -> None:
        """See `AccessLedger`."""
        await self._queue.scripts.run("note_access", _digest(key), "close", _instant(until))

    async def reads(self, key: AccessKey, now: datetime) -> Sequence[datetime]:
        """See `AccessLedger`."""
        name = f"{self._queue.keys.prefix}access:{_digest(key)}"
        try:
            rows = await self._queue.client.zrangebyscore(name, _instant(now - WINDOW), _instant(now), withscores=True)
        except LOST as error:
            raise Unavailable("Redis") from error
        return [datetime.fromtimestamp(score / 1000, UTC) for _, score in rows]

    async def note_outcome(self, key: AccessKey, *, success: bool, now: datetime) -> int:
        """See `AccessLedger`."""
        word = "success" if success else "failure"
        answer: int = await self._queue.scripts.run("note_access", _digest(key), word)
        return answer

    async def failures(self, key: AccessKey) -> int:
        """See `AccessLedger`."""
        answer: int = await self._queue.scripts.run("note_access", _digest(key), "read")
        return answer
