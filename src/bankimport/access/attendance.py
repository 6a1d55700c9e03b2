"""Is the person there? Only a real, public address of a request made just now says so (banking.md §1)."""

from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
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
        address = ip_address(psu.ip)
    except ValueError:
        return None
    return psu if is_public(address) else None


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether a person can have this address: a public one of a single host."""
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if inner is not None:
        return is_public(inner)
    local = isinstance(address, IPv6Address) and (address.is_site_local or address.scope_id is not None)
    return address.is_global and not address.is_multicast and not local
