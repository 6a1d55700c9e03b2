"""The address of a bank's page, to which a person is sent: a bank's word, so that it is looked at first."""

from yarl import URL

from bankimport.errors import MalformedData
from bankimport.models import Scope
from bankimport.providers.addresses import is_loopback


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
