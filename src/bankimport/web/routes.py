"""The table of the routes, and the sub-application made from it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from bankimport.models import SyncOptions
from bankimport.models.model import StrictModel
from bankimport.stream import EventStream
from bankimport.web import handlers
from bankimport.web.bodies import EmptyBody, OrgSyncBody, PauseBody, path_id, read_json
from bankimport.web.call import STATE, Call, Handle, LiveLimits, WebState, ensure_allowed
from bankimport.web.idempotency import once
from bankimport.web.live import end_followers, follow_events
from bankimport.web.openapi import show_openapi
from bankimport.web.person import networks
from bankimport.web.problems import problems
from bankimport.web.service import Action, Answers, Authorize, Service

PREFIX = "/organisations/{orgId}/bank-connections"


@dataclass(frozen=True, slots=True)
class Route:
    """One route below `PREFIX`: what it needs to be allowed, who handles it, what its body is."""

    method: str
    path: str
    action: Action
    handle: Handle
    name: str
    body: type[StrictModel] | None = None


ROUTES = (
    Route("POST", "/{id}/sync", "sync", handlers.sync_connection, "sync", SyncOptions),
    Route("POST", "/sync", "sync", handlers.sync_organisation, "org-sync", OrgSyncBody),
    Route("GET", "/jobs/{jobId}", "read", handlers.get_job, "job"),
    Route("GET", "/jobs", "read", handlers.list_jobs, "jobs"),
    Route("POST", "/jobs/{jobId}/retry", "sync", handlers.retry_job, "retry", EmptyBody),
    Route("POST", "/jobs/{jobId}/cancel", "sync", handlers.cancel_job, "cancel", EmptyBody),
    Route("GET", "/queue/health", "read", handlers.queue_health, "health"),
    Route("GET", "/queue/stats", "read", handlers.queue_stats, "stats"),
    Route("POST", "/queue/pause", "operate", handlers.pause_queue, "pause", PauseBody),
    Route("POST", "/queue/resume", "operate", handlers.resume_queue, "resume", EmptyBody),
    Route("GET", "/events", "read", follow_events, "events"),
)


def _handler(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the aiohttp handler of a route: first who may, then whether it was answered before, then the work."""

    async def handler(request: web.Request) -> web.StreamResponse:
        state = request.app[STATE]
        org_id = path_id(request, "orgId", "organisation")
        await ensure_allowed(request, state.authorize, route.action, org_id)
        if route.body is None:
            return await route.handle(Call(request, state, org_id))
        call = Call(request, state, org_id, await read_json(request))
        if state.answers is None:
            return await route.handle(call)
        return await once(state.answers, request, org_id, call.body, lambda: route.handle(call))

    return handler


def web_app(
    service: Service,
    *,
    authorize: Authorize,
    events: EventStream | None = None,
    answers: Answers | None = None,
    trusted_proxies: Sequence[str] = (),
    allowed_origins: Sequence[str] = (),
    followers_per_organisation: int = 1000,
    reauthorise_every: timedelta = timedelta(seconds=60),
) -> web.Application:
    """Return the sub-application with the routes of design §4, for a host's `add_subapp`.

    Args:
        service: what does the work (`BankImport`).
        authorize: says who may do what; a host's own, there is no default.
        events: serves `…/events`; without it that route answers 503. Its followers end when the host shuts down.
        answers: remembers answers for `Idempotency-Key`; without it the header is ignored.
        trusted_proxies: addresses or networks whose `X-Forwarded-For` is believed.
        allowed_origins: pages of these origins may open the WebSocket too (`https://app.example`).
        followers_per_organisation: more live followers than this are refused with 429.
        reauthorise_every: how often `authorize` is asked again for a live follower; at most 60 s.

    Raises:
        ValueError: an option is wrong.
    """
    if not timedelta(0) < reauthorise_every <= timedelta(seconds=60):
        raise ValueError("reauthorise_every must be more than 0 and at most 60 s")
    live = LiveLimits(
        per_organisation=followers_per_organisation,
        reauthorise=reauthorise_every,
        allowed_origins=frozenset(origin.rstrip("/").lower() for origin in allowed_origins),
    )
    app = web.Application(middlewares=[problems])
    app[STATE] = WebState(service, authorize, events, answers, networks(trusted_proxies), live)
    for route in ROUTES:
        app.router.add_route(route.method, PREFIX + route.path, _handler(route), name=route.name)
    app.router.add_get("/openapi.json", show_openapi, name="openapi")
    app.on_shutdown.append(end_followers)
    return app
