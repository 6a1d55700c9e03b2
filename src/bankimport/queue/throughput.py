"""How many jobs ended in each minute of the last hour, and in each hour of the last week.

A state's set is ordered by when its jobs entered it, so that the numbers are counted of what is kept anyway: nothing is
written for them, no job waits for it, and they end with the records.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from bankimport.models import EndedJobs, Throughput
from bankimport.queue.connection import patiently
from bankimport.queue.queue import Queue
from bankimport.status import JobState

_STATES: Final = (JobState.COMPLETED, JobState.FAILED)
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)


def starts(now: datetime, step: timedelta, number: int) -> list[datetime]:
    """Return when each of the last steps began, this one too, the oldest first."""
    seconds = step.total_seconds()
    last = datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)
    return [last - step * back for back in reversed(range(number))]


async def throughput(queue: Queue, now: datetime) -> Throughput:
    """Count them, in one round trip.

    Raises:
        Unavailable: Redis can't be reached.
    """
    minutes, hours = starts(now, _MINUTE, 60), starts(now, _HOUR, 168)
    periods = [*((at, _MINUTE) for at in minutes), *((at, _HOUR) for at in hours)]
    keys = [queue.keys.of("state", state.value) for state in _STATES]

    async def ask() -> Sequence[int]:
        async with queue.client.pipeline(transaction=False) as pipe:
            for at, step in periods:
                for key in keys:
                    pipe.zcount(key, _ms(at), f"({_ms(at + step)}")
            return list(await pipe.execute())

    counts = await patiently(ask)
    pairs = zip(periods, counts[::2], counts[1::2], strict=True)
    ended = [EndedJobs(since=at, completed=done, failed=failed) for (at, _), done, failed in pairs]
    return Throughput(minutes=tuple(ended[:60]), hours=tuple(ended[60:]))


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
