"""A simulated bank for 120 days: after each complete sync the stored booked rows are the bank's, each as often."""

import os
from collections import Counter

import pytest

from bankimport.models import BankConnection, RowStatus
from bankimport.testing.memory_store import MemoryStore
from tests.simulation.runs import Booked, run_job, run_pure
from tests.simulation.simulated_bank import Ids

SOAK = os.environ.get("BANKIMPORT_SOAK") == "1"
SEEDS = 200 if SOAK else 5


@pytest.mark.timeout(3600 if SOAK else 120)
@pytest.mark.parametrize("ids", list(Ids))
def test_the_decision_is_never_wrong(ids: Ids) -> None:
    """Whatever the bank's ids are like, the pure decision never doubles and never loses a booked row."""
    assert sum(run_pure(seed, ids) for seed in range(20 * SEEDS if SOAK else SEEDS)) > SEEDS * 50


@pytest.mark.timeout(3600 if SOAK else 120)
@pytest.mark.parametrize("ids", list(Ids))
async def test_the_job_is_never_wrong(ids: Ids) -> None:
    """The same through the job with its budget, failures and renewed consents."""
    complete = 0
    for seed in range(SEEDS):
        connection = BankConnection("c", "o", "bank")
        store = MemoryStore(connection)

        async def booked(store: MemoryStore = store) -> Booked:
            rows = (row for row in store.rows("account-1") if row.status is RowStatus.BOOKED)
            return Counter((r.transaction.day, r.transaction.amount, r.transaction.currency) for r in rows)

        complete += await run_job(seed, ids, store, connection, booked)
    assert complete > SEEDS * 40
