"""One bounded POST of a message: no redirect, no private network, no longer than it may take."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from bankimport.errors import InvalidRequest
from bankimport.providers.addresses import PrivateAddress, PublicResolver
from bankimport.webhooks.addresses import checked_url, is_here
from bankimport.webhooks.retrying import Answer


class Sender:
    """Sends messages; its sessions are made on first use."""

    def __init__(self, limit: timedelta) -> None:
        self._limit = limit.total_seconds()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def send(
        self, url: str, body: str, headers: Mapping[str, str], now: datetime, *, of_organisation: bool
    ) -> Answer:
        """Send a message, and return what was said. It raises nothing that an endpoint can cause."""
        try:
            checked = checked_url(url, of_organisation=of_organisation)  # as it stood, by the rules of today
        except InvalidRequest:
            return Answer(None, "private-address")
        try:
            async with asyncio.timeout(self._limit):
                return await self._post(checked, body, headers, now)
        except TimeoutError:
            return Answer(None, "timeout")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(None, _meaning(error))

    async def _post(self, url: URL, body: str, headers: Mapping[str, str], now: datetime) -> Answer:
        session = self._session(here=is_here(url))
        sent = {"Content-Type": "application/json", "User-Agent": "bankimport-webhooks", **headers}
        async with session.post(url, data=body.encode(), headers=sent, allow_redirects=False) as response:
            return Answer(response.status, None, _seconds(response.headers.get("Retry-After"), now))

    def _session(self, *, here: bool) -> aiohttp.ClientSession:
        if here not in self._sessions:
            connector = aiohttp.TCPConnector(limit=64, resolver=PublicResolver(loopback=here))
            timeout = aiohttp.ClientTimeout(total=self._limit)
            self._sessions[here] = aiohttp.ClientSession(
                connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._sessions[here]

    async def aclose(self) -> None:
        """Close what was opened."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()


def _meaning(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, PrivateAddress):
            return "private-address"
        cause = cause.__cause__
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "certificate"
    return "connection"


def _seconds(text: str | None, now: datetime) -> timedelta | None:
    if text is None:
        return None
    try:
        if text.strip().isdigit():
            return timedelta(seconds=min(int(text), 10**7))
        return max(parsedate_to_datetime(text) - now, timedelta(0))
    except (ValueError, TypeError, OverflowError):
        return None
