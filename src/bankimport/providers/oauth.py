"""A person's access token that a bank renews (OAuth 2.0, RFC 6749 §6).

Each answer may bring a new refresh token, good for one use: it is stored before it is used.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from yarl import URL

from bankimport.models import BankConnection
from bankimport.ports import KeepCredentials
from bankimport.providers.authorization_server import AuthorizationServer

#: so long before its end a token is renewed, where nothing says when
_SKEW: Final = timedelta(minutes=2)
#: so many connections' new credentials are remembered, for runs that began with the old ones
_REMEMBERED: Final = 10_000


class Bearer:
    """The access tokens of a bank's connections: `{access_token, refresh_token?, expires_at?, token_url?}` in their
    credentials. `url` is where all are renewed; else each connection's own `token_url` is."""

    def __init__(self, server: AuthorizationServer, url: URL | None) -> None:
        self._server, self._url = server, url
        self._keep: KeepCredentials | None = None
        self._renewed: OrderedDict[str, tuple[Any, Mapping[str, Any]]] = OrderedDict()
        self._turn = asyncio.Lock()

    def keep_with(self, keep: KeepCredentials) -> None:
        """Store new credentials with `keep` from now on."""
        self._keep = keep

    async def aclose(self) -> None:
        """Close the connection to the token endpoint."""
        await self._server.aclose()

    async def fresh(self, connection: BankConnection, now: datetime) -> BankConnection:
        """Return the connection with an access token that is good for a while.

        Raises:
            ReauthRequired: the bank renews it no more.
            CredentialError: the bank doesn't know our client.
            Transient: not just now.
        """
        connection = self._latest(connection)
        if not self._ends(connection.credentials, now):
            return connection
        async with self._turn:  # of one refresh token only the first use counts
            connection = self._latest(connection)
            if not self._ends(connection.credentials, now):
                return connection
            return await self._renew(connection, now)

    async def renewed(self, connection: BankConnection, now: datetime) -> bool:
        """Renew a token that was refused before its time; return whether there was anything to renew it with."""
        if not self._renews(self._latest(connection).credentials):
            return False
        async with self._turn:
            await self._renew(self._latest(connection), now)
        return True

    def _latest(self, connection: BankConnection) -> BankConnection:
        """Return the connection with what its credentials became: a run goes on with those it began with."""
        old, new = self._renewed.get(connection.id, (None, {}))
        if old is not None and (connection.credentials or {}).get("refresh_token") == old:
            return replace(connection, credentials=new)
        return connection

    async def _renew(self, connection: BankConnection, now: datetime) -> BankConnection:
        before = dict(connection.credentials or {})
        form = {"grant_type": "refresh_token", "refresh_token": str(before["refresh_token"])}
        url = self._url or self._server.address(str(before["token_url"]))
        kept = {name: value for name, value in before.items() if name not in ("expires_at", "renew_at")}
        after = {**kept, **await self._server.tokens(url, form, now)}
        if self._keep is not None:
            await self._keep(connection.id, after)
        self._renewed[connection.id] = (before["refresh_token"], after)
        self._renewed.move_to_end(connection.id)
        if len(self._renewed) > _REMEMBERED:
            self._renewed.popitem(last=False)
        return replace(connection, credentials=after)

    def _renews(self, credentials: Mapping[str, Any] | None) -> bool:
        """Return whether there is anything to renew it with, and anywhere."""
        held = credentials or {}
        is_known = self._url is not None or isinstance(held.get("token_url"), str)
        return is_known and isinstance(held.get("refresh_token"), str)

    def _ends(self, credentials: Mapping[str, Any] | None, now: datetime) -> bool:
        held = credentials or {}
        if not self._renews(held):
            return False
        at = _instant(held.get("renew_at"))
        until = _instant(held.get("expires_at"))
        if at is None and until is None:
            return not isinstance(held.get("access_token"), str)
        return now >= (at or (until or now) - _SKEW)


def authorization_of(credentials: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the header that shows a connection's access token, if it has one."""
    token = (credentials or {}).get("access_token")
    return {"Authorization": f"Bearer {token}"} if isinstance(token, str) else {}


def _instant(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
