"""Who began an authorisation, and who is there when the bank sends somebody back: it must be the same.

A host says who by its login (`web_app(user=…)`). Without that it is the browser, by a cookie of ours: whoever is sent
the address of an authorisation that another has begun has not that cookie (RFC 9700 §4.7).
"""

import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from bankimport.acting import acting_as
from bankimport.web.authorising import ask_host
from bankimport.web.problems import PUBLIC_URL, ProblemRaised, refuse

#: Says who is signed in, by the host's own id of them; None where nobody is.
User = Callable[[web.Request], Awaitable[str | None]]

COOKIE: Final = "bankimport_browser"
_VALUE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_LASTS: Final = 2 * 3600


async def user_of(request: web.Request, user: User | None) -> str | None:
    """Return who is there; None where nobody is.

    Raises:
        ProblemRaised: 503, the host can't say it now.
    """
    if user is not None:
        found = await ask_host("user", user(request))
        return found if isinstance(found, str) and found else None
    value = request.cookies.get(COOKIE, "")
    return _named(value) if _VALUE.fullmatch(value) else None


async def beginner(request: web.Request, user: User | None) -> tuple[str, str | None]:
    """Return who begins, and the cookie by which their browser will be known, where there is no other way.

    Raises:
        ProblemRaised: 403, the host says that nobody is signed in.
    """
    found = await user_of(request, user)
    if found is not None:
        return found, None
    if user is not None:
        raise refuse(403, "forbidden", "nobody is signed in, so that nobody could end it")
    value = secrets.token_urlsafe(32)
    return _named(value), value


def remember(request: web.Request, response: web.Response, cookie: str | None) -> None:
    """Give the browser its cookie: scripts don't see it, and a bank's redirect brings it along (`Lax`)."""
    if cookie is not None:
        secure = request.secure or request.app[PUBLIC_URL].startswith("https:")  # a proxy may speak plain HTTP to us
        response.set_cookie(COOKIE, cookie, max_age=_LASTS, httponly=True, samesite="Lax", secure=secure, path="/")


@asynccontextmanager
async def acting(request: web.Request, user: User | None, via: str) -> AsyncIterator[None]:
    """Let what the request does be written down as its sender's. A host that can't say who it is stops nothing."""
    try:
        who = await user_of(request, user)
    except (ProblemRaised, web.HTTPException):
        who = None
    with acting_as(who[:256] if who else None, via=via):
        yield


def _named(value: str) -> str:
    return f"browser:{hashlib.sha256(value.encode()).hexdigest()[:32]}"
