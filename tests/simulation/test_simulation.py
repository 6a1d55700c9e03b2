"""A simulated bank for 120 days: after each complete sync the stored booked rows are the bank's, each as often.

One seed of each behaviour, the job's for 40 days; with `BANKIMPORT_SOAK=1` 200 seeds of each through the job and 4,000
lives in all through the pure decision, each for 120 days.
"""

from pathlib import Path

import pytest

from tests.simulation.lying_runs import CONNECTION
from tests.simulation.runs import run_job, run_pure
from tests.simulation.simulated_bank import Ids
from tests.simulation.stored import is_on_disk, store_of
from tests.soak import SOAK

SEEDS = 200 if SOAK else 1
LIVES = 4000 // len(Ids) + 1 if SOAK else 1
DAYS = 120 if SOAK else 40


@pytest.mark.timeout(7200 if SOAK else 300)
@pytest.mark.parametrize("ids", list(Ids))
def test_the_decision_is_never_wrong(ids: Ids) -> None:
    """Whatever the bank's ids are like, the pure decision never doubles and never loses a booked row."""
    complete, wrong = 0, []
    for seed in range(LIVES):
        try:
            complete += run_pure(seed, ids)
        except AssertionError as error:
            wrong.append(str(error))
    assert wrong == []
    assert complete > LIVES * 50


@pytest.mark.timeout(7200 if SOAK else 300)
@pytest.mark.parametrize("ids", list(Ids))
async def test_the_job_is_never_wrong(ids: Ids, empty_database: Path, tmp_path: Path) -> None:
    """The same through the job and a store, with the budget, failures and renewed consents."""
    complete, wrong = 0, []
    for seed in range(SEEDS):
        async with store_of(CONNECTION, empty_database, tmp_path, on_disk=is_on_disk(seed, ids)) as store:
            try:
                complete += await run_job(seed, ids, store, CONNECTION, DAYS)
            except AssertionError as error:
                wrong.append(str(error))
    assert wrong == []
    assert complete > SEEDS * DAYS / 3


@pytest.mark.parametrize(
    ("seed", "ids"),
    [
        (94, Ids.ROTATING),
        (129, Ids.ROTATING),
        (952, Ids.REISSUED),
        (1295, Ids.REISSUED),
        (4000, Ids.REISSUED),
        (4001, Ids.REISSUED),
        (669, Ids.MIXED),
    ],
    ids=lambda value: str(value),
)
def test_a_life_that_was_once_wrong(seed: int, ids: Ids) -> None:
    """The lives in which a soak has found a rule wrong stay right."""
    assert run_pure(seed, ids) > 50
