"""Who may do what at the host of `bankimport up`: a person follows a link of the terminal and is in, a program has a
token. A real host has its own login instead."""

import secrets
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

OPERATOR: Final = "*"
_GONE: Final = "This link has been used, or is none of ours. The terminal shows the next one.\n"


class Doorkeeper:
    """Lets in by a cookie, which a link sets once, or by a token in a header.

    Args:
        tokens: an organisation, or `*` for the operator, by its token.
        cookie: the cookie's name. Browsers send a cookie to every port of a host, so two hosts need two names.
        used: is told when a link was used, so that the next one can be shown.
    """

    def __init__(self, tokens: Mapping[str, str], cookie: str, used: Callable[[], None]) -> None:
        self._tokens, self._cookie, self._used = tokens, cookie, used
        self._links: set[str] = set()
        #: what a cookie stands for: a name of the browser, which may be written down
        self._sessions: dict[str, str] = {}

    def new_link(self, origin: str) -> str:
        """Return an address that signs the browser in which it is opened in as the operator, once."""
        key = secrets.token_urlsafe(24)
        self._links.add(key)
        return f"{origin}/login?key={key}"

    async def authorize(self, request: web.Request, action: str, org_id: str | None) -> bool:
        """Let the operator do everything, and a member read and sync in the organisation of the token."""
        who = self._who(request)
        return who == OPERATOR or (who is not None and who == org_id and action != "operate")

    async def user(self, request: web.Request) -> str | None:
        """Return who is there: only who began to connect a bank can end it."""
        return self._sessions.get(request.cookies.get(self._cookie, "")) or self._who(request)

    async def enter(self, request: web.Request) -> web.Response:
        """Take a link: set the cookie and show the pages. A browser that only looks ahead uses nothing up."""
        if "prefetch" in request.headers.get("Sec-Purpose", ""):
            return web.Response(status=204)
        key, inside = request.query.get("key", ""), request.cookies.get(self._cookie, "") in self._sessions
        if not inside and key not in self._links:
            return web.Response(status=403, text=_GONE)
        answer = web.Response(status=303, headers={"Location": "/", "Referrer-Policy": "no-referrer"})
        if key in self._links:
            self._links.discard(key)
            session = secrets.token_urlsafe(24)
            self._sessions[session] = f"browser-{len(self._sessions) + 1}"
            answer.set_cookie(self._cookie, session, httponly=True, samesite="Lax")
            self._used()
        return answer

    def _who(self, request: web.Request) -> str | None:
        if request.cookies.get(self._cookie, "") in self._sessions:
            return OPERATOR
        return self._tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
