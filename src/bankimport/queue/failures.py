"""What jobs have failed of: by their error and the bank that was being asked, counted of the records that are kept."""

from typing import Final

from bankimport.models import FailureKind
from bankimport.queue.queue import Queue

#: More kinds of failures than a page can show are a host's mistake: codes are classes, and banks are configured.
_MOST: Final = 500


async def failures(queue: Queue) -> list[FailureKind]:
    """Return them, those that happened last first, in one round trip.

    Raises:
        Unavailable: Redis can't be reached.
    """
    found = []
    for kind, *numbers, hours in await queue.transitions.read_failures(_MOST):
        code, _, bank = kind.decode().partition(":")
        jobs, hour, hour_before, day, day_before, week, week_before = map(int, numbers)
        found.append(
            FailureKind(
                code=code,
                bank=bank or None,
                jobs=jobs,
                last_hour=hour,
                hour_before=hour_before,
                last_day=day,
                day_before=day_before,
                last_week=week,
                week_before=week_before,
                hours=tuple(map(int, hours)),
            )
        )
    return found
