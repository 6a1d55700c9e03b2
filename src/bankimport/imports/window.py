"""Which days to read, and which have been read: coverage is a set of intervals.

The automatic window begins 14 days before the end of what is covered without a gap, counted from the first day the
bank still serves; so a January imported by hand doesn't move it, and an outage is caught up. It has no upper bound:
banks book on the next business day, and a bound of today loses those rows.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from bankimport.models import DayRead, DoubtReason, Interval, Memory, Window

#: How far a window reaches back into what is covered: banks back-date (2 days were wrong in 25 % of simulations).
OVERLAP: Final = timedelta(days=14)
#: What to try after `PeriodRejected`, in days before today.
SHRUNK: Final = (90, 89, 60, 30)
_DAY: Final = timedelta(days=1)
#: What was put off lies within three days of the edge; the next window begins at least seven days before that edge.
_EARLIER: Final = timedelta(days=9)


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


def covered(memory: Memory, read: Window, today: date, unsure: Collection[date] = ()) -> Memory:
    """Return what is known after these days were read completely on `today`: a day is covered when it has been read so
    on two days, since one read can be wrong. What lies after today is never covered: it has not happened yet.

    `unsure` are days of rows that were missing for the first time: they are asked for once more, whatever was known.
    """
    since, until = read.since, today if read.until is None else min(read.until, today)
    sure = [
        Interval(max(before.since, since), min(before.until, until))
        for before in memory.once
        if before.on != today and max(before.since, since) <= min(before.until, until)
    ]
    coverage = tuple(part for interval in merged([*memory.coverage, *sure]) for part in _without(interval, unsure))
    once = [*memory.once, DayRead(since, until, today)] if since <= until else memory.once
    return replace(memory, coverage=coverage, once=tuple(_uncovered(once, coverage)))


def _without(interval: Interval, days: Collection[date]) -> Iterator[Interval]:
    """Yield an interval in parts, without these days."""
    since = interval.since
    for day in sorted(day for day in days if interval.since <= day <= interval.until):
        if since < day:
            yield Interval(since, day - _DAY)
        since = day + _DAY
    if since <= interval.until:
        yield Interval(since, interval.until)


def _uncovered(reads: Iterable[DayRead], coverage: Sequence[Interval]) -> Iterator[DayRead]:
    """Yield the days of single reads that are not covered, in order, each day of reading by itself."""
    by_day: dict[date, list[Interval]] = {}
    for read in reads:
        by_day.setdefault(read.on, []).append(Interval(read.since, read.until))
    for on, intervals in sorted(by_day.items()):
        for interval in merged(intervals):
            since = interval.since
            for known in coverage:
                if since <= known.until and known.since <= interval.until:
                    if since < known.since:
                        yield DayRead(since, known.since - _DAY, on)
                    since = max(since, known.until + _DAY)
            if since <= interval.until:
                yield DayRead(since, interval.until, on)


def first_gap(coverage: Sequence[Interval], start: date) -> date:
    """Return the first day from `start` on that is not covered."""
    for interval in merged(coverage):
        if interval.since <= start <= interval.until:
            return interval.until + _DAY
    return start


def automatic_window(memory: Memory, *, today: date, max_history: timedelta) -> Window:
    """Return the window of a sync that nobody gave dates: the first one is the bank's full history, as far as it serves
    it. What was put off at the edge of the window before is well inside of the next one."""
    horizon = today - (max_history if memory.history is None else min(max_history, memory.history))
    gap = first_gap(memory.coverage, horizon)
    if gap == horizon:
        return Window(horizon)
    edges = [doubt.day - _EARLIER for doubt in memory.doubts if doubt.reason is DoubtReason.EDGE]
    return Window(max(horizon, min([min(gap - _DAY, today) - OVERLAP, *edges])))


def plan_window(
    memory: Memory,
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
    return automatic_window(memory, today=today, max_history=max_history)


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
