"""A person's access token that a bank renews (OAuth 2.0, RFC 6749 §6).

Each answer may bring a new refresh token, good for one use: it is stored before it is used.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from yarl import URL

from bankimport.errors import BankRejected, CredentialError, JobError, MalformedData, ReauthRequired, Transient
from bankimport.models import BankConnection, Scope
from bankimport.ports import KeepCredentials
from bankimport.providers.answers import text_of
from bankimport.providers.http import BoundedClient, Reply

#: so long before its end a token is renewed
_SKEW: Final = timedelta(minutes=2)
#: so many connections' new credentials are remembered, for runs that began with the old ones
_REMEMBERED: Final = 10_000
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


class Bearer:
    """The access tokens of a bank's connections: `{access_token, refresh_token?, expires_at?}` in their credentials."""

    def __init__(self, client: BoundedClient, url: URL, client_id: str | None, client_secret: str | None) -> None:
        self._client, self._url = client, url
        self._known = {name: v for name, v in (("client_id", client_id), ("client_secret", client_secret)) if v}
        self._keep: KeepCredentials | None = None
        self._renewed: OrderedDict[str, tuple[Any, Mapping[str, Any]]] = OrderedDict()
        self._turn = asyncio.Lock()

    def keep_with(self, keep: KeepCredentials) -> None:
        """Store new credentials with `keep` from now on."""
        self._keep = keep

    async def aclose(self) -> None:
        """Close the connection to the token endpoint."""
        await self._client.aclose()

    async def fresh(self, connection: BankConnection, now: datetime) -> BankConnection:
        """Return the connection with an access token that is good for a while.

        Raises:
            ReauthRequired: the bank renews it no more.
            CredentialError: the bank doesn't know our client.
            Transient: not just now.
        """
        connection = self._latest(connection)
        if not _ends(connection.credentials, now):
            return connection
        async with self._turn:  # of one refresh token only the first use counts
            connection = self._latest(connection)
            if not _ends(connection.credentials, now):
                return connection
            return await self._renew(connection, now)

    async def renewed(self, connection: BankConnection, now: datetime) -> bool:
        """Renew a token that was refused before its time; return whether there was anything to renew it with."""
        if not isinstance((self._latest(connection).credentials or {}).get("refresh_token"), str):
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
        form = {"grant_type": "refresh_token", "refresh_token": str(before["refresh_token"]), **self._known}
        reply = await self._client.send("POST", self._url, _FORM, Scope.CONSENT, urlencode(form).encode())
        if reply.status != 200:
            raise _meaning(reply)
        after = {**before, **_tokens(reply.body, now)}
        if self._keep is not None:
            await self._keep(connection.id, after)
        self._renewed[connection.id] = (before["refresh_token"], after)
        self._renewed.move_to_end(connection.id)
        if len(self._renewed) > _REMEMBERED:
            self._renewed.popitem(last=False)
        return replace(connection, credentials=after)


def _ends(credentials: Mapping[str, Any] | None, now: datetime) -> bool:
    held = credentials or {}
    if not isinstance(held.get("refresh_token"), str):
        return False
    try:
        until = datetime.fromisoformat(str(held.get("expires_at")))
    except ValueError:
        return not isinstance(held.get("access_token"), str)
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return now >= until - _SKEW


def _tokens(body: Any, now: datetime) -> dict[str, Any]:
    answer = body if isinstance(body, dict) else {}
    access, refresh, lasts = text_of(answer, "access_token"), text_of(answer, "refresh_token"), answer.get("expires_in")
    if not access:
        raise MalformedData("the bank's answer has no access token", scope=Scope.CONSENT)
    found: dict[str, Any] = {"access_token": access}
    if refresh:
        found["refresh_token"] = refresh
    if isinstance(lasts, int) and not isinstance(lasts, bool) and 0 < lasts < 10**9:
        found["expires_at"] = (now + timedelta(seconds=lasts)).isoformat()
    return found


def _meaning(reply: Reply) -> JobError:
    """Return what a refusal to renew means (RFC 6749 §5.2)."""
    code = reply.body.get("error") if isinstance(reply.body, dict) else None
    if reply.status >= 500 or reply.status in (408, 429):
        return Transient("the bank renews no token just now", scope=Scope.CONSENT)
    if code in ("invalid_client", "unauthorized_client"):
        return CredentialError(scope=Scope.CONSENT)
    if code == "invalid_grant" or reply.status == 401:
        return ReauthRequired("expired", scope=Scope.CONSENT)
    return BankRejected(reply.status, scope=Scope.CONSENT)
