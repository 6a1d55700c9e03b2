"""The queue's health: what was measured, judged against its limits. A pure decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bankimport.models import Alert, QueueHealth, QueueStats, WorkerInfo
from bankimport.settings import Settings


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
    found = [alert for alert in (rule(snapshot, settings) for rule in _RULES) if alert is not None]
    alerts = (*found, *_unknown(snapshot))
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


def _alert(snapshot: Snapshot, code: str, message: str, value: float, threshold: float) -> Alert:
    since = snapshot.alerts_since.get(code, snapshot.now)
    return Alert(code=code, message=message, value=value, threshold=threshold, since=since)


def _failed(snapshot: Snapshot, settings: Settings) -> Alert | None:
    value, limit = snapshot.failed_today, settings.alert_failed
    message = f"{counted(value, 'job')} failed in the last 24 hours"
    return _alert(snapshot, "failed", message, value, limit) if value > limit else None


def _waiting(snapshot: Snapshot, settings: Settings) -> Alert | None:
    value, limit = snapshot.stats.waiting + snapshot.stats.paused, settings.alert_waiting
    return _alert(snapshot, "waiting", counted(value, "waiting job"), value, limit) if value > limit else None


def _stalled(snapshot: Snapshot, settings: Settings) -> Alert | None:
    """The oldest runnable job waits too long, and nothing else has started for as long."""
    if snapshot.paused or snapshot.runnable_since is None:
        return None
    moved = max(snapshot.runnable_since, snapshot.last_start or snapshot.runnable_since)
    waited = snapshot.now - moved
    if waited <= settings.alert_stalled:
        return None
    seconds, limit = waited.total_seconds(), settings.alert_stalled.total_seconds()
    return _alert(snapshot, "stalled", f"nothing has started for {seconds:.0f} s", seconds, limit)


def _workers(snapshot: Snapshot, settings: Settings) -> Alert | None:
    """Jobs wait and nobody is there; a worker has the time of two leases to appear."""
    if snapshot.workers or snapshot.paused or snapshot.runnable_since is None:
        return None
    if snapshot.now - snapshot.runnable_since <= max(2 * settings.lease, timedelta(seconds=5)):
        return None
    return _alert(snapshot, "no-workers", "jobs wait and no worker is alive", 0, 1)


def _eviction(snapshot: Snapshot, _: Settings) -> Alert | None:
    if snapshot.eviction_policy in (None, "noeviction"):
        return None
    message = f"Redis may drop queued jobs: maxmemory-policy is {snapshot.eviction_policy}, noeviction is needed"
    return _alert(snapshot, "eviction", message, 1, 0)


def _refused(snapshot: Snapshot, _: Settings) -> Alert | None:
    """It can be read, so the numbers are right, but nothing can be asked for and no run can end."""
    if snapshot.refused is None:
        return None
    return _alert(snapshot, "redis-refuses-writes", f"Redis takes no writes: {snapshot.refused}", 1, 0)


def _store(snapshot: Snapshot, _: Settings) -> Alert | None:
    away = [worker for worker in snapshot.workers if worker.trouble == "store-unavailable"]
    if not away:
        return None
    return _alert(snapshot, "store-unavailable", f"{counted(len(away), 'worker')} can't reach the store", len(away), 0)


def _unknown(snapshot: Snapshot) -> list[Alert]:
    """A rolling update is over after five minutes: a function that no worker knows by then is missing."""
    return [
        _alert(
            snapshot,
            f"unknown-function:{name}",
            f"jobs of {name!r} wait, and no worker knows that function",
            (snapshot.now - since).total_seconds(),
            _ROLLING.total_seconds(),
        )
        for name, since in snapshot.unknown_functions.items()
        if snapshot.now - since > _ROLLING
    ]


_ROLLING = timedelta(minutes=5)
_RULES = (_refused, _store, _failed, _waiting, _stalled, _workers, _eviction)
