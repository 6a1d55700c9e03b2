"""How many jobs ended in each minute of the last hour, and in each hour of the last week.

A state's set is ordered by when its jobs entered it, so that the numbers are counted of what is kept anyway: nothing is
written for them, no job waits for it, and they end with the records.
"""

from datetime import UTC, datetime, timedelta

from bankimport.models import EndedJobs, Throughput
from bankimport.queue.queue import Queue

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_MINUTES, _HOURS = 60, 168


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
    minutes, hours = starts(now, _MINUTE, _MINUTES), starts(now, _HOUR, _HOURS)
    ask = queue.transitions.read_throughput
    counts = await ask(_ms(minutes[-1]), _MINUTES, _ms(hours[-1]), _HOURS)
    periods = [*minutes, *hours]
    pairs = zip(periods, counts[::2], counts[1::2], strict=True)
    ended = [EndedJobs(since=at, completed=done, failed=failed) for at, done, failed in pairs]
    return Throughput(minutes=tuple(ended[:_MINUTES]), hours=tuple(ended[_MINUTES:]))


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
