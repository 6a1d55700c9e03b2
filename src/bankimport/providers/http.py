"""One bounded HTTP request to a bank: time, size, depth and direction limited, whatever the bank sends."""

import asyncio
import json
import re
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import aiohttp
from yarl import URL

from bankimport.errors import CredentialError, InvalidSettings, MalformedData, Transient, Unsupported
from bankimport.models import Scope

#: no whole number of a bank's has more; reading one of many thousand digits takes quadratic time
_DIGITS: Final = 64
#: OpenSSL's names of the alerts that tell it; a bare handshake failure is what TLS 1.2 says where none was sent
_REFUSED: Final = re.compile("ALERT_.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)")


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted of a bank: bytes of a body (unpacked), nesting of its JSON, pages of a window, time."""

    body: int = 16 * 1024 * 1024
    depth: int = 32
    pages: int = 2000
    connect: timedelta = timedelta(seconds=10)
    request: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the status, lower-cased headers, and the JSON value (None if the body was empty or none)."""

    status: int
    headers: Mapping[str, str]
    body: Any


class _Cut(aiohttp.ClientError):
    """The connection was cut after a request had begun to be sent."""


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request once. aiohttp repeats a GET silently whose connection was cut: the bank has counted the first one
    perhaps, and our ledger knows of one only (banking.md §5). An error that it doesn't know it hands on."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # nothing was sent; not repeated either
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Cut(type(error).__name__) from error


class BoundedClient:
    """GETs JSON from one origin. Redirects are not followed; the session is made on first use."""

    def __init__(self, base_url: str, limits: Limits, tls: ssl.SSLContext | None = None) -> None:
        try:
            self.base = URL(base_url.rstrip("/") + "/")
        except ValueError:
            raise InvalidSettings("base_url: it can't be read") from None
        if self.base.scheme not in ("https", "http") or not self.base.host:
            raise InvalidSettings("base_url: https:// with a host is needed")
        self._limits = limits
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def resolve(self, href: str, current: URL) -> URL:
        """Return where a bank's link leads.

        Raises:
            MalformedData: to another host, port or scheme: such a link is never followed.
        """
        try:
            target = current.join(URL(href))
            place = (target.scheme, target.host, target.port)  # the scheme's own port may be written out
        except ValueError:
            raise MalformedData("a link of the bank can't be read", scope=Scope.TRANSACTIONS) from None
        if place != (self.base.scheme, self.base.host, self.base.port):
            raise MalformedData("a link of the bank leads to another host", scope=Scope.TRANSACTIONS)
        return target.with_user(None).with_fragment(None)

    async def get(self, url: URL, headers: Mapping[str, str], scope: Scope) -> Reply:
        """Return the reply of a GET.

        Raises:
            Transient: the network, a time-out, a connection that was cut.
            MalformedData: a success that is no JSON, or larger or deeper than we accept.
            Unsupported: a header that can't be sent.
            CredentialError: our certificate is refused.
        """
        limit = self._limits.request.total_seconds()
        try:
            async with (
                asyncio.timeout(limit),
                self._opened().get(url, headers=headers, allow_redirects=False, ssl=self._tls or True) as response,
            ):
                packed = response.headers.get("Content-Encoding", "identity").lower()
                text = await self._read(response, packed, scope)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status, headers, self._parsed(text, response.status, scope))
        except TimeoutError:
            raise Transient(f"the bank did not answer within {limit:g} s", scope=scope) from None
        except aiohttp.ClientConnectorCertificateError:
            raise Transient("the bank's certificate could not be verified", scope=scope) from None
        except (aiohttp.ClientError, OSError) as error:
            if _refuses_us(error):
                raise CredentialError(scope=scope) from None
            raise Transient("the connection to the bank failed", scope=scope) from None
        except ValueError:  # aiohttp's word on a line break in a header
            raise Unsupported("the consent's id or token can't be sent in a header", scope=scope) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,  # a bomb must be cut off while it is unpacked, not after
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect.total_seconds()),
                connector=aiohttp.TCPConnector(limit=64),
                middlewares=(_once,),
                max_line_size=16_384,
                max_field_size=16_384,
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse, packed: str, scope: Scope) -> bytes:
        unpack = _unpacker(packed, scope)
        text = bytearray()
        async for chunk in response.content.iter_chunked(65_536):
            text += unpack(chunk, self._limits.body - len(text) + 1)
            if len(text) > self._limits.body:
                raise MalformedData(f"the bank sent more than {self._limits.body} bytes", scope=scope)
        return bytes(text)

    def _parsed(self, text: bytes, status: int, scope: Scope) -> Any:
        try:
            value = json.loads(text, parse_float=_decimal, parse_int=_integer, parse_constant=str)
        except (ValueError, RecursionError):
            if status >= 300 or not text:  # an error's body may be anything, and needn't be there
                return None
            raise MalformedData("the bank's answer is no JSON", scope=scope) from None
        if _depth(value, self._limits.depth) > self._limits.depth:
            raise MalformedData(f"the bank's answer is nested more than {self._limits.depth} deep", scope=scope)
        return value


def _refuses_us(error: Exception) -> bool:
    """Return whether the bank has ended the TLS connection by an alert about our certificate (RFC 8446 §6.2)."""
    if isinstance(error, _Cut) and isinstance(error.__cause__, Exception):
        return _refuses_us(error.__cause__)
    cause = error.__cause__
    return isinstance(cause, ssl.SSLError) and _REFUSED.search(cause.reason or "") is not None


def _decimal(text: str) -> Decimal | str:
    """Return a number; one that no Decimal holds, like NaN, stays a text, which costs its row and no other."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= _DIGITS else text


def _unpacker(packed: str, scope: Scope) -> Any:
    if packed in ("identity", ""):
        return lambda chunk, _: chunk
    if packed not in ("gzip", "deflate"):
        raise MalformedData("the bank packs its answer in a way that was not offered", scope=scope)
    inflate = zlib.decompressobj(47 if packed == "gzip" else 15)

    def unpack(chunk: bytes, most: int) -> bytes:
        try:
            return inflate.decompress(chunk, max(1, most))
        except zlib.error:
            raise MalformedData("the bank's packed answer can't be read", scope=scope) from None

    return unpack


def _depth(value: Any, most: int) -> int:
    """Return how deep a value is nested, or `most + 1` at the first place that is deeper; without recursion."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        each, depth = waiting.pop()
        if isinstance(each, dict | list):
            deepest = max(deepest, depth)
            if depth > most:
                return depth
            waiting += [(child, depth + 1) for child in (each.values() if isinstance(each, dict) else each)]
    return deepest
