"""How a person gives a Berlin Group bank their consent: on the bank's pages, by OAuth, or in the bank's app
(NextGenPSD2 1.3, 5.1 and 6.3)."""

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from yarl import URL

from bankimport.errors import InvalidRequest, MalformedData, NotGranted, ReauthRequired, Transient, Unsupported
from bankimport.models import (
    AuthorisationOutcome,
    BankConnection,
    Begun,
    Callback,
    ConsentRequest,
    ConsentStatus,
    Granted,
    Institution,
    PsuContext,
    Scope,
)
from bankimport.models.authorisations import NOK, RESULT
from bankimport.providers.answers import an_object, text_of
from bankimport.providers.authorization_server import AuthorizationServer
from bankimport.providers.berlin_group_errors import error_of
from bankimport.providers.berlin_group_oauth import ByOAuth
from bankimport.providers.berlin_group_options import BerlinGroupOptions
from bankimport.providers.berlin_group_reading import consent_of
from bankimport.providers.consenting import for_a_person, id_in, unless_ended
from bankimport.providers.http import BoundedClient, Reply
from bankimport.providers.oauth import authorization_of
from bankimport.providers.psu import headers_of

_O: Final = AuthorisationOutcome
#: the link by which an authorisation is begun with what the person is called at the bank
_BY_NAME: Final = "startAuthorisationWithPsuIdentification"
#: links that ask for more than we have
_MORE: Final = (
    "startAuthorisationWithPsuAuthentication",
    "startAuthorisationWithEncryptedPsuAuthentication",
    "startAuthorisationWithAuthenticationMethodSelection",
    "updatePsuIdentification",
    "updatePsuAuthentication",
    "updateEncryptedPsuAuthentication",
    "selectAuthenticationMethod",
    "authoriseTransaction",
)
#: how long a bank is given to know of the consent that a person has just given
_SETTLING: Final = (timedelta(milliseconds=300), timedelta(seconds=1), timedelta(seconds=3))
#: whatever of the account the bank lets the person choose, or all that PSD2 allows without a choice here
_ACCESS: Final[Mapping[str, Mapping[str, Any]]] = {
    "bank-offered": {"accounts": [], "balances": [], "transactions": []},
    "all-accounts": {"allPsd2": "allAccounts"},
}


class BerlinGroupConsent:
    """A `ConsentFlow` for one bank. How the person authorises is the bank's choice: its answer's links say it."""

    def __init__(self, options: BerlinGroupOptions, client: BoundedClient, server: AuthorizationServer) -> None:
        self._options, self._client = options, client
        self._oauth = ByOAuth(server, client.base, options.oauth_scope)

    async def begin(self, request: ConsentRequest) -> Begun:
        """See `ConsentFlow`. The state is in the address to which the bank sends the person back, whatever happens."""
        if request.institution is not None:
            raise InvalidRequest("/institution", "this bank is one: name none")
        headers = self._wishes(request)
        until = datetime.now(UTC).date() + timedelta(days=self._options.consent_days)
        body = {
            "access": _ACCESS[self._options.consent_access],
            "recurringIndicator": True,
            "validUntil": until.isoformat(),
            "frequencyPerDay": 4,
            "combinedServiceIndicator": False,
        }
        url = self._client.path("v1", "consents")
        answer = an_object((await self._send("POST", url, headers, body, request.psu)).body, Scope.CONSENT)
        consent_id = id_in(answer, "consentId")
        return await self._begun(consent_id, await self._started(answer, headers, request), request)

    async def _started(
        self, answer: Mapping[str, Any], headers: Mapping[str, str], request: ConsentRequest
    ) -> Mapping[str, Any]:
        """Return the answer that says where the person goes; some banks begin the authorisation only when asked to."""
        if _link(answer, "scaRedirect") is not None or _link(answer, "scaOAuth") is not None:
            return answer
        start = _link(answer, "startAuthorisation") or _link(answer, _BY_NAME)
        if start is None:
            return answer
        if _link(answer, _BY_NAME) is not None and not request.psu_id:
            raise InvalidRequest("/psuId", "must say what the person is called at this bank: it asks them in its app")
        url = self._client.resolve(start, self._client.base, root="v1/")
        return an_object((await self._send("POST", url, headers, {}, request.psu)).body, Scope.CONSENT)

    def _wishes(self, request: ConsentRequest) -> dict[str, str]:
        """Return the headers that say how the person would authorise, and where they come back to."""
        back = URL(request.redirect_url).update_query(state=request.state)
        return {
            "TPP-Redirect-Preferred": "true" if self._options.approach == "redirect" else "false",
            "TPP-Redirect-URI": str(back),
            "TPP-Nok-Redirect-URI": str(back.update_query({RESULT: NOK})),
            **({"Accept-Language": request.language} if request.language else {}),
            **({"PSU-ID": request.psu_id} if request.psu_id else {}),
        }

    async def _begun(self, consent_id: str, answer: Mapping[str, Any], request: ConsentRequest) -> Begun:
        """Return where the person goes: to the bank's page, to its authorization server, or nowhere."""
        status = _link(answer, "scaStatus")
        details = {} if status is None else {"scaStatus": status}
        redirect, oauth = _link(answer, "scaRedirect"), _link(answer, "scaOAuth")
        if redirect is not None:
            return Begun(for_a_person(redirect), consent_id, details)
        if oauth is not None:
            return await self._oauth.begin(oauth, consent_id, details, request)
        if status is None or any(_link(answer, name) for name in _MORE):
            raise Unsupported("the bank wants the person's password or choice through us", scope=Scope.CONSENT)
        message = (text_of(answer, "psuMessage") or "")[:500]
        return Begun(None, consent_id, details, message=message or None)

    async def status(self, begun: Begun) -> ConsentStatus:
        """See `ConsentFlow`. A consent that still waits may never be given: its authorisation says so."""
        status = consent_of(await self._consent(begun, {}, None)).status
        if status is ConsentStatus.PENDING and await self._sca_status(begun, None) == "failed":
            return ConsentStatus.REVOKED
        return status

    async def finish(self, begun: Begun, callback: Callback, psu: PsuContext | None) -> Granted:
        """See `ConsentFlow`. The redirect is no proof of anything: the consent's own status is."""
        credentials = await self._oauth.credentials(begun, callback)
        body = await self._settled(begun, callback, authorization_of(credentials), psu)
        consent = consent_of(body)
        if consent.status is ConsentStatus.VALID:
            return Granted(begun.consent_id or "", _last_day(consent.valid_until), credentials)
        raise NotGranted(await self._whose_doing(begun, _status(body), psu))

    async def _settled(
        self, begun: Begun, callback: Callback, headers: Mapping[str, str], psu: PsuContext | None
    ) -> Mapping[str, Any]:
        """Return the consent; where the person comes back without an error, a bank may need a moment to know of it."""
        body = await self._consent(begun, headers, psu)
        for wait in () if callback.is_failure else _SETTLING:
            if _status(body) != "received":
                break
            await asyncio.sleep(wait.total_seconds())
            body = await self._consent(begun, headers, psu)
        return body

    async def _consent(self, begun: Begun, headers: Mapping[str, str], psu: PsuContext | None) -> Mapping[str, Any]:
        url = self._client.path("v1", "consents", begun.consent_id or "-")
        return an_object((await self._send("GET", url, headers, None, psu)).body, Scope.CONSENT)

    async def _whose_doing(self, begun: Begun, status: str, psu: PsuContext | None) -> AuthorisationOutcome:
        """Return who ended it. `rejected` is said for both, so that the authorisation's own status decides."""
        if status in ("received", "revokedbypsu"):
            return _O.CANCELLED
        if status != "rejected":
            return _O.BANK_FAILED
        try:
            sca_status = await self._sca_status(begun, psu)
        except (MalformedData, Transient, ReauthRequired):
            return _O.CANCELLED
        return _O.BANK_FAILED if sca_status == "failed" else _O.CANCELLED

    async def _sca_status(self, begun: Begun, psu: PsuContext | None) -> str | None:
        """Return how the authorisation stands, where the bank has said where that is told."""
        link = begun.details.get("scaStatus")
        if link is None:
            return None
        url = self._client.resolve(link, self._client.base, root="v1/")
        body = an_object((await self._send("GET", url, {}, None, psu)).body, Scope.CONSENT)
        return text_of(body, "scaStatus")

    async def revoke(self, connection: BankConnection) -> None:
        """See `ConsentFlow`."""
        url = self._client.path("v1", "consents", connection.consent_id or "-")
        with unless_ended():
            await self._send("DELETE", url, authorization_of(connection.credentials), None, None)

    async def banks(self, country: str | None = None) -> Sequence[Institution]:
        """See `ConsentFlow`: there is but one."""
        return ()

    def _person(self, psu: PsuContext | None) -> Mapping[str, str]:
        """Return the person's headers; where they aren't known our own address is sent, as the standard has it."""
        if psu is None and self._options.own_address is not None:
            return {"PSU-IP-Address": self._options.own_address}
        return headers_of(psu)

    async def _send(
        self, method: str, url: URL, more: Mapping[str, str], body: Mapping[str, Any] | None, psu: PsuContext | None
    ) -> Reply:
        text = b"" if body is None else json.dumps(body).encode()
        headers = {
            "X-Request-ID": str(uuid.uuid4()),
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            **({"Content-Type": "application/json"} if body is not None else {}),
            **more,
            **self._person(psu),
        }
        if self._options.sign is not None:
            headers |= self._options.sign(method, str(url), headers, text)
        reply = await self._client.send(method, url, headers, Scope.CONSENT, text or None)
        if reply.is_success:
            return reply
        raise error_of(reply, Scope.CONSENT, datetime.now(UTC))


def _link(answer: Mapping[str, Any], name: str) -> str | None:
    links = answer.get("_links")
    link = links.get(name) if isinstance(links, dict) else None
    return text_of(link, "href") if isinstance(link, dict) else link if isinstance(link, str) else None


def _status(body: Mapping[str, Any]) -> str:
    return (text_of(body, "consentStatus") or "").casefold()


def _last_day(day: date | None) -> date | None:
    """9999-12-31 is the bank's maximum, which it doesn't tell."""
    return None if day == date(9999, 12, 31) else day
