"""The page on which a person consents, cancels or is refused, for all three APIs: what a bank shows after its login.

The page asks who the person is, since the sandbox has no passwords: the same word is the same person for ever. Each
consent of a person has new resource ids, as after a renewal.
"""

import html
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiohttp import web
from yarl import URL

from bankimport.sandbox.counter import STATE, State


class Stage(StrEnum):
    """Where an authorisation stands."""

    WAITING = "waiting"
    GRANTED = "granted"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


class Decision(StrEnum):
    """What the person does, or what the bank does to the person."""

    CONSENT = "consent"
    CANCEL = "cancel"
    CANCEL_WITHOUT_STATE = "cancel-without-state"
    REFUSE = "refuse"


@dataclass
class Authorising:
    """One authorisation: the API says where the person goes back to for each decision, and what that brings."""

    id: str
    #: where to go and with what: by decision
    ways_back: Mapping[Decision, URL | None]
    stage: Stage = Stage.WAITING
    #: the consent that the person gave, as reads know it
    consent: str = ""
    #: what stands for it in the redirect, good for one use
    code: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    is_code_used: bool = False
    #: what the person is called at the bank, where it asks in its own app; what an OAuth client has asked for
    psu_id: str = ""
    asked: Any = None


def routes() -> list[web.RouteDef]:
    """Return the page's routes."""
    return [
        web.get("/sandbox/authorise/{id}", _page),
        web.post("/sandbox/authorise/{id}", _decide),
        web.get("/sandbox/app/{psu}", _app),
    ]


def begin(request: web.Request, ways_back: Mapping[Decision, URL | None], *, name: str | None = None) -> Authorising:
    """Begin an authorisation; its address is `address_of`."""
    authorising = Authorising(name or secrets.token_hex(16), ways_back)
    request.app[STATE].authorisings[authorising.id] = authorising
    return authorising


def address_of(request: web.Request, authorising: Authorising) -> str:
    """Return where the person is to go."""
    return str(request.url.origin() / "sandbox" / "authorise" / authorising.id)


def consent_behind(state: State, name: str) -> str:
    """Return the consent as reads know it: of an id that was handed out before the person had said who it is."""
    authorising = state.authorisings.get(name)
    return name if authorising is None or not authorising.consent else authorising.consent


async def _page(request: web.Request) -> web.Response:
    authorising = _found(request)
    if authorising.stage is not Stage.WAITING:
        return _html("<p>This page was used already.</p>", 410)
    buttons = "".join(f'<button name="decision" value="{each}">{each}</button> ' for each in Decision)
    return _html(
        '<form method="post"><label>Who are you? <input name="person" value="anna" maxlength="60" required></label>'
        f"<p>An application asks to read your accounts for 180 days.</p>{buttons}</form>"
    )


async def _app(request: web.Request) -> web.Response:
    """The bank's own app: what waits for the person, the newest first."""
    waiting = [
        each
        for each in request.app[STATE].authorisings.values()
        if each.psu_id == request.match_info["psu"] and each.stage is Stage.WAITING
    ]
    links = "".join(
        f'<li><a href="/sandbox/authorise/{html.escape(each.id)}">An application asks to read your accounts</a></li>'
        for each in reversed(waiting)
    )
    return _html(f"<ul>{links}</ul>" if links else "<p>Nothing waits for you.</p>")


async def _decide(request: web.Request) -> web.StreamResponse:
    authorising = _found(request)
    if authorising.stage is not Stage.WAITING:
        return _html("<p>This page was used already.</p>", 410)
    given = await request.post()
    try:
        decision = Decision(str(given.get("decision", "")))
    except ValueError:
        return _html("<p>Consent, cancel or refuse?</p>", 400)
    if decision is Decision.CONSENT:
        authorising.stage = Stage.GRANTED
        authorising.consent = _new_consent(request.app[STATE], str(given.get("person", "")))
    else:
        authorising.stage = Stage.REFUSED if decision is Decision.REFUSE else Stage.CANCELLED
    target = authorising.ways_back.get(decision)
    if target is None:
        return _html("<p>Thank you. You can close this page.</p>")
    if decision is Decision.CONSENT and "code" in target.query:
        target = target.update_query(code=authorising.code)
    raise web.HTTPSeeOther(str(target))


def _new_consent(state: State, person: str) -> str:
    """Return the name of a person's next consent."""
    known = "".join(c for c in person.strip().lower() if c.isalnum() or c in "-_")[:60] or "anna"
    state.consents[known] += 1
    return f"{known}~{state.consents[known]}"


def _found(request: web.Request) -> Authorising:
    authorising: Authorising | None = request.app[STATE].authorisings.get(request.match_info["id"])
    if authorising is None:
        raise web.HTTPNotFound(text="no such authorisation")
    return authorising


def _html(body: str, status: int = 200) -> web.Response:
    title = html.escape("Sandbox Bank")
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>{body}</html>'
    policy = {
        "Content-Security-Policy": "default-src 'none'; form-action 'self' http: https:",
        "Cache-Control": "no-store",
    }
    return web.Response(text=page, content_type="text/html", status=status, headers=policy)
