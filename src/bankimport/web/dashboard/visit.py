"""One request for a page: in which language and colours it is answered, and what every page shows around itself."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib import resources
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from bankimport.models import JobStatus
from bankimport.service import Service
from bankimport.status import JobState
from bankimport.web.call import STATE, WebState
from bankimport.web.dashboard import explanations
from bankimport.web.dashboard.formats import Formats
from bankimport.web.dashboard.outcomes import outcome
from bankimport.web.dashboard.words import LANGUAGES, Words, preferred
from bankimport.web.parameters import path_id
from bankimport.web.problems import public

LANGUAGE, THEME = "bankimport-language", "bankimport-theme"
THEMES: Final = ("auto", "light", "dark")
_YEAR = 365 * 86_400
_CLASSES = {JobState.WAITING_CHILDREN: "children"}
_VERSION = version("bankimport")

#: Each page's part in the rail: name, English title, the key after `g`.
RAIL: Final = (
    ("now", "Now", "n"),
    ("jobs", "Jobs", "j"),
    ("failures", "Failures", "f"),
    ("connections", "Connections", "c"),
    ("banks", "Banks", "b"),
    ("webhooks", "Webhooks", "h"),
    ("workers", "Workers", "w"),
    ("audit", "Audit", "a"),
)
STATES: Final = {
    JobState.WAITING: "waiting",
    JobState.ACTIVE: "running",
    JobState.DELAYED: "later",
    JobState.WAITING_CHILDREN: "batch",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
}
TYPES: Final = {
    "sync-connection": "Sync of a connection",
    "sync-all-org": "Sync of an organisation",
    "refresh-consents": "Look for ending consents",
    "cleanup": "Clean up old records",
    "plan-syncs": "Plan the syncs of a tick",
}


@cache
def static(name: str) -> bytes:
    """Return a file of ours: the style sheet, the script, the icon."""
    return resources.files(__package__).joinpath("static", name).read_bytes()


@cache
def mark(name: str) -> str:
    """Return a short mark of a file's content, so that browsers keep it until it changes."""
    return hashlib.sha256(static(name)).hexdigest()[:12]


@cache
def environment() -> Environment:
    """Return the templates; whatever is put into one is escaped."""
    return Environment(
        loader=PackageLoader("bankimport.web.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Visit:
    """A request that may operate, and how it is answered."""

    def __init__(self, request: web.Request) -> None:
        self.request = request
        self.state: WebState = request.app[STATE]
        language = request.cookies.get(LANGUAGE, "")
        self.language = language if language in LANGUAGES else preferred(request.headers.get("Accept-Language", ""))
        self.theme = request.cookies.get(THEME, "auto")
        self.words = Words(self.language)
        self.nonce = secrets.token_urlsafe(16)

    @cached_property
    def operations(self) -> Service:
        """What the pages stand on."""
        return self.state.service

    @cached_property
    def formats(self) -> Formats:
        """How instants and numbers are written here."""
        return Formats(self.language, self.operations.settings.timezone, datetime.now(UTC))

    @cached_property
    def org_id(self) -> str:
        """The organisation whose own page it is; empty for the operators' pages.

        Raises:
            NotFound: it is no id.
        """
        return path_id(self.request, "orgId", "organisation") if "orgId" in self.request.match_info else ""

    @property
    def home(self) -> str:
        """The page that all others of this reader hang below."""
        return self.url("organisation", {"orgId": self.org_id}) if self.org_id else self.url("now")

    def url(self, page: str, /, parts: Mapping[str, Any] | None = None, **query: Any) -> str:
        """Return the address of a page; of the query what is None or empty is left out."""
        path = public(
            self.request,
            str(self.request.app.router[f"dashboard-{page}"].url_for(**{k: str(v) for k, v in (parts or {}).items()})),
        )
        said = {name: value for name, value in query.items() if value not in (None, "", [], ())}
        return f"{path}?{urlencode(said, doseq=True)}" if said else path

    def here(self, query: str) -> str:
        """Return the address of this very page with another query."""
        path = public(self.request, self.request.rel_url.raw_path)
        return f"{path}?{query}" if query else path

    def events_url(self) -> str:
        """Return the address of the events, of the organisation or of all."""
        route = self.request.app.router["org-events" if self.org_id else "events"]
        return public(self.request, str(route.url_for(**({"orgId": self.org_id} if self.org_id else {}))))

    def see(self, page: str, /, parts: Mapping[str, str] | None = None, **query: Any) -> web.Response:
        """Answer a form: look at this page (again, if the reader reloads)."""
        return web.Response(status=303, headers={"Location": self.url(page, parts, **query), **self._headers()})

    def remember(self, name: str, value: str, location: str) -> web.Response:
        """Keep a choice of the reader in a cookie, and show the page that was asked for."""
        response = web.Response(status=303, headers={"Location": location, **self._headers()})
        response.set_cookie(name, value, max_age=_YEAR, path=self.home, httponly=True, samesite="Lax")
        return response

    async def show(self, template: str, page: str, title: str, *, status: int = 200, **values: Any) -> web.Response:
        """Answer with a page. `page` is its place in the rail; `title` its name, in the reader's language."""
        health = values.pop("health", None) or await self.operations.get_queue_health()
        around = {"page": page, "title": title, "health": health, **self._around(), **values}
        return self._answer(environment().get_template(template).render(around), status)

    def show_alone(self, template: str, title: str, **values: Any) -> web.Response:
        """Answer with a page of an organisation's own people, which has nothing of the operators' around it."""
        around = {"title": title, "org_id": self.org_id, "home": self.home, **self._around(), **values}
        return self._answer(environment().get_template(template).render(around), 200)

    def refuse(self, status: int, title: str, detail: str, more: Mapping[str, str]) -> web.Response:
        """Answer with what is wrong, without asking anything of the queue: it may be what is away."""
        values = {"status": status, "title": title, "detail": detail, "home": self.home, **self._basics()}
        response = self._answer(environment().get_template("refused.html").render(values), status)
        kept = {name: value for name, value in more.items() if name.lower() not in ("content-type", "content-length")}
        response.headers.update(kept)
        return response

    def state_of(self, state: JobState) -> tuple[str, str]:
        """Return the shape and the word of a state."""
        return _CLASSES.get(state, state.value), self.words(STATES[state])

    def kind(self, job_type: str) -> str:
        """Return what a job does; a host's own function is called by its name."""
        return self.words(TYPES[job_type]) if job_type in TYPES else job_type

    def outcome(self, job: JobStatus) -> str:
        """Return in a few words what became of a job."""
        return outcome(self.words, self.formats, job)

    def _basics(self) -> dict[str, Any]:
        shown = {
            "_": self.words,
            "many": self.words.many,
            "named": self.words.named,
            "language": self.language,
            "languages": LANGUAGES,
        }
        names = ("style.css", "live.js", "icon.svg")
        files = {name.partition(".")[0]: self.url("file", {"name": name}, v=mark(name)) for name in names}
        theme = self.theme if self.theme in THEMES[1:] else None
        return {**shown, "url": self.url, "files": files, "nonce": self.nonce, "theme": theme, "themes": THEMES}

    def _around(self) -> dict[str, Any]:
        return {
            **self._basics(),
            "f": self.formats,
            "rail": RAIL,
            "state_of": self.state_of,
            "kind": self.kind,
            "outcome": self.outcome,
            "explain": explanations.error,
            "stream": self.events_url() if self.state.events is not None else "",
            "zone": self.operations.settings.timezone.key,
            "version": _VERSION,
            "here": self.request.rel_url.query,
        }

    def _answer(self, text: str, status: int) -> web.Response:
        return web.Response(text=text, status=status, content_type="text/html", headers=self._headers())

    def _headers(self) -> dict[str, str]:
        own = f"'nonce-{self.nonce}'"
        policy = (
            f"default-src 'none'; style-src {own}; script-src {own}; img-src 'self'; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        return {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
            "Vary": "Cookie, Accept-Language",
        }
