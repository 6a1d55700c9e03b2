"""The table of the routes (design §4): the application and its description are made from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bankimport.models import QueueHealth, QueueStats, SyncOptions
from bankimport.models.model import Model, StrictModel
from bankimport.web import handlers
from bankimport.web.bodies import EmptyBody, OrgSyncBody, PauseBody
from bankimport.web.call import Handle
from bankimport.web.live import follow_events
from bankimport.web.service import Action
from bankimport.web.views import AcceptedView, JobListView, JobView

PREFIX = "/organisations/{orgId}/bank-connections"


@dataclass(frozen=True, slots=True)
class Route:
    """One route below `PREFIX`: what it needs to be allowed, who handles it, what goes in and out, what is refused."""

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


_FILTERS = {
    "state": "only jobs in this state",
    "connectionId": "only jobs of this connection",
    "type": "only jobs of this type",
    "cursor": "`nextCursor` of the page before",
    "limit": "1 to 200; 50 if absent",
}
_FOLLOW = {
    "jobId": "only events of this job",
    "after": "the id of the last event seen, `<ms>-<number>`; `0`: all that are held; `Last-Event-ID` goes before it",
}

ROUTES = (
    Route("POST", "/{id}/sync", "sync", handlers.sync_connection, "sync", 202, AcceptedView, SyncOptions,
          refused=(404, 409, 429)),
    Route("POST", "/sync", "sync", handlers.sync_organisation, "org-sync", 202, AcceptedView, OrgSyncBody,
          refused=(404, 429)),
    Route("GET", "/jobs/{jobId}", "read", handlers.get_job, "job", 200, JobView, refused=(404,)),
    Route("GET", "/jobs", "read", handlers.list_jobs, "jobs", 200, JobListView, query=_FILTERS, refused=(422,)),
    Route("POST", "/jobs/{jobId}/retry", "sync", handlers.retry_job, "retry", 202, AcceptedView, EmptyBody,
          refused=(404, 409)),
    Route("POST", "/jobs/{jobId}/cancel", "sync", handlers.cancel_job, "cancel", 202, AcceptedView, EmptyBody,
          refused=(404, 409)),
    Route("GET", "/queue/health", "read", handlers.queue_health, "health", 200, QueueHealth),
    Route("GET", "/queue/stats", "read", handlers.queue_stats, "stats", 200, QueueStats),
    Route("POST", "/queue/pause", "operate", handlers.pause_queue, "pause", 200, QueueHealth, PauseBody),
    Route("POST", "/queue/resume", "operate", handlers.resume_queue, "resume", 200, QueueHealth, EmptyBody),
    Route("GET", "/events", "read", follow_events, "events", 200, None, query=_FOLLOW, refused=(404, 422, 429)),
)  # fmt: skip
