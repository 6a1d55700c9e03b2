"""One authorised request: what every handler is given."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import structlog
from aiohttp import web

from bankimport.models import PsuContext, StrictModel
from bankimport.service import Service
from bankimport.stream import EventStream, Follower
from bankimport.web.bodies import parse
from bankimport.web.given import Action, Answers, Authorize, Person
from bankimport.web.limits import Pace, RequestLimit, Turns
from bankimport.web.person import Network, who_asks
from bankimport.web.problems import public
from bankimport.web.users import User

_log = structlog.get_logger(__name__)

Body = TypeVar("Body", bound=StrictModel)


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


@dataclass(frozen=True, slots=True)
class WebState:
    """What the sub-application holds."""

    service: Service
    authorize: Authorize
    events: EventStream | None
    answers: Answers | None
    person: Person | None = None
    trusted_proxies: Sequence[Network] = ()
    #: origins of pages that may use the routes, beside our own: `https://app.example`
    allowed_origins: frozenset[str] = frozenset()
    #: parameters of the query that are the host's own, such as a token of its WebSockets
    host_parameters: frozenset[str] = frozenset()
    #: says who is signed in; without it an authorisation is bound to the browser
    user: User | None = None
    live: LiveLimits = field(default_factory=LiveLimits)
    requests: RequestLimit = field(default_factory=lambda: RequestLimit(120))
    pace: Pace = field(default_factory=lambda: Pace(1))
    turns: Turns = field(default_factory=lambda: Turns(8))
    #: those who follow events through this application
    followers: set[Follower] = field(default_factory=set)


STATE: web.AppKey[WebState] = web.AppKey("bankimport.state", WebState)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may do what it asks for; `org_id` is empty for the whole queue; `body` is its JSON, or `{}`."""

    request: web.Request
    state: WebState
    org_id: str
    body: bytes = b"{}"

    @property
    def service(self) -> Service:
        """What does the work."""
        return self.state.service

    @property
    def scope(self) -> str | None:
        """The organisation that may be looked at; None for all of them."""
        return self.org_id or None

    def parse(self, model: type[Body]) -> Body:
        """Return the body as its model; a wrong field is a 422."""
        return parse(self.body, model)

    async def person(self) -> PsuContext | None:
        """Return who asks just now, if that can be said."""
        return await who_asks(self.request, self.state.person, self.state.trusted_proxies)

    def path_of(self, route: str, **parts: str) -> str:
        """Return the address of a named route, below wherever the host mounted us."""
        if self.org_id:
            parts["orgId"] = self.org_id
        return public(self.request, str(self.request.app.router[route].url_for(**parts)))


Handle = Callable[[Call], Awaitable[web.StreamResponse]]


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
