"""The sub-application, made from the table of the routes."""

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import cache
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from bankimport.models import CONNECTION_WORDS
from bankimport.service import Service
from bankimport.stream import EventStream
from bankimport.web.authorising import check_authorize, ensure_allowed
from bankimport.web.bodies import read_json
from bankimport.web.call import STATE, Call, LiveLimits, WebState
from bankimport.web.consent import take_callback
from bankimport.web.dashboard import add_dashboard
from bankimport.web.given import Answers, Authorize, Person
from bankimport.web.headers import add_headers, answer_preflight, carry, request_ids
from bankimport.web.idempotency import once
from bankimport.web.limits import RequestLimit
from bankimport.web.live import end_followers
from bankimport.web.openapi import describe
from bankimport.web.origins import ensure_own_page, origin_of, origins
from bankimport.web.parameters import check_names, path_id
from bankimport.web.person import networks
from bankimport.web.problem_page import show_problem
from bankimport.web.problems import PROBLEM_PAGE, PUBLIC_URL, problems, public
from bankimport.web.table import ROUTES, Route
from bankimport.web.users import User, acting


def _handler(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the aiohttp handler of a route: first who may, then how often, then what, then the work."""

    async def handler(request: web.Request) -> web.StreamResponse:
        state = request.app[STATE]
        org_id = path_id(request, "orgId", "organisation") if route.of_organisation else ""
        if route.changes:
            ensure_own_page(request, state.allowed_origins)
        await ensure_allowed(request, state.authorize, route.action, org_id or None)
        check_names(request, {*route.query, *state.host_parameters})
        if route.changes and route.of_organisation:
            carry(request, state.requests.take(org_id))
        call = Call(request, state, org_id, await read_json(request) if route.changes else b"{}")
        async with AsyncExitStack() as around:
            if not route.waits:
                await around.enter_async_context(state.turns.turn(org_id))
            if route.changes:
                await around.enter_async_context(acting(request, state.user, "http"))
            return await (
                _answered(route, call) if route.waits else state.service.bounds.within(_answered(route, call))
            )

    return handler


@web.middleware
async def in_turn(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request begin in its organisation's turn, before anything is done for it."""
    org_id = request.match_info.get("orgId")
    if org_id is not None:
        await request.app[STATE].pace.turn(org_id)
    return await handler(request)


async def _answered(route: Route, call: Call) -> web.StreamResponse:
    if call.state.answers is None or not route.changes or route.personal:
        return await route.handle(call)
    return await once(call, call.state.answers, route.handle)


@cache
def _description(server: str) -> str:
    return json.dumps(describe(ROUTES, server))


async def show_openapi(request: web.Request) -> web.Response:
    """Answer with the description of the routes; it holds nothing secret, so everybody may read it."""
    server = public(request, str(request.app.router["openapi"].url_for())).removesuffix("/openapi.json")
    return web.Response(text=_description(server), content_type="application/json")


def _public_url(url: str | None) -> str:
    if url is None:
        return ""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("public_url must be an address such as https://www.example/banking, without a query")
    return url.rstrip("/")


def web_app(
    service: Service,
    *,
    authorize: Authorize,
    events: EventStream | None = None,
    answers: Answers | None = None,
    person: Person | None = None,
    trusted_proxies: Sequence[str] = (),
    allowed_origins: Sequence[str] = (),
    host_parameters: Sequence[str] = (),
    public_url: str | None = None,
    user: User | None = None,
    requests_per_minute: int = 120,
    followers_per_organisation: int = 1000,
    reauthorise_every: timedelta = timedelta(seconds=50),
) -> web.Application:
    """Return the sub-application with the routes of docs/reference/http.md, for a host's `add_subapp`.

    Args:
        service: what does the work (`BankImport`).
        authorize: says who may do what; a host's own, there is no default.
        events: serves `…/events`; without it that route answers 503. Its followers end when the host shuts down.
        answers: remembers answers for `Idempotency-Key`; without it the header is ignored.
        person: says who asks for a sync just now; without it the request's own address and browser do.
        trusted_proxies: addresses or networks whose `X-Forwarded-For` is believed.
        allowed_origins: pages of these origins may use the routes too (`https://app.example`): CORS and WebSockets.
        host_parameters: parameters of the query that are the host's own, such as the token of a WebSocket.
        public_url: what clients see before the host's own paths, where a proxy adds a prefix.
        user: says who is signed in, so that only who began an authorisation can end it; without it, the same browser.
        requests_per_minute: so many requests that change something may an organisation send to this process.
        followers_per_organisation: more live followers than this are refused with 429.
        reauthorise_every: how often `authorize` is asked again for a live follower; at most 50 s, so that with a slow
            write it is never more than 60.

    Raises:
        TypeError: `authorize` is None, or no async function.
        ValueError: another option is wrong.
    """
    check_authorize(authorize)
    if not timedelta(0) < reauthorise_every <= timedelta(seconds=50):
        raise ValueError("reauthorise_every must be more than 0 and at most 50 s")
    seen_at = _public_url(public_url)
    app = web.Application(middlewares=[in_turn, request_ids, problems])
    app[PUBLIC_URL] = seen_at
    app[STATE] = WebState(
        service,
        authorize,
        events,
        answers,
        person,
        networks(trusted_proxies),
        origins(allowed_origins) | ({origin_of(seen_at)} if seen_at else set()),
        frozenset(host_parameters),
        user,
        live=LiveLimits(followers_per_organisation, reauthorise_every),
        requests=RequestLimit(requests_per_minute),
    )
    _add_routes(app)
    add_dashboard(app)
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(end_followers)
    return app


#: A connection's id at the end of a path is none of our own words: `HEAD …/events` asks for no connection.
_NO_WORD_OF_OURS = rf"/{{id:(?!(?:{'|'.join(sorted(CONNECTION_WORDS))})$)[^/]+}}"


def _add_routes(app: web.Application) -> None:
    """Add a resource for each path: its methods, HEAD where there is a GET, and the OPTIONS of browsers."""
    by_path: dict[str, list[Route]] = {}
    for route in ROUTES:
        by_path.setdefault(route.path, []).append(route)
    for path, routes in by_path.items():
        resource = app.router.add_resource(re.sub(r"/{id}$", _NO_WORD_OF_OURS, path), name=routes[0].name)
        for route in routes:
            resource.add_route(route.method, _handler(route))
            if route.method == "GET" and not route.streams:
                resource.add_route("HEAD", _handler(route))
        resource.add_route("OPTIONS", answer_preflight)
    for path, handler, name in _FREE:
        resource = app.router.add_resource(path, name=name)
        for method in ("GET", "HEAD"):
            resource.add_route(method, handler)
        resource.add_route("OPTIONS", answer_preflight)


#: What everybody may read.
_FREE = (
    ("/openapi.json", show_openapi, "openapi"),
    ("/problems/{code}", show_problem, PROBLEM_PAGE),
    ("/callback/{bank}", take_callback, "callback"),
)
