"""The person who asks just now: only ever from a real request, never invented."""

import ipaddress
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from aiohttp import web

from bankimport.access.attendance import is_public
from bankimport.models import PsuContext
from bankimport.web.authorising import ask_host
from bankimport.web.given import Person

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks of trusted proxies.

    Raises:
        ValueError: one of them is neither an address nor a network.
    """
    return tuple(ipaddress.ip_network(text) for text in texts)


def person(request: web.Request, trusted: Sequence[Network]) -> PsuContext | None:
    """Return who asks; None where the address is not a public one, so none is passed on to a bank."""
    address = client_address(request.remote, request.headers.getall("X-Forwarded-For", []), trusted)
    if address is None or not is_public(address):
        return None
    agent = _UNPRINTABLE.sub("", request.headers.get("User-Agent", ""))[:256]
    return PsuContext(ip=str(address), user_agent=agent or None, at=datetime.now(UTC))


async def who_asks(request: web.Request, host: Person | None, trusted: Sequence[Network]) -> PsuContext | None:
    """Return who asks just now, if that can be said: by the host's word, or by the request.

    Raises:
        ProblemRaised: 503, the host can't say it now.
    """
    return person(request, trusted) if host is None else await ask_host("person", host(request))


def client_address(remote: str | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """Return the address the request came from: the last one that is not a trusted proxy's.

    `X-Forwarded-For` is believed only as far as trusted proxies wrote it, from the right; None where an entry is no
    address.
    """
    hops = [part for line in forwarded for part in line.split(",")]
    address = _address(remote or "")
    while address is not None and hops and _is_trusted(address, trusted):
        address = _address(hops.pop())
    return address


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in trusted)


def _address(text: str) -> Address | None:
    text = text.strip().partition("%")[0]
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::\d+)?", text)
    with_port = re.fullmatch(r"([\d.]+):\d+", text)
    try:
        address = ipaddress.ip_address((bracketed or with_port or [text, text])[1])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
