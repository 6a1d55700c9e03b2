"""Which pages may open a WebSocket: browsers send cookies along, and no CORS rule protects it."""

from collections.abc import Collection
from urllib.parse import urlsplit


def is_allowed(origin: str | None, host: str, allowed: Collection[str]) -> bool:
    """Whether a page of `origin` may: our own host's pages, those the host service lists, and programs (no origin)."""
    if origin is None:
        return True
    origin = origin.lower()
    return origin in allowed or (origin != "null" and urlsplit(origin).netloc == host.lower())
