"""When a bank may be asked without the person (banking.md §5): pure functions over what the ledger knows.

The law allows four reads in 24 hours (RTS (EU) 2018/389 Art. 36(5)(b)). The schedule ticks every four hours and reads
what was last read at least 7 h 45 min ago: three planned reads a day. The last of the four is kept for a retry of the
schedule; somebody's request may have it only when the planned reads are done. Attended reads never come here.

`slot` is `reserve_access` in Lua as well: keep it as simple as it is.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from bankimport.ports import AccessHistory, Asks

#: a margin for the bank's clock
MARGIN: Final = timedelta(minutes=5)
#: The rolling day.
ROLLING: Final = timedelta(hours=24) + MARGIN
#: A tick reads what was last read so long ago.
PLANNED_GAP: Final = timedelta(hours=7, minutes=45)
#: After so many reads in a row that did not end well an account is read once a day; not 24 hours, or it would drift.
CIRCUIT: Final = 3
CIRCUIT_GAP: Final = timedelta(hours=23, minutes=45)
#: A bank's "not before" up to here is waited for by a retry; a later one is a quota, and defers.
PATIENCE: Final = timedelta(minutes=5)
#: So long a retry waits for a place in the budget: the read of the same hour yesterday has to leave it first.
RETRY_PATIENCE: Final = timedelta(minutes=10)
#: What a bank demands is heeded so long: until the next tick by the schedule, for a day by everybody else.
TICK: Final = timedelta(hours=4)
LONGEST: Final = timedelta(hours=24)


def horizon(now: datetime, zone: tzinfo | None = None) -> datetime:
    """Return since when reads count: a rolling day, and at a bank that counts days in `zone` since its midnight, which
    is longer ago on a day of 25 hours."""
    rolling = now - ROLLING
    return rolling if zone is None else min(rolling, _midnight(now - MARGIN, zone) - MARGIN)


def free_at(read: datetime, zone: tzinfo | None = None) -> datetime:
    """Return when a read counts no more."""
    rolling = read + ROLLING
    return rolling if zone is None else max(rolling, _midnight(read + MARGIN, zone, days=1) + MARGIN)


def _midnight(at: datetime, zone: tzinfo, days: int = 0) -> datetime:
    local = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return (local + timedelta(days=days)).astimezone(UTC)  # the sum is by the clock on the wall


def slot(
    history: AccessHistory, *, asks: Asks, limit: int | None, now: datetime, zone: tzinfo | None = None
) -> datetime | None:
    """Return when one more read is allowed; None for now.

    `limit` None is a contract that allows any number. What the bank has closed only ever makes the budget smaller.
    """
    if history.closed_until is not None and history.closed_until > now:
        return history.closed_until
    since = horizon(now, zone)
    recent = [read for read in history.reads if read.at > since]
    if limit is None:
        return None
    planned = sum(read.asks is Asks.PLANNED for read in recent)
    if asks is not Asks.PLANNED and limit > 1 and planned < limit - 1:
        limit -= 1
    if len(recent) < limit:
        return None
    return free_at(recent[len(recent) - limit].at if limit > 0 else now, zone)


def due(
    history: AccessHistory, *, connection_id: str, job_id: str, limit: int | None, now: datetime
) -> datetime | None:
    """Return when a tick of the schedule reads this next; None for now. `slot` has to agree as well.

    Only reads of all that is new, by this connection itself, put anything off: what another one brought isn't here.
    The job whose own read was the first to fail, or was cut off, may try once more at once.
    """
    mine = [read for read in history.reads if read.connection_id == connection_id and read.asks is not Asks.DAYS]
    if not mine or (limit is None and history.failures < CIRCUIT):
        return None
    if history.failures == 1 and mine[-1].job_id == job_id:
        return None
    at = mine[-1].at + (CIRCUIT_GAP if history.failures >= CIRCUIT else PLANNED_GAP)
    return at if at > now else None


def forgotten(last_sync_at: datetime | None, asked_at: datetime | None, now: datetime) -> datetime | None:
    """Return until when a connection that an emptied ledger doesn't know counts as used up, by the store; None if it
    doesn't."""
    latest = max((at for at in (last_sync_at, asked_at) if at is not None), default=None)
    return latest + ROLLING if latest is not None and latest > now - ROLLING else None


def is_quota(until: datetime, now: datetime) -> bool:
    """Return whether a refusal until then is a bank's quota (hours: deferred) and no brake (seconds: waited for)."""
    return until - now > PATIENCE
