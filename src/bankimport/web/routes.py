"""The sub-application, made from the table of the routes."""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import cache

from aiohttp import web

from bankimport.stream import EventStream
from bankimport.web.bodies import path_id, read_json
from bankimport.web.call import STATE, Call, LiveLimits, WebState, ensure_allowed
from bankimport.web.idempotency import once
from bankimport.web.live import end_followers
from bankimport.web.metrics import show_metrics
from bankimport.web.openapi import describe
from bankimport.web.person import networks
from bankimport.web.problems import problems
from bankimport.web.service import Answers, Authorize, Service
from bankimport.web.table import PREFIX, ROUTES, Route


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


@cache
def _description() -> str:
    return json.dumps(describe(PREFIX, ROUTES))


async def show_openapi(request: web.Request) -> web.Response:
    """Answer with the description of the routes; it holds nothing secret, so everybody may read it."""
    return web.Response(text=_description(), content_type="application/json")


def web_app(
    service: Service,
    *,
    authorize: Authorize,
    events: EventStream | None = None,
    answers: Answers | None = None,
    trusted_proxies: Sequence[str] = (),
    allowed_origins: Sequence[str] = (),
    followers_per_organisation: int = 1000,
    reauthorise_every: timedelta = timedelta(seconds=50),
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
        reauthorise_every: how often `authorize` is asked again for a live follower; at most 50 s, so that with a slow
            write it is never more than 60.

    Raises:
        ValueError: an option is wrong.
    """
    if not timedelta(0) < reauthorise_every <= timedelta(seconds=50):
        raise ValueError("reauthorise_every must be more than 0 and at most 50 s")
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
    app.router.add_get("/metrics", show_metrics, name="metrics")
    app.on_shutdown.append(end_followers)
    return app
