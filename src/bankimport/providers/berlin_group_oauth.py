"""A Berlin Group consent that is authorised by OAuth (NextGenPSD2 1.3, 13): the consent's id is in the scope."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from yarl import URL

from bankimport.errors import NotGranted, ReauthRequired
from bankimport.models import AuthorisationOutcome, Begun, Callback, ConsentRequest
from bankimport.providers.authorization_server import AuthorizationServer, is_of, new_verifier

_O: Final = AuthorisationOutcome


class ByOAuth:
    """Sends a person to the bank's authorization server, and exchanges what they bring back."""

    def __init__(self, server: AuthorizationServer, base: URL, scope: str) -> None:
        self._server, self._base, self._scope = server, base, scope

    async def begin(self, link: str, consent_id: str, details: Mapping[str, str], request: ConsentRequest) -> Begun:
        """Return the authorization server's page for this consent (RFC 6749 §4.1 with RFC 7636)."""
        client_id = self._server.client_id()
        metadata = await self._server.metadata(link, self._base)
        verifier, challenge = new_verifier()
        url = URL(metadata.authorization_endpoint).update_query(
            response_type="code",
            client_id=client_id,
            redirect_uri=request.redirect_url,
            scope=self._scope.replace("{consent_id}", consent_id),
            state=request.state,
            code_challenge=challenge,
            code_challenge_method="S256",
        )
        known = {"issuer": metadata.issuer, "token_url": metadata.token_endpoint, "redirect_uri": request.redirect_url}
        return Begun(str(url), consent_id, {**details, **known}, {"verifier": verifier})

    async def credentials(self, begun: Begun, callback: Callback) -> Mapping[str, str] | None:
        """Return what the code is worth, where the bank authorises by OAuth. A code is good for one use."""
        token_url, verifier = begun.details.get("token_url"), (begun.secrets or {}).get("verifier")
        if token_url is None or verifier is None:
            return None
        code = callback.parameters.get("code")
        if not code or not is_of(begun.details["issuer"], callback.parameters.get("iss")):
            raise NotGranted(_O.BANK_FAILED)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.details["redirect_uri"],
            "code_verifier": verifier,
        }
        try:
            found = await self._server.tokens(self._server.address(token_url), form, datetime.now(UTC))
        except ReauthRequired:
            raise NotGranted(_O.FAILED) from None
        return {**found, "token_url": token_url}
