"""What `read_queue.lua` says, as a `Snapshot`. What stands in Redis is untrusted."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bankimport.errors import codes_beyond_operators
from bankimport.models import QueueStats, WorkerInfo
from bankimport.redis.connection import refusal
from bankimport.redis.declaring import pairs
from bankimport.redis.instants import instant, maybe_instant
from bankimport.watch.health import Snapshot

#: Failures that are no ill health of the queue.
EXCUSED = codes_beyond_operators()


def snapshot_of(look: Sequence[Any], at: datetime, policy: str | None, persistent: bool | None) -> Snapshot:  # noqa: FBT001  # a fact among others
    """Return one look at the queue."""
    counts, pause, since, started, workers, alerts, now, quarantined, unknown, refused, failed_today, excused = look
    waiting, active, completed, failed, delayed, children, cancelled = counts
    paused = bool(pause[0]) and (not pause[1] or int(pause[1]) > int(now))
    return Snapshot(
        now=at,
        stats=QueueStats(
            waiting=0 if paused else waiting,
            paused=waiting if paused else 0,
            active=active,
            completed=completed,
            failed=failed,
            delayed=delayed,
            waiting_children=children,
            cancelled=cancelled,
        ),
        paused=paused,
        paused_reason=pause[2].decode() or None,
        runnable_since=maybe_instant(since),
        last_start=maybe_instant(started),
        workers=tuple(_worker(*row) for row in pairs(workers)),
        alerts_since=_instants(alerts, at),
        quarantined=quarantined,
        failed_today=failed_today - excused,
        excused_today=excused,
        eviction_policy=policy,
        persistent=persistent,
        unknown_functions=_instants(unknown, at),
        refused=(refusal(ValueError(refused.decode())) or "it refuses") if refused else None,
    )


def _instants(flat: Sequence[bytes], at: datetime) -> dict[str, datetime]:
    return {name.decode(): maybe_instant(value) or at for name, value in pairs(flat)}


def _worker(worker_id: bytes, beat: bytes) -> WorkerInfo:
    said = json.loads(beat)
    told = {name: said[name] for name in ("host", "pid", "running", "version", "trouble")}
    return WorkerInfo(id=worker_id.decode(), seen_at=instant(said["seen"]), lag_ms=int(said["lag"]), **told)
