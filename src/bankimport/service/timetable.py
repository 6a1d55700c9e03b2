"""When the schedules were due and are due next, and what became of the last due time."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from bankimport.models import JobStatus, JobType, ScheduleStatus
from bankimport.queue.queue import Queue
from bankimport.schedules.ticks import SCHEDULES, Schedule, step


async def timetable(queue: Queue, now: datetime) -> Sequence[ScheduleStatus]:
    """Return how each schedule stands.

    Raises:
        Unavailable: Redis can't be reached.
    """
    return await asyncio.gather(*(_status(queue, schedule, now) for schedule in SCHEDULES.values()))


async def _status(queue: Queue, schedule: Schedule, now: datetime) -> ScheduleStatus:
    zone = queue.settings.timezone
    last = schedule.latest(now, zone)
    job = await queue.get(f"{schedule.name}:{int(last.timestamp() * 1000)}")
    following = next(schedule.ticks(now, now + timedelta(days=2), zone))
    return ScheduleStatus(
        name=schedule.name,
        hours=schedule.hours,
        enabled=queue.settings.enabled,
        last_at=last,
        next_at=following,
        last_start=_last_start(queue, schedule, following, job),
        last_job=job,
    )


def _last_start(queue: Queue, schedule: Schedule, tick: datetime, job: JobStatus | None) -> datetime | None:
    """Return when a tick's last organisation starts, if there are as many as at the last one."""
    number = (job.result or {}).get("organisations") if job is not None else None
    if schedule.job is not JobType.PLAN_SYNCS or not isinstance(number, int) or number < 1:
        return None
    return tick + (number - 1) * step(number, queue.settings.stagger_delay, schedule.interval)
