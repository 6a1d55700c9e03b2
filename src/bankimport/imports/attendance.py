"""Is the person there? Only a real, public address of a request made just now says so (banking.md §1)."""

from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from bankimport.models import PsuContext

#: A job that has waited longer is no longer what the person is looking at.
PRESENT: Final = timedelta(minutes=15)


def attended(psu: PsuContext | None, now: datetime) -> PsuContext | None:
    """Return the person who asks just now; None where there is none to speak of.

    A private, loopback or unreadable address is none, and so is a request that has waited too long.
    """
    if psu is None or (psu.at is not None and now - psu.at > PRESENT):
        return None
    try:
        public = ip_address(psu.ip).is_global
    except ValueError:
        return None
    return psu if public else None
