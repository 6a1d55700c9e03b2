"""When the schedules are due, and how organisations are spread over an interval: pure decisions (design §6)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from bankimport.models import JobType

#: The last organisation of a tick starts within this part of the interval.
_SPREAD = 0.9


@dataclass(frozen=True, slots=True)
class Schedule:
    """Due every day at the full hours given, local time; `interval` is the time between two of them."""

    name: str
    job: JobType
    hours: tuple[int, ...]

    @property
    def interval(self) -> timedelta:
        """The time from one tick to the next, on a day of 24 hours."""
        return timedelta(hours=24) / len(self.hours)

    def ticks(self, since: datetime, until: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Yield the due times after `since` up to and with `until`, in UTC. 03:00 and the 4-hourly hours exist once on
        every day in Europe, those of the change of the clocks included."""
        day = since.astimezone(zone).date() - timedelta(days=1)
        last = until.astimezone(zone).date()
        while day <= last:
            for hour in self.hours:
                tick = datetime.combine(day, time(hour), zone).astimezone(UTC)
                if since < tick <= until:
                    yield tick
            day += timedelta(days=1)

    def latest(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return the last due time that is not after `now`."""
        return max(self.ticks(now - timedelta(days=2), now, zone))

    def missed(self, now: datetime, zone: ZoneInfo) -> datetime | None:
        """Return the due time to catch up if nobody served it: none that is half an interval late or more."""
        tick = self.latest(now, zone)
        return tick if now - tick < self.interval / 2 else None


SYNCS = Schedule("sync-all-org", JobType.PLAN_SYNCS, (0, 4, 8, 12, 16, 20))
CONSENTS = Schedule("refresh-consents", JobType.REFRESH_CONSENTS, (3,))
CLEANUP = Schedule("cleanup", JobType.CLEANUP, (4,))

SCHEDULES: Mapping[str, Schedule] = MappingProxyType({s.name: s for s in (SYNCS, CONSENTS, CLEANUP)})


def step(organisations: int, stagger: timedelta, interval: timedelta) -> timedelta:
    """Return the time between two organisations of a tick: the stagger, or less where they are too many for it."""
    if organisations < 2:
        return timedelta(0)
    return min(stagger, interval * _SPREAD // (organisations - 1))
