"""The pages' routes: who may, then what, then the answer, or what is wrong, as a page."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import structlog
from aiohttp import web
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bankimport.errors import BankImportError, NotFound, Unavailable
from bankimport.logs import frames_of
from bankimport.web.authorising import ensure_allowed
from bankimport.web.dashboard import (
    audit,
    banks,
    bulk,
    connections,
    failures,
    job,
    jobs,
    now,
    organisation,
    webhooks,
    workers,
)
from bankimport.web.dashboard.visit import LANGUAGE, THEME, THEMES, Visit, mark, static
from bankimport.web.dashboard.words import LANGUAGES
from bankimport.web.given import Action
from bankimport.web.headers import carry
from bankimport.web.origins import ensure_own_page
from bankimport.web.problem_types import title_of
from bankimport.web.problems import Problem, ProblemRaised, problem_of
from bankimport.web.table import PREFIX
from bankimport.web.users import acting

_log = structlog.get_logger(__name__)

_FILES: Final = {"style.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}

Show = Callable[[Visit], Coroutine[Any, Any, web.Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page, or the address of a form. `name` is for `Visit.url`; what is done to many jobs, or
    asks a bank, takes its time."""

    method: str
    path: str
    name: str
    show: Show
    unhurried: bool = False
    #: an organisation's own pages are asked for with it; the others are the whole queue's
    action: Action = "operate"


#: Where an organisation's own people see their connections.
_PERSONS: Final = PREFIX + "/page"

PAGES: Final = (
    Page("GET", "/dashboard", "now", now.show_now),
    Page("POST", "/dashboard/pause", "pause", now.pause),
    Page("POST", "/dashboard/resume", "resume", now.resume),
    Page("GET", "/dashboard/jobs", "jobs", jobs.show_jobs),
    Page("GET", "/dashboard/jobs/{id}", "job", job.show_job),
    Page("POST", "/dashboard/jobs/{id}/{action:retry|cancel|discard}", "job-action", job.act),
    Page("GET", "/dashboard/bulk", "confirm", bulk.confirm, unhurried=True),
    Page("POST", "/dashboard/bulk/{action:retry|cancel|discard}", "bulk", bulk.act, unhurried=True),
    Page("GET", "/dashboard/find", "find", jobs.find),
    Page("GET", "/dashboard/failures", "failures", failures.show_failures),
    Page("GET", "/dashboard/connections", "connections", connections.show_connections),
    Page("GET", "/dashboard/connections/{id}", "connection", connections.show_connection),
    Page("POST", "/dashboard/connections/{id}/sync", "sync", connections.sync),
    Page("GET", "/dashboard/banks", "banks", banks.show_banks),
    Page("GET", "/dashboard/audit", "audit", audit.show_audit),
    Page("GET", "/dashboard/webhooks", "webhooks", webhooks.show_webhooks),
    Page("POST", "/dashboard/webhooks/{id}/{action:enable|disable}", "webhook-action", webhooks.act),
    Page("POST", "/dashboard/webhooks/replay", "webhook-replay", webhooks.replay, unhurried=True),
    Page("GET", "/dashboard/workers", "workers", workers.show_workers),
    Page("GET", _PERSONS, "organisation", organisation.show_organisation, unhurried=True, action="read"),
    Page("POST", _PERSONS + "/connect", "org-connect", organisation.connect, unhurried=True, action="sync"),
    Page("POST", _PERSONS + "/{id}/renew", "org-renew", organisation.renew, unhurried=True, action="sync"),
    Page("POST", _PERSONS + "/{id}/refresh", "org-refresh", organisation.refresh, action="sync"),
    Page("POST", _PERSONS + "/{id}/decide", "org-decide", organisation.decide, action="sync"),
    Page("POST", _PERSONS + "/{id}/withdraw", "org-withdraw", organisation.withdraw, unhurried=True, action="sync"),
)


def add_pages(app: web.Application) -> None:
    """Add every page and the files they use."""
    app.router.add_get("/dashboard/files/{name}", _show_file, name="dashboard-file")
    for page in PAGES:
        resource = app.router.add_resource(page.path, name=f"dashboard-{page.name}")
        resource.add_route(page.method, _handler(page))
        if page.method == "GET":
            resource.add_route("HEAD", _handler(page))


async def _show_file(request: web.Request) -> web.Response:
    """Show a file; there is nothing secret in it, so everybody may read it."""
    name = request.match_info["name"]
    if name not in _FILES:
        raise NotFound("file")
    fresh = request.query.get("v") == mark(name)
    headers = {
        "Cache-Control": "max-age=31536000, immutable" if fresh else "no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(body=static(name), content_type=_FILES[name], charset="utf-8", headers=headers)


def _handler(page: Page) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
    async def handler(request: web.Request) -> web.Response:
        visit = Visit(request)
        try:
            if page.method == "POST":
                ensure_own_page(request, visit.state.allowed_origins)
            await ensure_allowed(request, visit.state.authorize, page.action, visit.org_id or None)
            if page.method != "POST":
                return await _chosen(visit) or await _within(page, visit)
            if visit.org_id:
                carry(request, visit.state.requests.take(visit.org_id))
            async with acting(request, visit.state.user, "page"):
                return await _within(page, visit)
        except web.HTTPException:  # the host's own answer, such as a 401
            raise
        except Exception as error:
            return _refused(visit, error)

    return handler


async def _within(page: Page, visit: Visit) -> web.Response:
    if page.unhurried:
        return await page.show(visit)
    return await visit.operations.bounds.within(page.show(visit))


async def _chosen(visit: Visit) -> web.Response | None:
    """Keep the language or the colours that the reader has chosen, and go on where they were."""
    query = visit.request.query
    for name, cookie, known in (("lang", LANGUAGE, tuple(LANGUAGES)), ("theme", THEME, THEMES)):
        if query.get(name) in known and visit.request.method == "GET":
            rest = [(key, value) for key, value in query.items() if key not in ("lang", "theme")]
            return visit.remember(cookie, query[name], visit.here(urlencode(rest)))
    return None


def _refused(visit: Visit, error: Exception) -> web.Response:
    problem = _problem(error)
    if problem.status == 500:
        kind = getattr(error, "code", type(error).__name__)
        _log.error("web.page_failed", path=visit.request.path, error=kind, frames=frames_of(error.__traceback__))
    return visit.refuse(problem.status, title_of(problem.code), problem.detail, problem.headers)


def _problem(error: Exception) -> Problem:
    if isinstance(error, ProblemRaised):
        return error.problem
    if isinstance(error, RedisConnectionError | RedisTimeoutError):
        return problem_of(Unavailable("Redis"))
    return problem_of(error if isinstance(error, BankImportError) else BankImportError())
