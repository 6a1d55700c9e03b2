"""What a worker and a host count while they refuse, defer and hand on: each number moves by what really happened."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from bankimport import AccessKey, Asks, BankConnection, BankImport, CountedRead, Scope, Settings
from bankimport.stores.redis.ledger import RedisLedger
from bankimport.telemetry import Numbers, telemetry
from bankimport.testing import FakeBank, MemoryStore, run_until_idle

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq closes its pool so


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> CollectorRegistry:
    """This test's own numbers."""
    numbers = Numbers()
    monkeypatch.setattr(telemetry, "numbers", numbers)
    return numbers.registry


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    """Return a number, 0 if it was never touched."""
    return registry.get_sample_value(f"bankimport_{name}", labels) or 0.0


async def test_starts_beyond_the_limit(settings: Settings, registry: CollectorRegistry) -> None:
    """Jobs that wait because of the limit of starts are counted as refused, those below it are not; a run holds its
    lease for as long as it runs; and followers' events have an age."""
    limited = settings.model_copy(update={"rate_limit_max": 4, "rate_limit_duration": timedelta(milliseconds=400)})
    store = MemoryStore(*(BankConnection(f"c{number}", "acme", "bank") for number in range(6)))
    held: list[float] = []

    class Noting(FakeBank):
        """Looks at the gauge while a run asks it."""

        async def accounts(self, *asked: object) -> list[object]:  # type: ignore[override]  # it wants no argument
            held.append(value(registry, "leases"))
            return []

    async with BankImport(limited, banks={"bank": Noting()}, store=store) as bank_import:
        subscription = await bank_import.subscribe(org_id="acme")
        await bank_import.schedule_immediate_sync("c0")
        await run_until_idle(bank_import)
        assert value(registry, "starts_refused_total") == 0
        for number in range(1, 6):
            await bank_import.schedule_immediate_sync(f"c{number}")
        await run_until_idle(bank_import)
        assert await anext(subscription) is not None
        subscription.close()
    assert value(registry, "starts_refused_total") > 0
    assert held
    assert min(held) >= 1
    assert value(registry, "leases") == 0
    assert value(registry, "event_lag_seconds_count") > 0
    assert value(registry, "event_lag_seconds_sum") < 60 * value(registry, "event_lag_seconds_count")


async def test_reads_beyond_the_budget(settings: Settings, registry: CollectorRegistry) -> None:
    """A read that the quota doesn't allow, or that the bank has closed, is counted by bank, scope and cause."""
    async with BankImport(settings, banks={}, store=MemoryStore()) as bank_import:
        ledger = RedisLedger(bank_import.queue)
        key, now = AccessKey("bank", "stable", Scope.TRANSACTIONS), datetime.now(UTC)
        read = CountedRead(now, Asks.WHOLE, "giro", "job")
        assert await ledger.reserve(key, read, limit=1, zone=None, begins=True) is None
        labels = {"bank": "bank", "scope": Scope.TRANSACTIONS.value}
        assert value(registry, "reads_refused_total", why="quota", **labels) == 0
        other = CountedRead(now, Asks.WHOLE, "giro", "another")
        assert await ledger.reserve(key, other, limit=1, zone=None, begins=True) is not None
        assert value(registry, "reads_refused_total", why="quota", **labels) == 1
        await ledger.close(key, now + timedelta(hours=1))
        assert await ledger.reserve(key, other, limit=None, zone=None, begins=True) is not None
        assert value(registry, "reads_refused_total", why="closed", **labels) == 1
