"""The slow reference lives through what the import has to live through, and is right there."""

import pytest

from tests.simulation.habits import AllTwinsShift, Honest, MonthEnd, NewestOnly, Preauthorised, StepsAtTheEdge
from tests.simulation.lying_bank import Habit
from tests.simulation.lying_runs import live_pure
from tests.simulation.reference_life import ReferenceLife
from tests.simulation.simulated_bank import Ids
from tests.soak import SOAK

DAYS = 90 if SOAK else 25


@pytest.mark.parametrize(
    ("habit", "ids"),
    [(Honest, Ids.ABSENT), (StepsAtTheEdge, Ids.ABSENT), (AllTwinsShift, Ids.STABLE), (MonthEnd, Ids.STABLE),
     (Preauthorised, Ids.STABLE), (NewestOnly, Ids.CHANGING)],
)  # fmt: skip
def test_the_reference_is_right(habit: type[Habit], ids: Ids) -> None:
    """The rules as `banking.md` has them, on whole lists, are never wrong where they decide."""
    judge = live_pure(0, ids, [habit], DAYS, life_of=ReferenceLife)
    assert (judge.doubled, judge.lost) == ([], [])
