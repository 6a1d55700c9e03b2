"""What of a run's steps is written."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bankimport.models import JobProgress, Stage
from bankimport.progress import ESTIMATE_AFTER, ESTIMATE_FROM_PERCENT, ProgressMeter, estimate

MS = timedelta(milliseconds=1)
STEPS = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from([Stage.STARTING, Stage.SYNCING_ACCOUNTS]), st.integers(-50, 150)),
    min_size=1,
    max_size=60,
)


def played(steps: list[tuple[int, Stage, int]]) -> list[tuple[timedelta, JobProgress]]:
    """Play steps (ms since the last, stage, percent) as a run does, held ones at their time; return what is written."""
    meter, now, written = ProgressMeter(), timedelta(0), []
    for wait, stage, percent in [*steps, (1000, None, 0)]:
        then = now + wait * MS
        due = meter.due_in(now)
        if due is not None and now + due < then:
            now += due
            late = meter.held(now)
            assert late is not None
            written.append((now, late))
        now = then
        if stage is not None and (progress := meter.step(stage, f"at {percent}", percent, now)) is not None:
            written.append((now, progress))
    return written


@given(STEPS)
def test_percent_never_falls(steps: list[tuple[int, Stage, int]]) -> None:
    """Whatever a job says, percent is between 0 and 100 and never falls."""
    percents = [progress.percent for _, progress in played(steps)]
    assert percents == sorted(percents)
    assert all(0 <= percent <= 100 for percent in percents)


@given(STEPS)
def test_at_most_four_writes_a_second(steps: list[tuple[int, Stage, int]]) -> None:
    """Between two writes of one stage are at least 250 ms; every change of stage is written at once."""
    written = played(steps)
    for (at, progress), (later, following) in pairwise(written):
        assert later - at >= 250 * MS or following.stage != progress.stage
    told = [stage for index, (_, stage, _) in enumerate(steps) if index == 0 or stage != steps[index - 1][1]]
    stages = [p.stage for index, (_, p) in enumerate(written) if index == 0 or p.stage != written[index - 1][1].stage]
    assert stages == told


@given(STEPS)
def test_the_last_step_is_written(steps: list[tuple[int, Stage, int]]) -> None:
    """The last step is written, if late: a bar doesn't stand at what was over long ago."""
    _, stage, percent = steps[-1]
    last = played(steps)[-1][1]
    assert (last.stage, last.message) == (stage, f"at {percent}")


def test_an_estimate_that_means_nothing_is_absent() -> None:
    """There is no estimate before some time has passed and something is done."""
    assert estimate(50, ESTIMATE_AFTER - MS) is None
    assert estimate(ESTIMATE_FROM_PERCENT - 1, 60_000 * MS) is None
    assert ProgressMeter().step(Stage.STARTING, "-", 0, timedelta(0)).estimated_time_remaining is None  # type: ignore[union-attr]


def test_an_estimate_is_of_the_measured_speed() -> None:
    """A quarter in ten seconds leaves thirty; a run that is done leaves none."""
    assert estimate(25, timedelta(seconds=10)) == 30_000
    assert estimate(100, timedelta(seconds=10)) == 0
