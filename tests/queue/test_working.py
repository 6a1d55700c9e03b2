"""A host's own tests, as `docs/how-to/test-your-service.md` has them: the real worker in the test's process, real
jobs over fakes of the ports, and a clock that is moved."""

import asyncio
import gc
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bankimport import BankImport, JobState, Settings
from bankimport.commands import Cleanup, Command, RefreshConsents
from bankimport.errors import Transient
from bankimport.models import (
    BankAccount,
    BankConnection,
    Consent,
    ConsentStatus,
    ReportedTransaction,
    TransactionStatus,
)
from bankimport.queue.queue import Enqueue
from bankimport.status import ConnectionStatus
from bankimport.testing import EventRecorder, FakeBank, ManualClock, MemoryStore, run_until_idle

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own, as it stops
NOW = datetime.now(UTC)
ACCOUNT = BankAccount(provider_id="at-the-bank", stable_key="key", currency="EUR")
ROW = ReportedTransaction(
    TransactionStatus.BOOKED, amount="-3.50", currency="EUR", booking_date=NOW.date().isoformat(), remittance="coffee"
)


@pytest.fixture
def bank() -> FakeBank:
    """A bank with one account and one row."""
    bank = FakeBank()
    bank.accounts_answer = [ACCOUNT]
    bank.show(ACCOUNT, ROW)
    return bank


@pytest.fixture
def store() -> MemoryStore:
    """A store with one connection, whose consent ends in half a year."""
    ends = (NOW + timedelta(days=180)).date()
    return MemoryStore(BankConnection(id="c", org_id="acme", bank="bank", consent_valid_until=ends))


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at the present instant."""
    return ManualClock(NOW)


@pytest.fixture
async def bank_import(
    settings: Settings, bank: FakeBank, store: MemoryStore, clock: ManualClock
) -> AsyncIterator[BankImport]:
    """The host's object, its waits between retries scaled down."""
    made = settings.model_copy(update={"retry_delay_scale": 0.001, "rate_limit_max": 1000})
    async with BankImport(made, banks={"bank": bank}, store=store, clock=clock) as bank_import:
        yield bank_import


async def ran(bank_import: BankImport, command: Command) -> Any:
    """Run a command of the schedules; return its result."""
    job_id = await bank_import.queue.enqueue(Enqueue(command))
    await run_until_idle(bank_import)
    status = await bank_import.get_job_status(job_id)
    assert status is not None
    assert status.state is JobState.COMPLETED, status.failed_reason
    return status.result


async def test_a_sync_from_the_wish_to_the_rows(bank_import: BankImport, store: MemoryStore) -> None:
    """One sync: its events in their order, its numbers, its row; afterwards the queue is idle and keeps the record."""
    recorder = EventRecorder()
    bank_import.on("bank.*", recorder)
    job_id = await bank_import.schedule_immediate_sync("c", org_id="acme")
    stats = await run_until_idle(bank_import)
    assert (stats.completed, stats.waiting, stats.active) == (1, 0, 0)
    names = [name for name in recorder.names(job_id) if name != "bank.job.progress"]
    assert names == ["bank.job.started", "bank.sync.completed", "bank.job.completed"], "the worker's own; we queued it"
    status = await bank_import.get_job_status(job_id)
    assert status is not None
    assert (status.result["accountsSynced"], status.result["newTransactions"]) == (1, 1)
    assert [row.transaction.amount for row in store.rows("account-1")] == [-3.5]


async def test_a_bank_that_is_away_twice(bank_import: BankImport, bank: FakeBank) -> None:
    """Two retryable failures and then success, as `run_until_idle` sees retries through that are due soon."""
    answers: list[Any] = [Transient("away"), Transient("away"), [ACCOUNT]]

    class Flaky(FakeBank):
        """Answers its accounts one after the other."""

        async def accounts(self, connection: Any, psu: Any) -> Any:
            """See `BankProvider`."""
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    bank_import.banks["bank"] = Flaky()  # type: ignore[index]  # the test's own dict
    job_id = await bank_import.schedule_immediate_sync("c")
    async with bank_import.working():
        async for event in bank_import.follow(job_id):
            last = event
    assert last.name == "bank.job.completed"
    assert last.data["attempts"] == 3
    status = await bank_import.get_job_status(job_id)
    assert status is not None
    assert status.attempts_made == 2


async def test_schedules_switched_off(settings: Settings, bank: FakeBank, store: MemoryStore) -> None:
    """`BANK_SYNC_ENABLED=false` stops the schedules only: no cron job is left, nothing is planned, manual jobs run."""
    off = settings.model_copy(update={"enabled": False})
    async with BankImport(off, banks={"bank": bank}, store=store) as bank_import:
        assert bank_import.worker_settings(closing=False).__dict__["cron_jobs"] == []
        job_id = await bank_import.schedule_immediate_sync("c")
        await run_until_idle(bank_import)
        status = await bank_import.get_job_status(job_id)
        assert status is not None
        assert status.state is JobState.COMPLETED
        assert await bank_import.queue.client.zcard(bank_import.queue.keys.of("org", "")) == 0


async def test_consents_are_refreshed(bank_import: BankImport, bank: FakeBank, store: MemoryStore) -> None:
    """The daily job finds a consent that ends within a week, marks its connection, and tells its organisation once."""
    soon = (NOW + timedelta(days=3)).date()
    store.add(BankConnection(id="ending", org_id="acme", bank="bank", consent_valid_until=soon))
    bank.consent_answer = lambda connection: Consent(ConsentStatus.VALID, connection.consent_valid_until)
    recorder = EventRecorder()
    bank_import.on("bank.consents.expiring", recorder)
    await ran(bank_import, RefreshConsents(scheduled=True))
    connection = await store.connection("ending")
    assert connection is not None
    assert connection.status is ConnectionStatus.REQUIRES_REAUTH
    [event] = recorder.events
    assert (event.org_id, event.data["count"], event.data["connections"]) == ("acme", 1, ["ending"])


async def test_the_cleanup_job(bank_import: BankImport) -> None:
    """The daily cleanup removes what is older than its days, more than one slice of it, and says how many."""
    client, keys = bank_import.queue.client, bank_import.queue.keys
    old = await ran(bank_import, Cleanup(scheduled=True))
    assert old == {"removed": 0}
    week_ago = (NOW - timedelta(days=7, seconds=1)).timestamp() * 1000
    for number in range(1100):
        await client.hset(keys.job(f"old-{number}"), "org", "acme")
        await client.zadd(keys.state("completed"), {f"old-{number}": week_ago})
    assert await ran(bank_import, Cleanup(scheduled=True)) == {"removed": 1100}
    assert await client.exists(keys.job("old-0")) == 0
    assert (await bank_import.get_queue_stats()).completed == 2


async def test_leaving_gives_running_jobs_back(bank_import: BankImport, bank: FakeBank) -> None:
    """A test that ends while a job runs leaves it waiting for the next worker, with no attempt counted."""
    begun, never = asyncio.Event(), asyncio.Event()

    class Slow(FakeBank):
        """Never answers."""

        async def accounts(self, connection: Any, psu: Any) -> Any:
            """See `BankProvider`."""
            begun.set()
            await never.wait()

    bank_import.banks["bank"] = Slow()  # type: ignore[index]  # the test's own dict
    job_id = await bank_import.schedule_immediate_sync("c")
    async with bank_import.working():
        await begun.wait()
    status = await bank_import.get_job_status(job_id)
    assert status is not None
    assert (status.state, status.attempts_made) == (JobState.WAITING, 0)
    bank_import.banks["bank"] = bank  # type: ignore[index]  # the test's own dict
    stats = await run_until_idle(bank_import)
    assert stats.completed == 1


async def test_work_that_does_not_end_is_told(bank_import: BankImport) -> None:
    """A queue that is not idle in time raises, and says what is left."""
    await bank_import.schedule_immediate_sync("c")
    with pytest.raises(TimeoutError, match="waiting=1"):
        await run_until_idle(bank_import, timeout=-1)


async def test_a_worker_in_a_hosts_process_leaves_its_collector_alone(settings: Settings) -> None:
    """How often the host's process is searched for cycles is the host's to say."""
    before = gc.get_threshold(), gc.get_freeze_count()
    async with BankImport(settings, banks={}, store=MemoryStore()) as bankimport, bankimport.working():
        assert (gc.get_threshold(), gc.get_freeze_count()) == before
