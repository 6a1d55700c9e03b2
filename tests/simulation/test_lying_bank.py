"""Lives with a bank that does what real banks do, one habit at a time and several together (`habits`).

Where banking.md §4 decides, none is wrong; where no rule can know, none has one row doubled *and* another lost. CI lives
one short life of each; `BANKIMPORT_SOAK=1` fifty long ones. `python -m tests.simulation.count` prints the counts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.habits import (
    CASES,
    AllTwinsShift,
    BatchIds,
    Enriched,
    ForeignPending,
    Future,
    LateBackdated,
    MonthEnd,
    MoreThanAsked,
    Nameless,
    NewestOnly,
    NewIdsWithTheConsent,
    OffByOne,
    PagesThatOverlap,
    Preauthorised,
    Renumbered,
    RepeatsOnOnePage,
    RowsAbsentOnce,
    Shuffled,
    Spelling,
    StalePending,
    Steps,
    StepsAtTheEdge,
    Vanishing,
)
from tests.simulation.judge import Judge
from tests.simulation.lying_bank import Habit
from tests.simulation.lying_runs import CONNECTION, live_job, live_pure
from tests.simulation.simulated_bank import Ids
from tests.simulation.stored import is_on_disk, store_of
from tests.soak import SOAK

SEEDS = 50 if SOAK else 1

PURE_DAYS, JOB_DAYS = (120, 90) if SOAK else (45, 30)

#: habits that don't contradict each other, with ids that name entries and without any
WORLDS: Sequence[tuple[Ids, Sequence[type[Habit]]]] = (
    (Ids.STABLE, (Spelling, StepsAtTheEdge, Preauthorised, PagesThatOverlap)),
    (Ids.STABLE, (AllTwinsShift, RowsAbsentOnce, MoreThanAsked)),
    (Ids.CHANGING, (OffByOne, StalePending, Renumbered)),
    (Ids.STABLE, (BatchIds, Future, LateBackdated)),
    (Ids.CHANGING, (NewestOnly, ForeignPending, Enriched)),
    (Ids.STABLE, (MonthEnd, RepeatsOnOnePage, Vanishing, NewIdsWithTheConsent)),
    (Ids.ROTATING, (Spelling, Future, Steps)),
    (Ids.ABSENT, (Spelling, Future, LateBackdated, Steps)),
    (Ids.ABSENT, (StalePending, RowsAbsentOnce, Nameless)),
    (Ids.ABSENT, (NewestOnly, MonthEnd, Shuffled)),
)


def named(ids: Ids, *habits: type[Habit]) -> Any:
    """A case, by the name of its ids and habits."""
    return pytest.param(ids, habits, id=" ".join([ids.name.lower(), *(habit.__name__ for habit in habits)]))


def agree(judges: Sequence[Judge], *, decided: bool) -> None:
    """None of the lives is wrong where the rules decide, and none is doubled and lost where they can't."""
    wrong = {"doubled", "lost", "doubled and lost"} if decided else {"doubled and lost"}
    assert [(n, j.doubled[:1], j.lost[:1]) for n, j in enumerate(judges) if j.verdict in wrong] == []
    assert sum(judge.reads for judge in judges) > len(judges) * 7


async def job_life(
    seed: int, ids: Ids, habits: Sequence[type[Habit]], empty: Path, folder: Path, *, events: bool = False
) -> Judge:
    """One life through the job with a store of its own. CI's lives with one habit are stored in memory."""
    on_disk = is_on_disk(seed, ids) and (events or SOAK)
    async with store_of(CONNECTION, empty, folder, on_disk=on_disk) as store:
        return await live_job(seed, ids, habits, store, JOB_DAYS, events=events)


@pytest.mark.timeout(7200 if SOAK else 300)
@pytest.mark.parametrize(("ids", "habits"), [named(ids, habit) for habit, ids in CASES])
def test_the_decision_withstands(ids: Ids, habits: Sequence[type[Habit]]) -> None:
    """Through the pure decision, whatever the bank's habit and its ids."""
    judges = [live_pure(seed, ids, habits, PURE_DAYS) for seed in range(SEEDS)]
    agree(judges, decided=all(ids in habit.decided for habit in habits))


@pytest.mark.timeout(7200 if SOAK else 300)
@pytest.mark.parametrize(
    ("ids", "habits"), [named(ids, habit) for habit, ids in CASES if ids in (Ids.STABLE, Ids.ABSENT)]
)
async def test_the_job_withstands(
    ids: Ids, habits: Sequence[type[Habit]], empty_database: Path, tmp_path: Path
) -> None:
    """Through the real job and a store, with the budget, failures and renewed consents."""
    judges = [await job_life(seed, ids, habits, empty_database, tmp_path) for seed in range(SEEDS)]
    agree(judges, decided=all(ids in habit.decided for habit in habits))


@pytest.mark.timeout(7200 if SOAK else 300)
@pytest.mark.parametrize(("ids", "habits"), [named(ids, *habits) for ids, habits in WORLDS])
async def test_the_job_withstands_several_at_once(
    ids: Ids, habits: Sequence[type[Habit]], empty_database: Path, tmp_path: Path
) -> None:
    """Several habits together with manual windows, full syncs, renewals and an emptied Redis."""
    judges = [await job_life(seed, ids, habits, empty_database, tmp_path, events=True) for seed in range(SEEDS)]
    agree(judges, decided=all(ids in habit.decided for habit in habits))
