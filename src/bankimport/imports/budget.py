"""When an account may be read unattended (banking.md §5): pure functions over the list of past reads.

The law allows four reads in 24 hours without the person (RTS (EU) 2018/389 Art. 36(5)(b)). The schedule ticks every
four hours and reads what was last read at least 7 h 45 min ago: three planned reads a day; the fourth is the reserve
for a retry or a read on demand. Attended reads are not counted and never come here.

The Redis ledger's script is `slot` in Lua: keep it as simple as it is.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

#: The rolling day, with a margin for the bank's clock.
ROLLING: Final = timedelta(hours=24, minutes=5)
#: A tick reads what was last read so long ago.
PLANNED_GAP: Final = timedelta(hours=7, minutes=45)
#: After so many reads in a row that did not end well, an account is read once a day.
CIRCUIT: Final = 3
CIRCUIT_GAP: Final = timedelta(hours=24)
#: A bank's "not before" up to here is waited for by a retry; a later one is a quota, and defers.
PATIENCE: Final = timedelta(minutes=5)
#: No quota is longer: a bank that says so has written an instant wrongly, and is asked again.
LONGEST: Final = timedelta(days=7)


def counted(reads: Sequence[datetime], now: datetime) -> list[datetime]:
    """Return the reads that still count, oldest first."""
    return sorted(read for read in reads if read > now - ROLLING)


def slot(
    reads: Sequence[datetime], *, limit: int | None, closed_until: datetime | None, now: datetime
) -> datetime | None:
    """Return when one more read is allowed; None for now.

    `limit` None is a contract that allows any number. `closed_until` is what the bank said itself; it only ever
    makes the budget smaller.
    """
    if closed_until is not None and closed_until > now:
        return closed_until
    recent = counted(reads, now)
    if limit is None or len(recent) < limit:
        return None
    return recent[len(recent) - limit] + ROLLING if limit > 0 else now + ROLLING


def planned(
    reads: Sequence[datetime], *, failures: int, limit: int | None, now: datetime, covered_until: date = date.max
) -> datetime | None:
    """Return when a tick of the schedule reads this next; None for now. `slot` has to agree as well.

    A read that went well, yet on a day after `covered_until`, was of another connection to the same account, or of
    other days: what it brought isn't here, so it puts off nothing. `failures` counts the reads in a row
    that did not end well, one cut off by a crash included. The first is retried at once, out of the reserve; the
    second waits for the next planned read; from the third on it is once a day.
    """
    recent = counted(reads, now)
    if not recent or failures == 1 or (limit is None and failures < CIRCUIT):
        return None
    if failures == 0 and covered_until < recent[-1].date():
        return None
    due = recent[-1] + (CIRCUIT_GAP if failures >= CIRCUIT else PLANNED_GAP)
    return due if due > now else None


def is_quota(until: datetime, now: datetime) -> bool:
    """Return whether a refusal until then is a bank's quota (hours: deferred) and no brake (seconds: waited for)."""
    return until - now > PATIENCE
