"""How many jobs ended in each minute of the last hour, and in each hour of the last week.

A state's set is ordered by when its jobs entered it, so that the numbers are counted of what is kept anyway: nothing is
written for them, no job waits for it, and they end with the records.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bankimport.models import EndedJobs, Throughput

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MINUTES, HOURS = 60, 168


def starts(now: datetime, step: timedelta, number: int) -> list[datetime]:
    """Return when each of the last steps began, this one too, the oldest first."""
    seconds = step.total_seconds()
    last = datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)
    return [last - step * back for back in reversed(range(number))]


def throughput_of(periods: Sequence[datetime], counts: Sequence[int]) -> Throughput:
    """Return what `read_throughput.lua` has counted for the minutes and the hours that began then."""
    pairs = zip(periods, counts[::2], counts[1::2], strict=True)
    ended = [EndedJobs(since=at, completed=done, failed=failed) for at, done, failed in pairs]
    return Throughput(minutes=tuple(ended[:MINUTES]), hours=tuple(ended[MINUTES:]))
