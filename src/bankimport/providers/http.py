"""One bounded HTTP request to a bank: time, size, depth and direction limited, whatever the bank sends."""

import asyncio
import json
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from bankimport.errors import CredentialError, JobError, MalformedData, Transient, Unsupported
from bankimport.models import RequestOutcome, Scope
from bankimport.ports import HearRequest
from bankimport.providers.addresses import PrivateAddress, checked_base, resolver_of
from bankimport.providers.bodies import parsed, unpacker
from bankimport.telemetry import bank_request

#: OpenSSL's names of the alerts that tell it; a bare handshake failure is what TLS 1.2 says where none was sent
_REFUSED: Final = re.compile("ALERT_.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)")


#: A connection waits so long for the next page. Nothing is sent twice, so one that the bank closes first costs a read:
#: ours has to be the shorter patience.
_KEPT: Final = timedelta(seconds=2)
#: so much is read of an answer that is no success
_ERROR_BODY: Final = 65_536
_JSON: Final = {"Accept": "application/json", "Accept-Encoding": "gzip"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted of a bank: bytes of a body (unpacked), about the memory that it takes while it is read, nesting
    of its JSON, pages of a window, time."""

    body: int = 16 * 1024 * 1024
    memory: int = 48 * 1024 * 1024
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

    @property
    def is_success(self) -> bool:
        """Whether the bank did what it was asked for."""
        return self.status in (200, 201, 202, 204)


#: What became of a request that ended with an error; of any other nothing was sent.
_WITHOUT_A_STATUS: Final = {
    Transient: RequestOutcome.NO_ANSWER,
    MalformedData: RequestOutcome.UNREADABLE,
    CredentialError: RequestOutcome.REFUSED,
}


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
    """Asks one origin for JSON. Redirects are not followed; the session is made on first use.

    Raises:
        InvalidSettings: `base_url` is none that may be asked.
    """

    def __init__(
        self, base_url: str, limits: Limits, tls: ssl.SSLContext | None = None, *, private_network: bool = False
    ) -> None:
        self.base = checked_base(base_url)
        self._limits = limits
        self._tls = tls
        self._private_network = private_network
        self._session: aiohttp.ClientSession | None = None
        #: see `TellsRequests`
        self.hear: HearRequest | None = None

    async def aclose(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def path(self, *parts: str) -> URL:
        """Return the URL of a path; an id of the bank's is one segment, whatever it holds."""
        return self.base.joinpath(*(quote(part, safe="") for part in parts), encoded=True)

    def resolve(self, href: str, current: URL, *, root: str | None = None) -> URL:
        """Return where a bank's link leads. What begins with `root`, such as `v1/`, with or without a slash, is
        below our base: a gateway's link leaves out what stands before it.

        Raises:
            MalformedData: to another host, port or scheme: such a link is never followed.
        """
        if root is not None and href.removeprefix("/").startswith(root):
            href = f"{self.base}{href.removeprefix('/')}"
        try:
            target = current.join(URL(href))
            place = (target.scheme, target.host, target.port)  # the scheme's own port may be written out
        except ValueError:
            raise MalformedData("a link of the bank can't be read", scope=Scope.TRANSACTIONS) from None
        if place != (self.base.scheme, self.base.host, self.base.port):
            raise MalformedData("a link of the bank leads to another host", scope=Scope.TRANSACTIONS)
        return target.with_user(None).with_fragment(None)

    async def get(self, url: URL, headers: Mapping[str, str], scope: Scope) -> Reply:
        """Return the reply of a GET; raises as `send`."""
        return await self.send("GET", url, headers, scope)

    async def send(
        self, method: str, url: URL, headers: Mapping[str, str], scope: Scope, body: bytes | None = None
    ) -> Reply:
        """Send one request and return the reply.

        Raises:
            Transient: the network, a time-out, a connection that was cut.
            MalformedData: a success that is no JSON, or larger or deeper than we accept.
            Unsupported: a header that can't be sent, or a name that leads to a private network.
            CredentialError: our certificate is refused.
        """
        began = time.monotonic()
        try:
            with bank_request(scope.value) as told:
                reply = await self._send(method, url, headers, scope, body)
                told(reply.status)
        except JobError as error:
            self._tell(_WITHOUT_A_STATUS.get(type(error)), began)
            raise
        self._tell(RequestOutcome.of_status(reply.status), began)
        return reply

    def _tell(self, outcome: RequestOutcome | None, began: float) -> None:
        if self.hear is not None and outcome is not None:
            self.hear(outcome, timedelta(seconds=time.monotonic() - began))

    async def ask(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        scope: Scope,
        body: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Send a request that wants JSON, with a JSON body if there is one; raises as `send`."""
        if body is None:
            return await self.send(method, url, {**_JSON, **headers}, scope)
        text = json.dumps(body).encode()
        return await self.send(method, url, {**_JSON, "Content-Type": "application/json", **headers}, scope, text)

    async def _send(self, method: str, url: URL, headers: Mapping[str, str], scope: Scope, body: bytes | None) -> Reply:
        limit = self._limits.request.total_seconds()
        try:
            async with (
                asyncio.timeout(limit),
                self._opened().request(
                    method, url, headers=headers, data=body, allow_redirects=False, ssl=self._tls or True
                ) as response,
            ):
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status, headers, await self._body(response, scope))
        except TimeoutError:
            raise Transient(f"the bank did not answer within {limit:g} s", scope=scope) from None
        except aiohttp.ClientConnectorCertificateError:
            raise Transient("the bank's certificate could not be verified", scope=scope) from None
        except (aiohttp.ClientError, OSError) as error:
            raise _meaning(error, scope) from None
        except ValueError:  # aiohttp's word on a line break in a header
            raise Unsupported("the consent's id or token can't be sent in a header", scope=scope) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,  # a bomb must be cut off while it is unpacked, not after
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._limits.connect.total_seconds()),
                connector=aiohttp.TCPConnector(
                    limit=64,
                    keepalive_timeout=_KEPT.total_seconds(),
                    resolver=resolver_of(self.base, private_network=self._private_network),
                ),
                middlewares=(_once,),
                max_line_size=16_384,
                max_field_size=16_384,
            )
        return self._session

    async def _body(self, response: aiohttp.ClientResponse, scope: Scope) -> Any:
        if response.status == 204:
            return None
        is_success = response.status < 300
        try:
            text = await self._read(response, self._limits.body if is_success else _ERROR_BODY, scope)
            if text or is_success:
                return parsed(text, scope, memory=self._limits.memory, depth=self._limits.depth)
        except MalformedData:
            if is_success:
                raise
        return None  # an error's body may be anything, and needn't be there

    async def _read(self, response: aiohttp.ClientResponse, most: int, scope: Scope) -> bytes:
        unpack = unpacker(response.headers.get("Content-Encoding", "identity").lower(), scope)
        text = bytearray()
        async for chunk in response.content.iter_chunked(65_536):
            text += unpack(chunk, most - len(text) + 1)
            if len(text) > most:
                raise MalformedData(f"the bank sent more than {most} bytes", scope=scope)
        return bytes(text)


def _meaning(error: Exception, scope: Scope) -> JobError:
    """Return what a connection that failed means."""
    cause = error.__cause__
    if isinstance(cause, PrivateAddress):
        return Unsupported(
            "the bank's name leads to a private network, where no bank is (`private_network` allows it)", scope=scope
        )
    if isinstance(error, _Cut) and isinstance(cause, Exception):
        return _meaning(cause, scope)
    if isinstance(cause, ssl.SSLError) and _REFUSED.search(cause.reason or ""):
        return CredentialError(scope=scope)  # an alert about our certificate (RFC 8446 §6.2)
    return Transient("the connection to the bank failed", scope=scope)
