"""A host with our routes on a real socket, over a service of the test's own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aiohttp import ClientSession, web

from bankimport.errors import NotFound
from bankimport.models import (
    AuditFilter,
    AuditPage,
    AuthorisationBegun,
    AuthorisationEnd,
    AuthorisationOutcome,
    AuthorisationStatus,
    AuthorisationStep,
    Balance,
    BankActivity,
    BankStep,
    ConnectionDetails,
    ConnectionHealth,
    ConnectionPage,
    ConnectionSummary,
    FailureKind,
    Institution,
    JobPage,
    JobProgress,
    JobStatus,
    Period,
    PsuContext,
    QueueHealth,
    QueueStats,
    RequestOutcome,
    Stage,
)
from bankimport.queue.filters import JobFilter
from bankimport.service import Bounds
from bankimport.status import ConnectionStatus, JobState
from bankimport.testing import FakeBank
from bankimport.web import Action, web_app

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def job(job_id: str = "j1", org_id: str = "acme", **fields: Any) -> JobStatus:
    """Return a record."""
    values = {"id": job_id, "type": "sync-connection", "org_id": org_id, "state": JobState.WAITING, "queued_at": NOW}
    return JobStatus.model_validate({**values, "data": {"connectionId": "giro"}, **fields})


def running_job(**fields: Any) -> JobStatus:
    """Return the record of a job that runs."""
    progress = JobProgress(stage=Stage.SYNCING_ACCOUNTS, message="account 1 of 3", percent=20)
    return job(state=JobState.ACTIVE, progress=progress, processed_on=NOW, attempts_made=1, **fields)


def connection(org_id: str = "acme") -> ConnectionSummary:
    """Return how a connection stands."""
    return ConnectionSummary(
        id="giro", org_id=org_id, bank="bank", status=ConnectionStatus.ACTIVE, explanation="well", syncable=True
    )


class FakeConnecting:
    """Begins and ends whatever is asked for."""

    async def connect(self, **wish: Any) -> AuthorisationBegun:
        """Begin."""
        return AuthorisationBegun(id="giro", url="https://bank.example/authorise", expires_at=NOW)

    async def renew(self, connection_id: str, **wish: Any) -> AuthorisationBegun:
        """Begin."""
        return await self.connect()

    async def finish(self, bank: str, parameters: Any, **who: Any) -> AuthorisationEnd:
        """End."""
        return AuthorisationEnd(outcome=AuthorisationOutcome.CONNECTED)

    async def authorisation(self, connection_id: str, **who: Any) -> AuthorisationStatus:
        """Return one that goes on."""
        return AuthorisationStatus(id=connection_id, state=AuthorisationStep.WAITING, renewal=False, expires_at=NOW)

    async def give_up(self, connection_id: str, *, org_id: str | None = None) -> None:
        """Do nothing."""

    async def revoke(self, connection_id: str, *, org_id: str | None = None) -> None:
        """Do nothing."""

    async def institutions(self, bank: str, *, country: str | None = None) -> Sequence[Institution]:
        """Return one."""
        return [Institution("DE:One", "One", country or "DE", timedelta(days=90), ("Psu-Ip-Address",), ("app",))]

    async def decide_account(self, connection_id: str, account_id: str, **decision: Any) -> None:
        """Do nothing."""


class FakeAudit:
    """Nobody did anything."""

    async def note(self, action: str, **facts: Any) -> None:
        """Forget it."""

    async def list(self, wanted: AuditFilter | None = None, **page: Any) -> AuditPage:
        """Return nothing."""
        return AuditPage(entries=())


@dataclass
class FakeService:
    """Answers from `jobs`, notes each call, raises `error` if it is set."""

    jobs: dict[str, JobStatus] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    error: Exception | None = None
    next_cursor: str | None = None
    bounds: Bounds = field(default_factory=lambda: Bounds(opened=True))
    banks: dict[str, Any] = field(default_factory=lambda: {"bank": FakeBank()})
    #: how people connect their banks: tests/connecting has the real one
    connections: "FakeConnecting" = field(default_factory=lambda: FakeConnecting())
    #: what people did: tests/dashboard has the real one
    audit: "FakeAudit" = field(default_factory=lambda: FakeAudit())

    def _called(self, *call: Any) -> None:
        self.calls.append(call)
        if self.error is not None:
            raise self.error

    async def schedule_immediate_sync(self, connection_id: str, *, org_id: str | None = None, **options: Any) -> str:
        """Note the call."""
        self._called("sync", connection_id, org_id, options)
        return f"job-{len(self.calls)}"

    async def schedule_org_sync(
        self, org_id: str, *, connection_ids: Sequence[str] | None = None, triggered_by: str | None = None
    ) -> str:
        """Note the call."""
        self._called("org-sync", org_id, connection_ids, triggered_by)
        return f"job-{len(self.calls)}"

    async def list_connections(self, org_id: str, **filters: Any) -> ConnectionPage:
        """Return the organisation's connections."""
        self._called("connections", org_id, filters)
        return ConnectionPage(connections=(connection(org_id),))

    async def get_connection(self, connection_id: str, org_id: str | None = None) -> ConnectionDetails:
        """Return a connection of the organisation."""
        self._called("connection", connection_id, org_id)
        if connection_id != "giro":
            raise NotFound("connection")
        return ConnectionDetails(**dict(connection(org_id or "acme")))

    async def get_balances(self, connection_id: str, account_id: str, **asked: Any) -> Sequence[Balance]:
        """Return the balances of the one account."""
        self._called("balances", connection_id, account_id, asked)
        if (connection_id, account_id) != ("giro", "acc_1"):
            raise NotFound("account")
        at = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)
        return [Balance("closingBooked", Decimal("-1234.50"), "EUR", None, at)]

    async def get_job_status(self, job_id: str, org_id: str | None = None) -> JobStatus | None:
        """Return a job of the organisation."""
        self._called("get", job_id, org_id)
        found = self.jobs.get(job_id)
        return found if found is not None and org_id in (None, found.org_id) else None

    async def list_jobs(self, org_id: str | None, **filters: Any) -> JobPage:
        """Return the organisation's jobs, or all."""
        self._called("list", org_id, filters)
        found = tuple(j for j in self.jobs.values() if org_id in (None, j.org_id))
        return JobPage(jobs=found, next_cursor=self.next_cursor)

    async def retry_jobs(self, wanted: JobFilter) -> int:
        """Note the call."""
        self._called("retry-jobs", wanted)
        return 3

    async def discard_jobs(self, wanted: JobFilter) -> int:
        """Note the call."""
        self._called("discard-jobs", wanted)
        return 4

    async def count_jobs(self, wanted: JobFilter) -> int:
        """Note the call."""
        self._called("count-jobs", wanted)
        return 5

    async def cancel_job(self, job_id: str, org_id: str | None = None) -> None:
        """Note the call."""
        self._called("cancel", job_id, org_id)
        await self._own(job_id, org_id)

    async def retry_job(self, job_id: str, org_id: str | None = None) -> None:
        """Note the call."""
        self._called("retry", job_id, org_id)
        await self._own(job_id, org_id)

    async def _own(self, job_id: str, org_id: str | None) -> None:
        found = self.jobs.get(job_id)
        if found is None or found.org_id != org_id:
            raise NotFound("job")

    async def pause_queue(self, *, until: datetime | None = None, reason: str | None = None) -> None:
        """Note the call."""
        self._called("pause", until, reason)

    async def resume_queue(self) -> None:
        """Note the call."""
        self._called("resume")

    async def get_banks(self, period: Period) -> Sequence[BankActivity]:
        """Return a bank that fails."""
        self._called("banks", period)
        return [
            BankActivity(
                name="bank", configured=True, requests=5, errors={RequestOutcome.NO_ANSWER: 3}, typical=timedelta(seconds=0.42),
                slow=timedelta(seconds=2), deferred=1, steps=(BankStep(since=NOW, requests=5, errors=3),), failing_since=NOW,
                failures_in_a_row=3, last_error=RequestOutcome.NO_ANSWER, connections={ConnectionHealth.UP_TO_DATE: 7},
            )
        ]  # fmt: skip

    async def get_failures(self) -> Sequence[FailureKind]:
        """Return what jobs have failed of."""
        numbers = {"last_hour": 2, "hour_before": 0, "last_day": 3, "day_before": 1, "last_week": 4, "week_before": 0}
        return [FailureKind(code="transient", bank="bank", jobs=4, hours=(0,) * 22 + (1, 2), **numbers)]

    async def get_queue_stats(self) -> QueueStats:
        """Return some numbers."""
        self._called("stats")
        return QueueStats(waiting=3, waiting_children=1)

    async def count_consents_ending(self) -> dict[int, int]:
        """Return some numbers."""
        return {1: 2, 7: 5}

    async def get_queue_health(self) -> QueueHealth:
        """Return good health."""
        self._called("health")
        return QueueHealth(is_healthy=True, is_paused=False, stats=QueueStats(waiting=3), warnings=("careful",))

    @property
    def persons(self) -> list[PsuContext | None]:
        """Who asked for the syncs."""
        return [call[3]["psu"] for call in self.calls if call[0] == "sync"]


async def by_token(request: web.Request, action: Action, org_id: str | None) -> bool:
    """A host's rule: the header names an organisation, and `*` is the operator."""
    token = request.headers.get("Authorization") or request.query.get("token")
    if token is None:
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
    return token == "*" if action == "operate" else token == org_id


@dataclass
class Host:
    """A host that runs."""

    session: ClientSession
    origin: str
    runner: web.AppRunner
    org: str = "acme"

    @property
    def url(self) -> str:
        """Where the organisation's routes are."""
        return f"{self.origin}/api/organisations/{self.org}/bank-connections"

    @property
    def queue_url(self) -> str:
        """Where the whole queue's routes are."""
        return f"{self.origin}/api"

    async def call(self, method: str, path: str, *, token: str = "acme", **options: Any) -> tuple[int, Any, Any]:
        """Return status, JSON and headers of an answer; `*` asks at the whole queue's routes."""
        headers = {"Authorization": token, "Content-Type": "application/json", **options.pop("headers", {})}
        url = f"{self.queue_url if token == '*' else self.url}{path}"
        if path.startswith("@"):  # beside the connections
            url = f"{self.url.removesuffix('/bank-connections')}{path[1:]}"
        async with self.session.request(method, url, headers=headers, **options) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers

    async def problem(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Return status and code of a problem, which has all that RFC 9457 and the design want."""
        status, body, headers = await self.call(method, path, **options)
        assert headers["Content-Type"].startswith("application/problem+json"), body
        assert {"type", "title", "status", "detail", "code"} <= set(body), body
        assert body["status"] == status
        return status, body["code"]


@asynccontextmanager
async def serving(service: Any, **options: Any) -> AsyncIterator[Host]:
    """Serve the routes below /api of a host, on a free port."""
    app = web.Application()
    app.add_subapp("/api", web_app(service, **{"authorize": by_token, "host_parameters": ["token"], **options}))
    runner = web.AppRunner(app, shutdown_timeout=3)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with ClientSession() as session:
        yield Host(session, f"http://127.0.0.1:{port}", runner)
    await runner.cleanup()
