"""An organisation goes out of Redis: its jobs are stopped, then everything that names it is removed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from redis.asyncio.lock import Lock
from redis.exceptions import LockError, RedisError

from bankimport.errors import Conflict, Unavailable
from bankimport.queue.filters import JobFilter
from bankimport.queue.queue import Queue
from bankimport.redis.connection import patiently, together
from bankimport.redis.deadline import apart
from bankimport.status import JobState
from bankimport.stores.redis.ledger import digest_of
from bankimport.stream import rewritten

#: Families of keys that are removed, or cleaned of what is the organisation's.
ERASED: Final = frozenset(
    {
        *("job", "state", "org", "failed_code", "failed_type", "failed_org", "failed_bank", "failed_kind"),
        *("pending", "question", "ring", "line"),
        *("held", "lock", "running", "watchers", "psu", "notes", "index", "events", "progress", "quarantine"),
        *("idempotency", "access_met", "copy", "erasing"),
    }
)
#: Families that stay, and why nothing of the organisation is in them.
EXCUSED: Final = {
    "suspects": "ids of jobs, which are random and leave as the jobs end",
    "unknown": "ids of jobs, which are random and leave as the jobs end",
    "unknown_since": "names of functions",
    "children": "ids of jobs; goes with the batch",
    "cancelling": "ids of batches; ends within a day",
    "starts": "numbers of runs; ends within the limiter's window",
    "quiet": "the id of a worker",
    "reply": "a word such as `cancelled`; ends within a minute",
    "wake": "tokens",
    "worker": "host, process and numbers of a worker",
    "workers": "ids of workers",
    "pause": "an operator's own words about the whole queue",
    "serial": "a counter",
    "meta": "counters",
    "sweeper": "the id of a worker",
    "full_look": "a flag",
    "alerts": "codes of the whole queue",
    "token": "a provider's, sealed",
    "token_turn": "a provider's",
    "failed_kinds": "error codes and banks by their configured names",
    "bank_minute": "numbers of a bank by its configured name",
    "bank_hour": "the same",
    "bank_quarter": "the same",
    "bank": "the same",
    "access": "digests of an account at its bank, which another organisation may share; ends within two days",
    "access_state": "the same; ends within days",
}
_MOST: Final = 200
_LOOK: Final = 0.05
_LANES: Final = ("manual", "scheduled")
#: the turn of an erasure whose process died is free again after this; who lives takes it anew three times meanwhile
TURN: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Purged:
    """How much was removed."""

    jobs: int
    events: int
    keys: int


class Erasing:
    """Removes organisations from one queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._client, self._keys = queue.client, queue.keys

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Be the only one who erases: two who write the streams anew would each bring back what the other left out.

        Raises:
            Conflict: another organisation is being erased.
            Unavailable: Redis can't be reached.
        """
        lock = self._client.lock(self._keys.of("erasing"), timeout=TURN.total_seconds(), thread_local=False)
        if not await _ask(lock.acquire, blocking=False):
            raise Conflict("another organisation is being erased: call again once that is done")
        keeping = asyncio.create_task(self._keep(lock), context=apart())
        is_lost = False
        try:
            yield
        except Unavailable:
            is_lost = True  # the turn ends by itself: to give it back would be to wait for Redis once more
            raise
        finally:
            keeping.cancel()
            if not is_lost:
                with suppress(LockError):
                    await _ask(lock.release)

    @staticmethod
    async def _keep(lock: Lock) -> None:
        """Keep the turn, however long a step takes."""
        while True:
            await asyncio.sleep(TURN.total_seconds() / 3)
            with suppress(Unavailable, LockError):
                await _ask(lock.reacquire)

    async def stop(self, org_id: str, patience: timedelta) -> int:
        """Cancel what waits and what runs, and wait for the runs to end; return how many were cancelled.

        Raises:
            Conflict: a run has not ended in time.
        """
        cancelled: set[str] = set()
        try:
            async with asyncio.timeout(patience.total_seconds()):
                while unfinished := await self._queue.cancel_all(JobFilter(org_id=org_id)):
                    cancelled |= unfinished
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            raise Conflict("jobs of the organisation still run: call again, nothing of it was removed") from None
        return len(cancelled)

    async def purge(self, org_id: str, connection_ids: Iterable[str]) -> Purged:
        """Remove everything that names the organisation or one of its connections. May be done again."""
        jobs = 0
        for state in JobState:
            if state.is_terminal:
                jobs += await self._queue.discard(JobFilter(org_id=org_id, state=state))
        events = sum([await rewritten(self._queue, stream, org_id) for stream in ("events", "progress")])
        names = {org_id, *connection_ids}
        keys = await self._removed(org_id, names - {org_id}) + await self._answers_removed(names)
        await self._clean_quarantine(names)
        return Purged(jobs, events, keys)

    async def _removed(self, org_id: str, connection_ids: Iterable[str]) -> int:
        of = self._keys.of
        own = [of(name, org_id) for name in ("org", "failed_org", "pending", "running", "index")]
        own += [of("line", lane, org_id) for lane in _LANES]
        for each in connection_ids:
            own += [of("held", each), of("lock", each), of("access_met", digest_of(each))]
        turns: list[tuple[str, ...]] = [("ZREM", of("ring", lane), org_id) for lane in _LANES]
        gone = [("DEL", *own[start : start + _MOST]) for start in range(0, len(own), _MOST)]
        return sum((await together(self._client, turns + gone))[len(_LANES) :])

    async def _answers_removed(self, names: Iterable[str]) -> int:
        """Remove answers to requests with an `Idempotency-Key` that name them; the keys are digests, so all are looked
        at."""
        found = [name.encode() for name in names]
        removed = 0
        position = 0
        while True:
            match = self._keys.of("idempotency", "*")
            position, keys = await _ask(self._client.scan, position, match=match, count=1000)
            answers = await _ask(self._client.mget, keys) if keys else []
            theirs = [
                key for key, answer in zip(keys, answers, strict=True) if any(name in (answer or b"") for name in found)
            ]
            removed += await _ask(self._client.delete, *theirs) if theirs else 0
            if not position:
                return removed

    async def _clean_quarantine(self, names: Iterable[str]) -> None:
        found = [name.encode() for name in names]
        key = self._keys.of("quarantine")
        for member in await _ask(self._client.lrange, key, 0, -1):
            if any(name in member for name in found):
                await _ask(self._client.lrem, key, 0, member)

    async def rewrite_disk(self) -> bool:
        """Ask the server to write its append-only file anew, which still holds what was removed; return whether it has
        none, or will. A server that doesn't let us is left alone."""
        try:
            if (await _ask(self._client.info, "persistence")).get("aof_enabled"):
                await _ask(self._client.bgrewriteaof)
        except RedisError as error:
            return "already in progress" in str(error)
        return True


async def _ask(command: Callable[..., Any], *words: Any, **options: Any) -> Any:
    """Return what one step to Redis answers: an erasure may take long, and ends soon after Redis goes away."""
    return await patiently(lambda: command(*words, **options))
