"""When schedules are due: pure decisions."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankimport.schedules.ticks import CLEANUP, CONSENTS, SCHEDULES, SYNCS, Schedule, step

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 1, 1, tzinfo=UTC)
INSTANTS = st.integers(0, 6 * 365 * 24 * 3600).map(
    lambda seconds: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=lambda schedule: schedule.name)
def test_two_years_have_each_local_hour_once_a_day(schedule: Schedule) -> None:
    """In two years every due hour comes exactly once on each local day, those of the change of the clocks included."""
    ticks = list(schedule.ticks(START, START + timedelta(days=730), BERLIN))
    local = [tick.astimezone(BERLIN) for tick in ticks]
    days = {at.date() for at in local[:-24]}
    assert all(at.hour in schedule.hours and at.minute == 0 for at in local)
    assert len(set(ticks)) == len(ticks)
    for day in sorted(days)[1:]:
        assert tuple(at.hour for at in local if at.date() == day) == schedule.hours


def test_spring_and_autumn_intervals_differ() -> None:
    """Around the change of the clocks two ticks are three or five hours apart, and none is lost."""
    spring = list(SYNCS.ticks(datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 3, 29, 4, tzinfo=UTC), BERLIN))
    autumn = list(SYNCS.ticks(datetime(2026, 10, 24, 20, tzinfo=UTC), datetime(2026, 10, 25, 4, tzinfo=UTC), BERLIN))
    assert spring[1] - spring[0] == timedelta(hours=3)
    assert autumn[1] - autumn[0] == timedelta(hours=5)


@given(INSTANTS)
def test_the_latest_tick_is_the_last_before_now(now: datetime) -> None:
    """The latest tick is due, and no later one is."""
    for schedule in (SYNCS, CONSENTS, CLEANUP):
        latest = schedule.latest(now, BERLIN)
        assert latest <= now
        assert list(schedule.ticks(latest, now, BERLIN)) == []


@given(INSTANTS)
def test_a_missed_tick_is_less_than_half_an_interval_late(now: datetime) -> None:
    """What is caught up is less than half an interval late; anything later waits for the next tick."""
    for schedule in (SYNCS, CONSENTS, CLEANUP):
        missed = schedule.missed(now, BERLIN)
        late = now - schedule.latest(now, BERLIN)
        assert (missed is not None) == (late < schedule.interval / 2)


@given(st.integers(0, 500_000), st.integers(0, 3_600_000))
def test_the_last_organisation_starts_within_ninety_percent_of_the_interval(organisations: int, stagger: int) -> None:
    """However many organisations there are, the last begins within 90 % of the interval; the step never grows."""
    wanted = timedelta(milliseconds=stagger)
    pause = step(organisations, wanted, SYNCS.interval)
    assert timedelta(0) <= pause <= wanted
    assert max(0, organisations - 1) * pause <= SYNCS.interval * 0.9


def test_up_to_432_organisations_have_the_full_stagger() -> None:
    """Thirty seconds are kept as long as the last begins within 216 minutes."""
    assert step(432, timedelta(seconds=30), SYNCS.interval) == timedelta(seconds=30)
    assert step(1000, timedelta(seconds=30), SYNCS.interval) < timedelta(seconds=30)
