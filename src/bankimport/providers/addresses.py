"""Where a bank's name may lead: never to this machine or a private network, unless the operator says so.

A name is resolved anew again and again, and whoever answers for it may answer with an address of ours (DNS rebinding).
"""

import ipaddress
import socket
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from bankimport.errors import InvalidSettings

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class PrivateAddress(OSError):
    """A name leads to an address that no bank has."""


class PublicResolver(AbstractResolver):
    """Resolves a name to public addresses only; with `loopback`, to this machine only."""

    def __init__(self, *, loopback: bool) -> None:
        self._inner = ThreadedResolver()
        self._loopback = loopback

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses that are allowed.

        Raises:
            PrivateAddress: there are addresses, and none of them is.
        """
        found = await self._inner.resolve(host, port, family)
        allowed = [each for each in found if self._allows(each["host"])]
        if not allowed:
            raise PrivateAddress
        return allowed

    def _allows(self, address: str) -> bool:
        return is_loopback(address) if self._loopback else is_public(address)

    async def close(self) -> None:
        """Close the resolver."""
        await self._inner.close()


def is_loopback(host: str) -> bool:
    """Return whether a literal address is this machine's own."""
    address = _address(host)
    return address is not None and address.is_loopback


def is_public(host: str) -> bool:
    """Return whether a literal address is one of the internet; what is written inside another is looked at."""
    address = _address(host)
    return address is not None and address.is_global and not address.is_multicast


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def checked_base(base_url: str) -> URL:
    """Return the address of a bank, ending in a slash.

    Raises:
        InvalidSettings: it is none, or plain `http://` leads out of this machine: everybody on the way could read the
            person's accounts.
    """
    try:
        url = URL(base_url.rstrip("/") + "/")
    except ValueError:
        raise InvalidSettings("base_url: it can't be read") from None
    if url.scheme not in ("https", "http") or not url.host:
        raise InvalidSettings("base_url: https:// with a host is needed")
    if url.scheme == "http" and url.host != "localhost" and not is_loopback(url.host):
        raise InvalidSettings(
            "base_url: https:// is needed; plain http:// is for this machine only (localhost, 127.0.0.1)"
        )
    return url


def resolver_of(base: URL, *, private_network: bool) -> AbstractResolver:
    """Return what may resolve the bank's name. A literal address is the operator's own word, and is not resolved."""
    if private_network and base.scheme == "https":
        return ThreadedResolver()
    return PublicResolver(loopback=base.host == "localhost")
