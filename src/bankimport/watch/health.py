"""The queue's health: what was measured, judged against its limits. A pure decision."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bankimport.models import Alert, QueueHealth, QueueStats, WorkerInfo
from bankimport.settings import Settings

#: A rolling update is over after this: a function that no worker knows by then is missing.
_ROLLING = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at the queue. `alerts_since` holds the alerts in force by code; the server's facts may be unknown."""

    now: datetime
    stats: QueueStats
    paused_reason: str | None
    paused: bool
    runnable_since: datetime | None
    last_start: datetime | None
    workers: tuple[WorkerInfo, ...]
    alerts_since: Mapping[str, datetime]
    quarantined: int = 0
    #: failed in the last 24 hours, for what an operator can mend and for what they can't
    failed_today: int = 0
    excused_today: int = 0
    eviction_policy: str | None = None
    persistent: bool | None = None
    #: functions that no worker knows whose jobs wait, and since when
    unknown_functions: Mapping[str, datetime] = field(default_factory=dict)
    #: why the server takes no writes, in words
    refused: str | None = None


def counted(number: int, what: str) -> str:
    """Return so many of a thing, in the singular for one."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def assess(snapshot: Snapshot, settings: Settings) -> QueueHealth:
    """Return the health: ill exactly while there is an alert. Paused is a warning."""
    alerts = tuple(
        Alert(
            code=code, message=said, value=value, threshold=limit, since=snapshot.alerts_since.get(code, snapshot.now)
        )
        for code, said, value, limit in _alerts(snapshot, settings)
    )
    return QueueHealth(
        is_healthy=not alerts,
        is_paused=snapshot.paused,
        stats=snapshot.stats,
        warnings=(*_warnings(snapshot), *(alert.message for alert in alerts)),
        alerts=alerts,
        workers=snapshot.workers,
        oldest_runnable_at=snapshot.runnable_since,
    )


def unreachable(now: datetime, why: str) -> QueueHealth:
    """Return the health while Redis can't be reached; `why` is a sentence."""
    alert = Alert(code="redis-unavailable", message=why, value=1, threshold=0, since=now)
    return QueueHealth(
        is_healthy=False, is_paused=False, stats=QueueStats(), warnings=(alert.message,), alerts=(alert,)
    )


def _warnings(snapshot: Snapshot) -> tuple[str, ...]:
    warnings = []
    if snapshot.paused:
        warnings.append("the queue is paused" + (f": {snapshot.paused_reason}" if snapshot.paused_reason else ""))
    if snapshot.persistent is False:
        warnings.append("Redis persists nothing: queued jobs are lost when it restarts")
    if snapshot.quarantined:
        warnings.append(f"{counted(snapshot.quarantined, 'member')} of the queue could not be decoded and put aside")
    if snapshot.excused_today:
        warnings.append(
            f"{counted(snapshot.excused_today, 'job')} failed in the last 24 hours for what no operator can mend"
        )
    if not snapshot.workers:
        warnings.append("no worker is alive")
    return tuple(warnings)


def _alerts(snapshot: Snapshot, settings: Settings) -> Iterator[tuple[str, str, float, float]]:
    """Yield what is wrong: its code, what to say, its value and its threshold."""
    stats, workers = snapshot.stats, snapshot.workers
    if snapshot.refused is not None:  # it can be read, but nothing can be asked for and no run can end
        yield "redis-refuses-writes", f"Redis takes no writes: {snapshot.refused}", 1, 0
    if away := sum(worker.trouble == "store-unavailable" for worker in workers):
        yield "store-unavailable", f"{counted(away, 'worker')} can't reach the store", away, 0
    if (failed := snapshot.failed_today) > settings.alert_failed:
        yield "failed", f"{counted(failed, 'job')} failed in the last 24 hours", failed, settings.alert_failed
    if (waiting := stats.waiting + stats.paused) > settings.alert_waiting:
        yield "waiting", counted(waiting, "waiting job"), waiting, settings.alert_waiting
    if not snapshot.paused and snapshot.runnable_since is not None:
        yield from _stuck(snapshot, snapshot.runnable_since, settings)
    if (policy := snapshot.eviction_policy) not in (None, "noeviction"):
        yield "eviction", f"Redis may drop queued jobs: maxmemory-policy is {policy}, noeviction is needed", 1, 0
    for name, since in snapshot.unknown_functions.items():
        if (known := snapshot.now - since) > _ROLLING:
            said = f"jobs of {name!r} wait, and no worker knows that function"
            yield f"unknown-function:{name}", said, known.total_seconds(), _ROLLING.total_seconds()


def _stuck(snapshot: Snapshot, since: datetime, settings: Settings) -> Iterator[tuple[str, str, float, float]]:
    """The oldest runnable job waits too long, and nothing else has started for as long; or nobody is there for it,
    where a worker has the time of two leases to appear."""
    waited = snapshot.now - max(since, snapshot.last_start or since)
    if waited > settings.alert_stalled:
        seconds, limit = waited.total_seconds(), settings.alert_stalled.total_seconds()
        yield "stalled", f"nothing has started for {seconds:.0f} s", seconds, limit
    if not snapshot.workers and snapshot.now - since > max(2 * settings.lease, timedelta(seconds=5)):
        yield "no-workers", "jobs wait and no worker is alive", 0, 1
