"""Which pages may ask: browsers send cookies along, so a page of anybody's could press our buttons."""

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import web

from bankimport.web.problems import refuse

#: A scheme, a host and perhaps a port, and nothing else (RFC 6454, 7).
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._~%-]+)(:\d{1,5})?", re.ASCII)


def is_allowed(origin: str | None, host: str, allowed: Collection[str]) -> bool:
    """Whether a page of `origin` may: our own host's pages, those the host service lists, and programs (no origin)."""
    if origin is None:
        return True
    origin = origin.lower()
    if origin in allowed:
        return True
    return _ORIGIN.fullmatch(origin) is not None and origin.partition("://")[2] == host.lower()


def origins(texts: Collection[str]) -> frozenset[str]:
    """Return the origins that a host lists, in the form browsers send them.

    Raises:
        ValueError: one of them is none.
    """
    found = frozenset(text.rstrip("/").lower() for text in texts)
    wrong = [origin for origin in found if not _ORIGIN.fullmatch(origin)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no origin; scheme and host are needed, such as https://app.example")
    return found


def origin_of(url: str) -> str:
    """Return the origin of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def ensure_own_page(request: web.Request, allowed: Collection[str]) -> None:
    """Refuse what a page of another site asks for in its visitor's name.

    Raises:
        ProblemRaised: 403, `Origin` is foreign, or `Sec-Fetch-Site` says that another site asks.
    """
    origin = request.headers.get("Origin")
    listed = origin is not None and origin.lower() in allowed
    site = request.headers.get("Sec-Fetch-Site", "none").lower()
    if not is_allowed(origin, request.host, allowed) or (not listed and site not in ("same-origin", "none")):
        raise refuse(403, "origin-not-allowed", "pages of this origin may not do this here")
