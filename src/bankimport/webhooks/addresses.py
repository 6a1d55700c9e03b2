"""Where a webhook may lead: to a public https address; an operator's own endpoint to this machine, too."""

from typing import Final

from yarl import URL

from bankimport.errors import InvalidRequest
from bankimport.providers.addresses import is_loopback, is_public

_LONGEST: Final = 2000


def is_here(url: URL) -> bool:
    """Whether an address names this machine."""
    return url.host == "localhost" or is_loopback(url.host or "")


def checked_url(text: str, *, of_organisation: bool) -> URL:
    """Return an address that may be told. An organisation's leads nowhere within: its people may have typed it.

    Raises:
        InvalidRequest: it is none, or leads where it mustn't.
    """
    try:
        url = URL(text)
        _ = url.port
    except ValueError:
        raise InvalidRequest("/url", "can't be read") from None
    if len(text) > _LONGEST or not url.host or url.user or url.password or url.fragment:
        raise InvalidRequest("/url", "must be https:// with a host, without a user, and at most 2000 letters")
    if is_here(url) and not of_organisation and url.scheme in ("http", "https"):
        return url
    if url.scheme != "https":
        raise InvalidRequest("/url", "must be https://; plain http:// is for an operator's endpoint on this machine")
    if is_here(url) or (_is_literal(url.host) and not is_public(url.host)):
        raise InvalidRequest("/url", "must lead to a public address")
    return url


def _is_literal(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
