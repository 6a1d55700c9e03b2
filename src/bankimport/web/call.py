"""One authorised request: what every handler is given."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from aiohttp import web

from bankimport.models import PsuContext
from bankimport.stream import EventStream, Follower
from bankimport.web.bodies import Body, parse
from bankimport.web.person import Network, person
from bankimport.web.problems import ProblemRaised, refuse
from bankimport.web.service import Action, Answers, Authorize, Service

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """How followers of events are treated. `heartbeat` is a WebSocket's ping; its answer may take half as long."""

    #: followers of one organisation in this process; more are refused with 429
    per_organisation: int = 1000
    #: how often `authorize` is asked again; a write may hold it up, and 60 s is what is promised
    reauthorise: timedelta = timedelta(seconds=50)
    heartbeat: timedelta = timedelta(seconds=6)
    #: a write that a follower doesn't take for so long ends it
    stuck: timedelta = timedelta(seconds=8)
    #: origins of pages that may open a WebSocket, beside our own: `https://app.example`
    allowed_origins: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class WebState:
    """What the sub-application holds."""

    service: Service
    authorize: Authorize
    events: EventStream | None
    answers: Answers | None
    trusted_proxies: Sequence[Network] = ()
    live: LiveLimits = field(default_factory=LiveLimits)
    #: those who follow events through this application
    followers: set[Follower] = field(default_factory=set)


STATE: web.AppKey[WebState] = web.AppKey("bankimport.state", WebState)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may do what it asks for in `org_id`; `body` is its JSON, `{}` if it has none."""

    request: web.Request
    state: WebState
    org_id: str
    body: bytes = b"{}"

    @property
    def service(self) -> Service:
        """What does the work."""
        return self.state.service

    def parse(self, model: type[Body]) -> Body:
        """Return the body as its model; a wrong field is a 422."""
        return parse(self.body, model)

    def person(self) -> PsuContext | None:
        """Return who asks just now, if that can be said."""
        return person(self.request, self.state.trusted_proxies)

    def path_of(self, route: str, **parts: str) -> str:
        """Return the path of a named route, below wherever the host mounted us."""
        return str(self.request.app.router[route].url_for(orgId=self.org_id, **parts))


Handle = Callable[[Call], Awaitable[web.StreamResponse]]


async def ensure_allowed(request: web.Request, authorize: Authorize, action: Action, org_id: str | None) -> None:
    """Ask the host.

    Raises:
        ProblemRaised: 403, the host says no. What the host raises itself (a 401, say) is passed on.
    """
    if not await authorize(request, action, org_id):
        raise forbidden()


def forbidden() -> ProblemRaised:
    """Return the exception that answers 403."""
    return refuse(403, "forbidden", "you may not do this here")


class _AllowAll:
    """Lets everybody do everything; for demos alone, and says so once in the log."""

    def __init__(self) -> None:
        self._said = False

    async def __call__(self, request: web.Request, action: Action, org_id: str | None) -> bool:
        if not self._said:
            self._said = True
            _log.warning("web.allow_all", meaning="everybody may do everything: never use this in production")
        return True


allow_all = _AllowAll()
