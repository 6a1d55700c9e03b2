"""Which days of an account were read completely, as a ribbon: where it begins, its pieces and its gaps. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from bankimport.models import CoveredDays

#: What the ribbon shows: half a year.
DAYS = 182


@dataclass(frozen=True, slots=True)
class Piece:
    """Some days in a row, and where they are, in per cent of the ribbon's width."""

    since: date
    until: date
    x: float
    width: float

    @property
    def days(self) -> int:
        """How many they are."""
        return (self.until - self.since).days + 1


@dataclass(frozen=True, slots=True)
class Ribbon:
    """The days up to today; `months` are the first days of months and where they stand."""

    covered: tuple[Piece, ...]
    once: tuple[Piece, ...]
    gaps: tuple[Piece, ...]
    months: tuple[tuple[date, float], ...]


def ribbon(coverage: Sequence[CoveredDays], once: Sequence[CoveredDays], today: date) -> Ribbon:
    """Return the ribbon of the last half year; what is before the first day ever read is no gap."""
    first = today - timedelta(days=DAYS - 1)
    covered, single = _within(coverage, first, today), _within(once, first, today)
    read = _joined(sorted((*covered, *single)))
    day = timedelta(days=1)
    gaps = [(before[1] + day, after[0] - day) for before, after in pairwise(read)]
    if read and read[-1][1] < today - day:
        gaps.append((read[-1][1] + day, today))
    elif not read and (coverage or once):
        gaps.append((first, today))
    covered_, once_, gaps_ = (tuple(_piece(days, first) for days in each) for each in (covered, single, gaps))
    return Ribbon(covered_, once_, gaps_, _months(first, today))


def _within(days: Sequence[CoveredDays], first: date, today: date) -> list[tuple[date, date]]:
    clipped = [(max(each.since, first), min(each.until, today)) for each in days]
    return _joined(sorted(each for each in clipped if each[0] <= each[1]))


def _joined(days: list[tuple[date, date]]) -> list[tuple[date, date]]:
    found: list[tuple[date, date]] = []
    for since, until in days:
        if found and since <= found[-1][1] + timedelta(days=1):
            found[-1] = (found[-1][0], max(found[-1][1], until))
        else:
            found.append((since, until))
    return found


def _piece(days: tuple[date, date], first: date) -> Piece:
    since, until = days
    return Piece(since, until, _percent((since - first).days), _percent((until - since).days + 1))


def _percent(days: int) -> float:
    return round(100 * days / DAYS, 2)


def _months(first: date, today: date) -> tuple[tuple[date, float], ...]:
    found, month = [], (first.replace(day=1) + timedelta(days=32)).replace(day=1)
    while month <= today:
        found.append((month, _percent((month - first).days)))
        month = (month + timedelta(days=32)).replace(day=1)
    return tuple(found)
