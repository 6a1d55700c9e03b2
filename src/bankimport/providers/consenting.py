"""What the ways of giving a consent have in common: a bank's word about it, looked at first."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from yarl import URL

from bankimport.errors import MalformedData, ReauthRequired
from bankimport.models import Scope
from bankimport.providers.addresses import is_loopback
from bankimport.providers.answers import text_of

#: so long is an id at most that a store keeps
_LONGEST: Final = 512


def id_in(answer: Any, name: str) -> str:
    """Return the id that stands in an answer.

    Raises:
        MalformedData: there is none that can be kept.
    """
    found = text_of(answer, name) if isinstance(answer, Mapping) else None
    if not found or len(found) > _LONGEST:
        raise MalformedData("the bank's answer to who wants a consent has no id", scope=Scope.CONSENT)
    return found


@contextmanager
def unless_ended() -> Iterator[None]:
    """Revoke in this context a consent that may have ended already: that is no error."""
    try:
        yield
    except ReauthRequired as error:
        if error.suspicious:
            raise


def for_a_person(text: str) -> str:
    """Return the address if a browser can be sent there: `https://`, or `http://` on this machine, and no program.

    Raises:
        MalformedData: it is none.
    """
    wrong = MalformedData("the bank's address for its person is none", scope=Scope.CONSENT)
    if len(text) > 8000 or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise wrong
    try:
        url = URL(text)
        host = url.host or ""
    except ValueError:
        raise wrong from None
    is_here = url.scheme == "http" and (host == "localhost" or is_loopback(host))
    if not host or url.user is not None or not (url.scheme == "https" or is_here):
        raise wrong
    return text
