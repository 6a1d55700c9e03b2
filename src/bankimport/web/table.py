"""The table of the routes: the application, its description and the documentation are made from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bankimport.models import (
    AuditPage,
    AuthorisationBegun,
    AuthorisationStatus,
    ConnectionDetails,
    ConnectionPage,
    QueueHealth,
    QueueStats,
)
from bankimport.models.model import Model, StrictModel
from bankimport.web import activity, balances, banks, consent, handlers
from bankimport.web.bodies import EmptyBody, JobsBody, OrgSyncBody, PauseBody, SyncBody
from bankimport.web.call import Handle
from bankimport.web.given import Action
from bankimport.web.live import follow_events
from bankimport.web.metrics import show_metrics
from bankimport.web.views import AcceptedView, BulkView, JobListView, JobView, OrganisationHealthView

PREFIX = "/organisations/{orgId}/bank-connections"
BANKS = "/organisations/{orgId}/banks"


@dataclass(frozen=True, slots=True)
class Route:
    """One route: what it needs to be allowed, who handles it, what goes in and out, what is refused.

    `streams` sends events for as long as it is followed; `waits` may take longer than other answers; what a `personal`
    one answers is for one person alone, so it is kept for no `Idempotency-Key`.
    """

    method: str
    path: str
    action: Action
    handle: Handle
    name: str
    status: int
    answer: type[Model] | None
    body: type[StrictModel] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[int, ...] = ()
    waits: bool = False
    personal: bool = False

    @property
    def of_organisation(self) -> bool:
        """Whether it is an organisation's; else the whole queue's, and `authorize` is asked without one."""
        return "{orgId}" in self.path

    @property
    def changes(self) -> bool:
        """Whether it changes something."""
        return self.method not in ("GET", "HEAD")

    @property
    def streams(self) -> bool:
        """Whether it sends events."""
        return self.handle is follow_events


_PAGES = {"cursor": "`nextCursor` of the page before", "limit": "1 to 200; 50 if absent"}
_FILTERS = {
    "state": "only jobs in this state",
    "connectionId": "only jobs of this connection",
    "type": "only jobs of this type",
    "errorCode": "only jobs that ended with this code",
    "bank": "only jobs that failed as this bank was being asked; with `state=failed`",
    **_PAGES,
}
_WAIT = {"wait": "seconds to wait for a change, 0 to 30: since `If-None-Match`, or since now"}
_FOLLOW = {
    "jobId": "only events of this job",
    "after": "the id of the last event seen, `<ms>-<number>`; `0`: all that are held; `Last-Event-ID` goes before it",
}

_DAYS = {
    "since": "the first day, `2026-03-31`; 90 days before the last one if absent",
    "until": "the last day, 366 days after the first at most; today (UTC) if absent",
}

_AUDIT = {
    "who": "only what this person did",
    "action": "only this action, or all whose names begin so: `jobs`",
    "orgId": "only what was done to this organisation's",
    "subject": "only what was done to this: `job:<id>`, `connection:<id>`",
    **_PAGES,
}

ROUTES = (
    Route("POST", PREFIX + "/{id}/sync", "sync", handlers.sync_connection, "sync", 202, AcceptedView, SyncBody,
          refused=(404, 409)),
    Route("POST", PREFIX + "/sync", "sync", handlers.sync_organisation, "org-sync", 202, AcceptedView, OrgSyncBody,
          refused=(404,)),
    Route("GET", PREFIX + "/jobs/{jobId}", "read", handlers.get_job, "job", 200, JobView, query=_WAIT,
          refused=(304, 404, 429), waits=True),
    Route("GET", PREFIX + "/jobs", "read", handlers.list_jobs, "jobs", 200, JobListView, query=_FILTERS),
    Route("POST", PREFIX + "/jobs/{jobId}/retry", "sync", handlers.retry_job, "retry", 202, AcceptedView, EmptyBody,
          refused=(404, 409)),
    Route("POST", PREFIX + "/jobs/{jobId}/cancel", "sync", handlers.cancel_job, "cancel", 202, AcceptedView, EmptyBody,
          refused=(404, 409)),
    Route("GET", PREFIX + "/queue/health", "read", handlers.organisation_health, "org-health", 200,
          OrganisationHealthView),
    Route("GET", PREFIX + "/queue/stats", "read", handlers.queue_stats, "org-stats", 200, QueueStats),
    Route("GET", PREFIX + "/events", "read", follow_events, "org-events", 200, None, query=_FOLLOW, refused=(404, 429),
          waits=True),
    Route("GET", PREFIX, "read", handlers.list_connections, "connections", 200, ConnectionPage, query=_PAGES),
    Route("GET", PREFIX + "/{id}", "read", handlers.get_connection, "connection", 200, ConnectionDetails,
          refused=(404,)),
    Route("POST", PREFIX, "sync", consent.connect, "connect", 201, AuthorisationBegun, consent.ConnectBody,
          refused=(501, 502), waits=True, personal=True),
    Route("POST", PREFIX + "/{id}/renew", "sync", consent.renew, "renew", 201, AuthorisationBegun, consent.RenewBody,
          refused=(404, 501, 502), waits=True, personal=True),
    Route("GET", PREFIX + "/{id}/authorisation", "read", consent.show_authorisation, "authorisation", 200,
          AuthorisationStatus, refused=(404, 501)),
    Route("DELETE", PREFIX + "/{id}/authorisation", "sync", consent.give_up, "give-up", 200, AuthorisationStatus,
          EmptyBody, refused=(404, 501), waits=True),
    Route("DELETE", PREFIX + "/{id}", "sync", consent.revoke, "revoke", 200, ConnectionDetails, EmptyBody,
          refused=(404, 501, 502), waits=True),
    Route("POST", PREFIX + "/{id}/accounts/{accountId}/decision", "sync", banks.decide_account, "decide-account", 200,
          ConnectionDetails, banks.DecisionBody, refused=(404, 409, 501)),
    Route("GET", PREFIX + "/{id}/accounts/{accountId}/balances", "read", balances.list_balances, "balances", 200,
          balances.BalanceListView, query=_DAYS, refused=(404, 501)),
    Route("GET", BANKS, "read", banks.list_banks, "banks", 200, banks.BankListView),
    Route("GET", BANKS + "/{bank}/institutions", "read", banks.list_institutions, "institutions", 200,
          banks.InstitutionListView, query={"country": "only banks of this country, such as `DE`"},
          refused=(404, 501, 502), waits=True),
    Route("GET", "/queue/health", "operate", handlers.queue_health, "health", 200, QueueHealth),
    Route("GET", "/queue/stats", "operate", handlers.queue_stats, "stats", 200, QueueStats),
    Route("POST", "/queue/pause", "operate", handlers.pause_queue, "pause", 200, QueueHealth, PauseBody),
    Route("POST", "/queue/resume", "operate", handlers.resume_queue, "resume", 200, QueueHealth, EmptyBody),
    Route("GET", "/jobs", "operate", handlers.list_jobs, "all-jobs", 200, JobListView,
          query={"orgId": "only jobs of this organisation", **_FILTERS}),
    Route("POST", "/jobs/retry", "operate", handlers.retry_jobs, "retry-jobs", 200, BulkView, JobsBody, waits=True),
    Route("POST", "/jobs/discard", "operate", handlers.discard_jobs, "discard-jobs", 200, BulkView, JobsBody,
          waits=True),
    Route("GET", "/jobs/{jobId}", "operate", handlers.get_job, "any-job", 200, JobView, query=_WAIT,
          refused=(304, 404, 429), waits=True),
    Route("GET", "/events", "operate", follow_events, "events", 200, None, query=_FOLLOW, refused=(404, 429),
          waits=True),
    Route("GET", "/banks", "operate", activity.list_banks, "all-banks", 200, activity.BankActivityListView,
          query={"period": "`hour`, by the minute; `day`, by the hour, if absent; `week`, by the quarter of a day"}),
    Route("GET", "/failures", "operate", activity.list_failures, "failures", 200, activity.FailureListView),
    Route("GET", "/audit", "operate", handlers.list_audit, "audit", 200, AuditPage, refused=(501,), query=_AUDIT),
    Route("GET", "/metrics", "operate", show_metrics, "metrics", 200, None, refused=(501,)),
)  # fmt: skip
