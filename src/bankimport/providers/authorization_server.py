"""A bank's authorization server (OAuth 2.0): where it is, where a person is sent, and what a code or a token is worth.

Its metadata (RFC 8414) is a bank's word: it may name addresses of the one origin that is known beforehand, and of no
other, but for the page to which a person is sent.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from yarl import URL

from bankimport.errors import (
    BankRejected,
    CredentialError,
    JobError,
    MalformedData,
    ReauthRequired,
    Transient,
    Unsupported,
)
from bankimport.models import Scope
from bankimport.ports import HearRequest
from bankimport.providers.answers import an_object, text_of
from bankimport.providers.consenting import for_a_person
from bankimport.providers.http import BoundedClient, Reply

#: so long before its end a token is renewed; one that lives shortly, after half of its life
_SKEW: Final = timedelta(minutes=2)
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is needed of it."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str


class AuthorizationServer:
    """Asks one authorization server as one client of it."""

    def __init__(self, client: BoundedClient, client_id: str | None, client_secret: str | None) -> None:
        self._client, self._id = client, client_id
        self._known = {name: v for name, v in (("client_id", client_id), ("client_secret", client_secret)) if v}

    async def aclose(self) -> None:
        """Close the connection to it."""
        await self._client.aclose()

    def tell_requests(self, hear: HearRequest) -> None:
        """See `TellsRequests`: it is the bank's as well."""
        self._client.hear = hear

    def client_id(self) -> str:
        """Return our id there.

        Raises:
            Unsupported: we have none.
        """
        if self._id is None:
            raise Unsupported("the bank authorises by OAuth, for which `client_id` is needed", scope=Scope.CONSENT)
        return self._id

    def address(self, link: str, current: URL | None = None) -> URL:
        """Return where a link leads, if that is this server.

        Raises:
            Unsupported: it is another one.
        """
        try:
            return self._client.resolve(link, current or self._client.base)
        except MalformedData:
            raise Unsupported(
                "the bank's authorization server has another origin: `authorization_server` names it",
                scope=Scope.CONSENT,
            ) from None

    async def metadata(self, link: str, current: URL) -> Metadata:
        """Return what the server says of itself (RFC 8414); `current` is where the link was found.

        Raises:
            MalformedData, Unsupported, Transient
        """
        url = self.address(link, current)
        reply = await self._client.ask("GET", url, {}, Scope.CONSENT)
        if reply.status != 200:
            raise _meaning(reply)
        told = an_object(reply.body, Scope.CONSENT)
        issuer, page, tokens = (text_of(told, name) for name in ("issuer", "authorization_endpoint", "token_endpoint"))
        if not issuer or not page or not tokens:
            raise MalformedData("the authorization server doesn't say where it is", scope=Scope.CONSENT)
        self.address(issuer)
        return Metadata(issuer, for_a_person(page), str(self.address(tokens)))

    async def tokens(self, url: URL, form: Mapping[str, str], now: datetime) -> dict[str, Any]:
        """Return the credentials that a code or a refresh token is worth.

        Raises:
            ReauthRequired: it is worth nothing any more.
            CredentialError: our client is not known.
            Transient: not just now.
        """
        body = urlencode({**form, **self._known}).encode()
        reply = await self._client.send("POST", url, _FORM, Scope.CONSENT, body)
        if reply.status != 200:
            raise _meaning(reply)
        return _tokens(reply.body, now)


def new_verifier() -> tuple[str, str]:
    """Return a verifier and its challenge (RFC 7636, S256): who has the code alone gets nothing for it."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).decode().rstrip("=")


def is_of(issuer: str, told: str | None) -> bool:
    """Return whether a callback may be this issuer's (RFC 9207): it says so, or says nothing."""
    return told is None or hmac.compare_digest(issuer.encode(), told.encode())


def _tokens(body: Any, now: datetime) -> dict[str, Any]:
    answer = body if isinstance(body, dict) else {}
    access, refresh, lasts = text_of(answer, "access_token"), text_of(answer, "refresh_token"), answer.get("expires_in")
    if not access:
        raise MalformedData("the bank's answer has no access token", scope=Scope.CONSENT)
    found: dict[str, Any] = {"access_token": access}
    if refresh:
        found["refresh_token"] = refresh
    if isinstance(lasts, int) and not isinstance(lasts, bool) and 0 < lasts < 10**9:
        life = timedelta(seconds=lasts)
        found["expires_at"] = (now + life).isoformat()
        found["renew_at"] = (now + max(life - _SKEW, life / 2)).isoformat()
    return found


def _meaning(reply: Reply) -> JobError:
    """Return what a refusal means (RFC 6749 §5.2)."""
    code = reply.body.get("error") if isinstance(reply.body, dict) else None
    if reply.status >= 500 or reply.status in (408, 429):
        return Transient("the bank renews no token just now", scope=Scope.CONSENT)
    if code in ("invalid_client", "unauthorized_client"):
        return CredentialError(scope=Scope.CONSENT)
    if code == "invalid_grant" or reply.status == 401:
        return ReauthRequired("expired", scope=Scope.CONSENT)
    return BankRejected(reply.status, scope=Scope.CONSENT)
