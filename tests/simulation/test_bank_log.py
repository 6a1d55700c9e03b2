"""banking.md §5 by the bank's own log: at most four counted requests of any scope in any 24 hours, and never forgotten.

27 days of two seeds of each world; with `BANKIMPORT_SOAK=1` 60 days of 20.
"""

import pytest

from tests.simulation.bank_log import WORLDS, Life
from tests.soak import SOAK


@pytest.mark.timeout(3600 if SOAK else 300)
@pytest.mark.parametrize("name", list(WORLDS))
async def test_the_banks_own_log(name: str) -> None:
    """No five in a day, three a day of a healthy bank, and nobody waits over 30 hours for a bank that is well."""
    faults = []
    for seed in range(20 if SOAK else 2):
        life = Life(name, seed, days=60 if SOAK else 27)
        await life.live()
        assert life.runs > life.days * 6 - 20
        assert life.unended == []
        faults += life.faults()
    assert faults == []
