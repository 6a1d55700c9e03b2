"""Which days to read, and which have been read: coverage is a set of intervals (banking.md §4.7).

The automatic window begins 14 days before the end of what is covered without a gap, counted from the first day the
bank still serves; so a January imported by hand doesn't move it, and an outage is caught up. It has no upper bound:
banks book on the next business day, and a bound of today loses those rows.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Final

from bankimport.models import Interval, Window

#: How far a window reaches back into what is covered: banks back-date (2 days were wrong in 25 % of simulations).
OVERLAP: Final = timedelta(days=14)
#: What to try after `PeriodRejected`, in days before today.
SHRUNK: Final = (90, 89, 60, 30)
_DAY: Final = timedelta(days=1)


def merged(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Return the same days as few intervals in order; those that touch become one."""
    result: list[Interval] = []
    for interval in sorted(intervals, key=lambda i: (i.since, i.until)):
        if result and interval.since <= result[-1].until + _DAY:
            if interval.until > result[-1].until:
                result[-1] = Interval(result[-1].since, interval.until)
        else:
            result.append(interval)
    return tuple(result)


def covered(coverage: Sequence[Interval], asked: Window, today: date) -> tuple[Interval, ...]:
    """Return the coverage after `asked` was read completely on `today`.

    What lies after today is never covered: it has not happened yet. `asked` is the window before any shrinking: days
    that the bank refuses to serve need not be asked for again.
    """
    until = today if asked.until is None else min(asked.until, today)
    if until < asked.since:
        return merged(coverage)
    return merged([*coverage, Interval(asked.since, until)])


def first_gap(coverage: Sequence[Interval], start: date) -> date:
    """Return the first day from `start` on that is not covered."""
    for interval in merged(coverage):
        if interval.since <= start <= interval.until:
            return interval.until + _DAY
    return start


def automatic_window(coverage: Sequence[Interval], *, today: date, max_history: timedelta) -> Window:
    """Return the window of a sync that nobody gave dates: the first one is the bank's full history."""
    horizon = today - max_history
    gap = first_gap(coverage, horizon)
    if gap == horizon:
        return Window(horizon)
    return Window(max(horizon, min(gap - _DAY, today) - OVERLAP))


def plan_window(
    coverage: Sequence[Interval],
    *,
    today: date,
    max_history: timedelta,
    start_date: date | None = None,
    end_date: date | None = None,
    force_full_sync: bool = False,
) -> Window:
    """Return the days to read. Dates given by hand win; `force_full_sync` forgets what is covered."""
    if start_date is not None:
        return Window(start_date, end_date)
    if force_full_sync or end_date is not None:
        horizon = today - max_history
        return Window(horizon if end_date is None else min(horizon, end_date), end_date)
    return automatic_window(coverage, today=today, max_history=max_history)


def shrunk(window: Window, *, today: date, suggested_from: date | None = None) -> Window | None:
    """Return the next smaller window after the bank rejected this one; None when there is none left to try.

    What the bank suggests is tried first, then 90, 89, 60 and 30 days before today.
    """
    last = today if window.until is None else window.until
    starts = [] if suggested_from is None else [suggested_from]
    starts += [today - timedelta(days=days) for days in SHRUNK]
    for start in starts:
        if window.since < start <= last:
            return Window(start, window.until)
    return None
