"""Which days are read, and which are known to have been."""

import itertools
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankimport.imports import automatic_window, covered, merged, plan_window, shrunk
from bankimport.models import DayRead, Doubt, DoubtReason, Interval, Memory, TransactionStatus, Window

TODAY = date(2026, 3, 10)
HISTORY = timedelta(days=90)


def ago(days: int) -> date:
    """A day before today."""
    return TODAY - timedelta(days=days)


def span(since: int, until: int) -> Interval:
    """The days between, both so many days ago."""
    return Interval(ago(since), ago(until))


@pytest.mark.parametrize(
    ("coverage", "since"),
    [
        pytest.param([], 90, id="the first sync is the full history"),
        pytest.param([span(91, 1)], 15, id="14 days before the end of what is covered"),
        pytest.param([span(400, 21)], 35, id="an outage is caught up"),
        pytest.param([span(400, 85)], 90, id="never beyond the bank's history"),
        pytest.param([span(300, 200)], 90, id="an outage longer than the history"),
        pytest.param([span(60, 30)], 90, id="a month by hand is no beginning"),
        pytest.param([span(91, 40), span(20, 5)], 54, id="the gap before a month by hand is filled"),
        pytest.param([span(91, 0)], 14, id="twice on one day"),
    ],
)
def test_the_automatic_window(coverage: list[Interval], since: int) -> None:
    """The window begins 14 days before the first day that is not covered, and has no end."""
    assert automatic_window(Memory(tuple(coverage)), today=TODAY, max_history=HISTORY) == Window(ago(since), None)


def test_what_was_put_off_at_the_edge_is_well_inside_of_the_next_window() -> None:
    """The window begins seven days or more before the edge at which an entry was put off; a repeat changes nothing."""
    doubts = [Doubt(reason, TransactionStatus.BOOKED, ago(15), Decimal(-1), "EUR") for reason in DoubtReason]
    for reason, since in zip(DoubtReason, (15, 24), strict=True):
        memory = Memory((span(91, 1),), doubts=tuple(doubt for doubt in doubts if doubt.reason is reason))
        assert automatic_window(memory, today=TODAY, max_history=HISTORY) == Window(ago(since))


@pytest.mark.parametrize(
    ("asked", "window"),
    [
        pytest.param({"start_date": ago(68), "end_date": ago(38)}, Window(ago(68), ago(38)), id="both days"),
        pytest.param({"start_date": ago(300)}, Window(ago(300)), id="from a day on"),
        pytest.param({"end_date": ago(38)}, Window(ago(90), ago(38)), id="up to a day"),
        pytest.param({"end_date": ago(200)}, Window(ago(200), ago(200)), id="up to a day before the history"),
        pytest.param({"force_full_sync": True}, Window(ago(90)), id="everything"),
        pytest.param({"force_full_sync": True, "start_date": ago(5)}, Window(ago(5)), id="dates win"),
    ],
)
def test_a_window_by_hand(asked: dict[str, object], window: Window) -> None:
    """Dates and the full sync do what they say."""
    memory = Memory((span(91, 1),))
    assert plan_window(memory, today=TODAY, max_history=HISTORY, **asked) == window  # type: ignore[arg-type]


def test_a_rejected_period_shrinks() -> None:
    """What the bank suggests is tried first, then 90, 89, 60, 30 days, and then no more."""
    seen, window = [], shrunk(Window(ago(700)), today=TODAY, suggested_from=ago(365))
    while window is not None:
        seen.append((TODAY - window.since).days)
        window = shrunk(window, today=TODAY)
    assert seen == [365, 90, 89, 60, 30]


def test_a_shrunk_window_never_ends_before_it_begins() -> None:
    """A window by hand that lies outside of what the bank serves has no smaller one."""
    assert shrunk(Window(ago(200), ago(100)), today=TODAY) is None


def test_tomorrow_is_never_covered() -> None:
    """What lies after today has not happened yet."""
    assert covered(Memory(), Window(ago(90)), TODAY).once == (DayRead(ago(90), TODAY, TODAY),)
    assert covered(Memory(), Window(ago(-1), ago(-5)), TODAY) == Memory()


def test_a_day_is_covered_when_it_was_read_on_two_days() -> None:
    """One complete read can be wrong: only a second one, on another day, makes its days known."""
    first = covered(covered(Memory(), Window(ago(90)), ago(1)), Window(ago(90)), ago(1))
    assert (first.coverage, first.once) == ((), (DayRead(ago(90), ago(1), ago(1)),))
    second = covered(first, Window(ago(15)), TODAY)
    assert second.coverage == (span(15, 1),)
    assert second.once == (DayRead(ago(90), ago(16), ago(1)), DayRead(TODAY, TODAY, TODAY))


def test_days_that_the_bank_refuses_are_not_asked_for_again() -> None:
    """A bank that has refused more than 60 days is asked for 60."""
    memory = Memory(history=timedelta(days=60))
    assert automatic_window(memory, today=TODAY, max_history=HISTORY) == Window(ago(60))


intervals = st.lists(st.builds(lambda a, n: Interval(ago(a + n), ago(a)), st.integers(0, 300), st.integers(0, 40)))


def days(coverage: object) -> set[date]:
    """Every day of some intervals."""
    return {i.since + timedelta(days=n) for i in coverage for n in range((i.until - i.since).days + 1)}  # type: ignore[attr-defined]


@given(intervals)
def test_merging_keeps_the_days(some: list[Interval]) -> None:
    """Merged intervals are the same days, in order, and don't touch."""
    result = merged(some)
    assert days(result) == days(some)
    assert all(a.until + timedelta(days=1) < b.since for a, b in itertools.pairwise(result))
    assert merged(result) == result


@given(intervals)
def test_no_day_is_left_out(coverage: list[Interval]) -> None:
    """Every day of the history that isn't covered is in the automatic window, and reading it twice covers them all."""
    memory = Memory(merged(coverage))
    window = automatic_window(memory, today=TODAY, max_history=HISTORY)
    uncovered = {ago(n) for n in range(91)} - days(coverage)
    assert all(day >= window.since for day in uncovered)
    tomorrow = TODAY + timedelta(days=1)
    assert {ago(n) for n in range(91)} <= days(covered(covered(memory, window, TODAY), window, tomorrow).coverage)
