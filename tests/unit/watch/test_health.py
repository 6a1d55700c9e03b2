"""The judgement on a queue: each alert at its threshold and not before, and ill health exactly while there is one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bankimport.models import QueueStats, WorkerInfo
from bankimport.settings import Settings
from bankimport.watch.health import Snapshot, assess, unreachable

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
SETTINGS = Settings.load()
WORKER = WorkerInfo(id="w", host="h", pid=1, running=0, version="1", seen_at=NOW)
WELL = Snapshot(
    now=NOW,
    stats=QueueStats(),
    paused_reason=None,
    paused=False,
    runnable_since=None,
    last_start=None,
    workers=(WORKER,),
    alerts_since={},
    eviction_policy="noeviction",
    persistent=True,
)


def codes(snapshot: Snapshot) -> list[str]:
    """Return the codes of the alerts, having checked that they decide the health."""
    health = assess(snapshot, SETTINGS)
    assert health.is_healthy == (not health.alerts)
    assert all(alert.message in health.warnings for alert in health.alerts)
    return [alert.code for alert in health.alerts]


def ago(**time: float) -> datetime:
    """Return an instant before now."""
    return NOW - timedelta(**time)


def test_a_quiet_queue_is_well() -> None:
    """Nothing to do, a worker there, a server that keeps what it has: no alert, no warning."""
    assert codes(WELL) == []
    assert assess(WELL, SETTINGS).warnings == ()


@pytest.mark.parametrize(
    ("stats", "failed_today", "alerts"),
    [
        (QueueStats(), 100, []),
        (QueueStats(), 101, ["failed"]),
        (QueueStats(waiting=1000), 0, []),
        (QueueStats(waiting=1001), 0, ["waiting"]),
        (QueueStats(paused=1001), 0, ["waiting"]),
        (QueueStats(delayed=5000, active=5000, completed=10**6, failed=5000, waiting_children=5000), 0, []),
        (QueueStats(waiting=1001), 101, ["failed", "waiting"]),
    ],
    ids=str,
)
def test_more_failed_or_waiting_jobs_than_allowed(stats: QueueStats, failed_today: int, alerts: list[str]) -> None:
    """More than 100 failed in a day or more than 1,000 waiting jobs are an alert; as many are none, and no other number is."""
    assert codes(replace(WELL, stats=stats, failed_today=failed_today)) == alerts


@pytest.mark.parametrize(
    ("runnable_since", "last_start", "stalled"),
    [
        (ago(minutes=5), None, False),
        (ago(minutes=5, seconds=1), None, True),
        (ago(minutes=5, seconds=1), ago(hours=1), True),
        (ago(hours=1), ago(minutes=5, seconds=1), True),
        (ago(hours=1), ago(minutes=5), False),
        (ago(seconds=1), ago(hours=1), False),
        (None, ago(hours=1), False),
    ],
)
def test_a_stalled_queue(runnable_since: datetime | None, last_start: datetime | None, stalled: bool) -> None:  # a row
    """The oldest runnable job has waited more than five minutes, and nothing has started for as long."""
    snapshot = replace(WELL, runnable_since=runnable_since, last_start=last_start)
    assert codes(snapshot) == (["stalled"] if stalled else [])
    assert codes(replace(snapshot, paused=True)) == []


def test_no_live_worker_while_jobs_wait() -> None:
    """Jobs wait and nobody is there: an alert, once a worker had two leases to appear; without jobs only a warning."""
    alone = replace(WELL, workers=())
    assert codes(alone) == []
    assert assess(alone, SETTINGS).warnings == ("no worker is alive",)
    assert codes(replace(alone, runnable_since=ago(seconds=30))) == []
    assert codes(replace(alone, runnable_since=ago(seconds=31))) == ["no-workers"]
    assert codes(replace(alone, runnable_since=ago(seconds=31), paused=True)) == []


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
def test_a_server_that_may_evict(policy: str) -> None:
    """Every policy but noeviction is an alert; a managed server that doesn't tell is none."""
    assert codes(replace(WELL, eviction_policy=policy)) == ["eviction"]
    assert codes(replace(WELL, eviction_policy=None)) == []


def test_warnings_are_no_ill_health() -> None:
    """Paused, nothing persisted, something quarantined: said, but healthy."""
    odd = replace(WELL, paused=True, paused_reason="maintenance", persistent=False, quarantined=2)
    health = assess(odd, SETTINGS)
    assert (health.is_healthy, health.is_paused) == (True, True)
    assert len(health.warnings) == 3
    assert health.warnings[0] == "the queue is paused: maintenance"


def test_an_alert_says_what_was_measured_and_since_when() -> None:
    """An alert carries its value, its limit, and the instant at which it began."""
    failed = replace(WELL, failed_today=150)
    [new] = assess(failed, SETTINGS).alerts
    assert (new.value, new.threshold, new.since) == (150, 100, NOW)
    [old] = assess(replace(failed, alerts_since={"failed": ago(hours=2)}), SETTINGS).alerts
    assert old.since == ago(hours=2)


def test_redis_away() -> None:
    """Without Redis there are no numbers, and one alert."""
    health = unreachable(NOW, "Redis is not available: it is out of memory")
    assert (health.is_healthy, [alert.code for alert in health.alerts]) == (False, ["redis-unavailable"])
