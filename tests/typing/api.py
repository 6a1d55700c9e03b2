"""What a host writes has to pass `mypy --strict` without any plugin. Read by a test, never run."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, assert_type

from aiohttp import web
from pydantic import SecretStr

import bankimport
from bankimport import (
    AccessLedger,
    Audit,
    BankAccount,
    BankConnection,
    BankImport,
    BankImportError,
    BankProvider,
    BankStore,
    Conflict,
    ConnectionFilter,
    ConnectionHealth,
    ConnectionPage,
    Connections,
    ConnectionSearch,
    ConnectionStatus,
    ConnectionStore,
    ConsentExpired,
    ConsentsExpiring,
    Event,
    InvalidRequest,
    JobFilter,
    JobPage,
    JobProgress,
    JobState,
    JobStatus,
    JobType,
    NotFound,
    PsuContext,
    QueueHealth,
    QueueStats,
    RateLimited,
    ReauthRequired,
    ScheduleStatus,
    Settings,
    Stage,
    StreamGap,
    SyncCompleted,
    SyncOptions,
    TooManyPending,
    Unavailable,
    WorkerSettings,
    allow_all,
)
from bankimport.providers import (
    BerlinGroup,
    BerlinGroupOptions,
    EnableBanking,
    EnableBankingOptions,
    GoCardless,
    GoCardlessOptions,
    Inverted,
    Limits,
    providers_from_settings,
)
from bankimport.stores import SqlStore, upgrade, upgrade_async
from bankimport.testing import EventRecorder, FakeBank, ManualClock, MemoryLedger, MemoryStore, run_until_idle

settings = Settings()
settings = Settings(redis_host="localhost", redis_port=6379, redis_url=SecretStr("redis://localhost"))
settings = Settings(lease=timedelta(seconds=15), log_level="DEBUG", banks={"b": {"type": "berlin-group"}})
settings = Settings.load(redis_url="redis://localhost", database_url="sqlite+aiosqlite:///bank.db")
assert_type(settings.redis_port, int)
assert_type(settings.lease, timedelta)
assert_type(settings.enabled, bool)

store: BankStore = SqlStore("sqlite+aiosqlite:///bank.db", credentials_key=None, environment="development")
offered: ConnectionStore = SqlStore("sqlite+aiosqlite:///bank.db")
in_memory: BankStore = MemoryStore(BankConnection("giro", "acme", "bank"))
also: ConnectionStore = MemoryStore()
searched: ConnectionSearch = SqlStore("sqlite+aiosqlite:///bank.db")
bank: BankProvider = FakeBank()
ledger: AccessLedger = MemoryLedger()
bank_import = BankImport(settings, banks={"bank": bank}, store=store)
bank_import = BankImport(banks={"bank": bank}, store=in_memory, clock=ManualClock(datetime(2026, 1, 1, tzinfo=UTC)))
bank_import = BankImport.from_env()


class Worker(WorkerSettings):
    """A host's own worker."""

    max_jobs = 20


async def authorize(request: web.Request, action: bankimport.Action, org_id: str | None) -> bool:
    """Say who may do what."""
    return action != "operate" or org_id is None


async def person(request: web.Request) -> PsuContext | None:
    """Say who is there."""
    return PsuContext(ip="8.8.8.8", user_agent="app", at=datetime.now(UTC))


def routes() -> web.Application:
    """Return the routes."""
    assert_type(bank_import.web_app(authorize=allow_all), web.Application)
    return bank_import.web_app(
        authorize=authorize,
        person=person,
        trusted_proxies=["10.0.0.0/8"],
        allowed_origins=["https://app.example"],
        host_parameters=["token"],
        public_url="https://www.example/banking",
        followers_per_organisation=10,
    )


async def plain_handler(event: Event) -> None:
    """Hear of an event."""


async def main() -> None:
    """Call everything that is documented."""
    async with BankImport.from_env() as serving:
        assert_type(serving, BankImport)
        job_id = await serving.schedule_immediate_sync(
            "giro",
            org_id="acme",
            force_full_sync=True,
            account_ids=["a"],
            start_date=date(2026, 1, 1),
            end_date=None,
            triggered_by="maria@example.com",
            psu=PsuContext(ip="8.8.8.8"),
        )
        assert_type(job_id, str)
        assert_type(await serving.schedule_org_sync("acme", connection_ids=["giro"], triggered_by="cron"), str)
        assert_type(await serving.get_job_status(job_id, org_id="acme"), JobStatus | None)
        page = await serving.list_jobs("acme", state=JobState.FAILED, type=JobType.SYNC_CONNECTION, limit=10)
        assert_type(page, JobPage)
        assert_type(page.jobs[0].progress, JobProgress | None)
        assert_type(page.jobs[0].state, JobState)
        await serving.cancel_job(job_id, org_id="acme")
        await serving.retry_job(job_id)
        await serving.retry_failed("acme", type=JobType.SYNC_CONNECTION, error_code="transient")
        wanted = JobFilter(org_id="acme", state=JobState.FAILED)
        assert_type(await serving.count_jobs(wanted), int)
        assert_type(await serving.retry_jobs(wanted), int)
        assert_type(await serving.find_connections(ConnectionFilter()), ConnectionPage)
        assert_type(await serving.count_connections(ConnectionFilter()), Mapping[ConnectionHealth, int])
        assert_type(await serving.get_schedules(), Sequence[ScheduleStatus])
        assert_type(serving.connections, Connections)
        assert_type(serving.audit, Audit)
        await serving.pause_queue(until=datetime.now(UTC), reason="holiday")
        await serving.resume_queue()
        assert_type(await serving.get_queue_stats(), QueueStats)
        assert_type(await serving.get_queue_health(), QueueHealth)
        await connections(serving)
        await events(serving, job_id)


async def connections(serving: BankImport) -> None:
    """Manage connections."""
    made = await serving.connections.add(org_id="acme", bank="bank", consent_id="c", valid_until=date(2026, 3, 31))
    assert_type(made, str)
    found = await serving.connections.get(made, org_id="acme")
    assert_type(found, BankConnection | None)
    if found is not None:
        assert_type(found.status, ConnectionStatus)
    assert_type(await serving.connections.list("acme"), Sequence[BankConnection])
    assert_type(await serving.connections.accounts(made), Sequence[BankAccount])
    await serving.connections.set_consent(made, consent_id="d", valid_until=None, credentials={"token": "t"})
    await serving.connections.update_credentials(made, {"token": "u"})
    await serving.connections.disconnect(made)
    await serving.connections.delete(made, org_id="acme")


async def events(serving: BankImport, job_id: str) -> None:
    """Hear of events."""
    assert_type(serving.follow(job_id), AsyncIterator[Event])
    async for event in serving.events(org_id="acme", after="0"):
        told = event.typed
        if isinstance(told, SyncCompleted):
            assert_type(told.transactions_synced, int)
        elif isinstance(told, ConsentsExpiring):
            assert_type(told.connections, tuple[str, ...])
        elif isinstance(told, StreamGap):
            break
        assert_type(event.data, dict[str, Any])
    async for _ in serving.consume("group", "one", ["bank.sync.*"], start="0"):
        break
    serving.on("bank.sync.completed", plain_handler)
    serving.on("bank.sync.*", lambda event: print(event.name))
    async with serving.working():
        pass
    await run_until_idle(serving, timeout=5)
    await upgrade_async("sqlite+aiosqlite:///bank.db")
    assert_type(upgrade("sqlite+aiosqlite:///bank.db"), str)


def errors(error: BankImportError) -> str:
    """Tell errors apart."""
    if isinstance(error, InvalidRequest):
        return error.pointer
    if isinstance(error, TooManyPending | Unavailable):
        assert_type(error.retry_after, timedelta)
    if isinstance(error, RateLimited):
        assert_type(error.retry_at, datetime | None)
    if isinstance(error, ReauthRequired | ConsentExpired):
        return error.reason
    if isinstance(error, Conflict | NotFound):
        return str(error)
    return error.code


options = SyncOptions(force_full_sync=True)
stage: Stage = Stage.STARTING
credentials: Mapping[str, Any] = {}
recorder: type[EventRecorder] = EventRecorder


def providers() -> None:
    """Every provider by its options, typed, or by name."""
    BerlinGroup("https://bank.example", ignore_ids=True)
    BerlinGroup(BerlinGroupOptions(base_url="https://bank.example", invert_amounts=Inverted(accounts=("CARD",))))
    EnableBanking(EnableBankingOptions(application_id="app", private_key_file="key.pem", unattended_limit=None))
    gocardless = GoCardless(GoCardlessOptions(secret_id="id", secret_key=SecretStr("key"), limits=Limits(pages=10)))
    assert_type(gocardless.name, str)
    assert_type(providers_from_settings({}), dict[str, BankProvider])
    providers: Sequence[BankProvider] = [gocardless]
    assert providers
