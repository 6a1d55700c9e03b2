"""The charts of *Now*: what ended when, counted of the records themselves."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankimport import BankImport
from bankimport.models import EndedJobs
from bankimport.testing import FakeBank, run_until_idle
from bankimport.watch.throughput import starts
from bankimport.web.dashboard.chart import DOWN, UP, chart
from tests.web.test_dashboard import Pages, failed

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq calls it
NOW = datetime(2026, 11, 24, 13, 32, 8, tzinfo=UTC)


def test_steps_begin_on_the_minute_and_end_now() -> None:
    """Each step begins where the one before ends, and the last one holds the present instant."""
    minutes = starts(NOW, timedelta(minutes=1), 60)
    assert minutes[-1] == NOW.replace(second=0)
    assert {later - earlier for earlier, later in itertools.pairwise(minutes)} == {timedelta(minutes=1)}
    assert starts(NOW, timedelta(hours=1), 168)[0] == NOW.replace(minute=0, second=0) - timedelta(hours=167)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=168))
def test_bars_stay_in_their_room(numbers: list[tuple[int, int]]) -> None:
    """Whatever the numbers, a bar fits, what is there is seen, and what isn't is no bar."""
    steps = [EndedJobs(since=NOW, completed=done, failed=bad) for done, bad in numbers]
    drawn = chart(steps)
    assert len(drawn.bars) == sum(1 for done, bad in numbers if done or bad)
    for bar in drawn.bars:
        assert 0 <= bar.x <= bar.x + bar.width <= 100.01
        assert 0 <= bar.up <= UP
        assert 0 <= bar.down <= DOWN
        assert bar.up or bar.down
    assert (drawn.completed, drawn.failed) == (sum(d for d, _ in numbers), sum(b for _, b in numbers))


async def test_what_ended_just_now(pages: Pages, bank_import: BankImport, bank: FakeBank) -> None:
    """A completed and two failed jobs are in the last minutes and the last hour; the page says the same numbers."""
    assert "No job has ended." in await pages.get()
    await failed(bank_import, "giro", "sparen")
    bank.accounts_answer = ()
    await bank_import.schedule_immediate_sync("dritte")
    await run_until_idle(bank_import)
    ended = await bank_import.get_throughput()
    for steps in (ended.minutes, ended.hours):
        recent = steps[-2:]  # the test may run over the edge of a minute
        assert (sum(each.completed for each in recent), sum(each.failed for each in recent)) == (1, 2)
        assert sum(each.completed + each.failed for each in steps) == 3
    page = await pages.get()
    assert page.count("1 jobs completed, 2 failed") == 2
    assert page.count('class="f-bad"') >= 2
