"""What jobs have failed of: by their error and the bank that was being asked, counted of the records that are kept."""

from collections.abc import Sequence
from typing import Any

from bankimport.models import FailureKind

_COUNTS = ("jobs", "last_hour", "hour_before", "last_day", "day_before", "last_week", "week_before")


def failures_of(rows: Sequence[Any]) -> list[FailureKind]:
    """Return the kinds that `read_failures.lua` has counted."""
    found = []
    for kind, *numbers, hours in rows:
        code, _, bank = kind.decode().partition(":")
        counts = dict(zip(_COUNTS, map(int, numbers), strict=True))
        found.append(FailureKind(code=code, bank=bank or None, hours=tuple(map(int, hours)), **counts))
    return found
