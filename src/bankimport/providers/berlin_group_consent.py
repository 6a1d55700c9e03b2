"""How a person gives a Berlin Group bank their consent: by a redirect to the bank's pages (NextGenPSD2 1.3, 6.3)."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from yarl import URL

from bankimport.errors import InvalidRequest, MalformedData, NotGranted, ReauthRequired, Transient
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
from bankimport.providers.berlin_group_errors import error_of
from bankimport.providers.berlin_group_options import BerlinGroupOptions
from bankimport.providers.berlin_group_reading import consent_of
from bankimport.providers.http import BoundedClient, Reply
from bankimport.providers.person_urls import for_a_person
from bankimport.providers.psu import headers_of

_O: Final = AuthorisationOutcome
#: whatever of the account the bank lets the person choose, or all that PSD2 allows without a choice here
_ACCESS: Final[Mapping[str, Mapping[str, Any]]] = {
    "bank-offered": {"accounts": [], "balances": [], "transactions": []},
    "all-accounts": {"allPsd2": "allAccounts"},
}


class BerlinGroupConsent:
    """A `ConsentFlow` for one bank."""

    def __init__(self, options: BerlinGroupOptions, client: BoundedClient) -> None:
        self._options, self._client = options, client

    async def begin(self, request: ConsentRequest) -> Begun:
        """See `ConsentFlow`. The state is in the address to which the bank sends the person back, whatever happens."""
        if request.institution is not None:
            raise InvalidRequest("/institution", "this bank is one: name none")
        back = URL(request.redirect_url).update_query(state=request.state)
        headers = {
            "TPP-Redirect-Preferred": "true",
            "TPP-Redirect-URI": str(back),
            "TPP-Nok-Redirect-URI": str(back.update_query({RESULT: NOK})),
            **({"Accept-Language": request.language} if request.language else {}),
        }
        until = datetime.now(UTC).date() + timedelta(days=self._options.consent_days)
        body = {
            "access": _ACCESS[self._options.consent_access],
            "recurringIndicator": True,
            "validUntil": until.isoformat(),
            "frequencyPerDay": 4,
            "combinedServiceIndicator": False,
        }
        reply = await self._send("POST", self._client.path("v1", "consents"), headers, body, request.psu)
        return self._begun(an_object(reply.body, Scope.CONSENT))

    def _begun(self, answer: Mapping[str, Any]) -> Begun:
        consent_id = text_of(answer, "consentId")
        if not consent_id or len(consent_id) > 512:
            raise MalformedData("the bank's consent has no id", scope=Scope.CONSENT)
        redirect = _link(answer, "scaRedirect")
        if redirect is None:
            raise MalformedData("the bank's consent has no address for its person", scope=Scope.CONSENT)
        status = _link(answer, "scaStatus")
        return Begun(for_a_person(redirect), consent_id, {} if status is None else {"scaStatus": status})

    async def finish(self, begun: Begun, callback: Callback, psu: PsuContext | None) -> Granted:
        """See `ConsentFlow`. The redirect is no proof of anything: the consent's own status is."""
        url = self._client.path("v1", "consents", begun.consent_id or "-")
        body = an_object((await self._send("GET", url, {}, None, psu)).body, Scope.CONSENT)
        consent = consent_of(body)
        if consent.status is ConsentStatus.VALID:
            return Granted(begun.consent_id or "", _last_day(consent.valid_until))
        raise NotGranted(await self._whose_doing(begun, text_of(body, "consentStatus") or "", psu))

    async def _whose_doing(self, begun: Begun, status: str, psu: PsuContext | None) -> AuthorisationOutcome:
        """Return who ended it. `rejected` is said for both, so that the authorisation's own status decides."""
        if status in ("received", "revokedByPsu"):
            return _O.CANCELLED
        if status != "rejected":
            return _O.BANK_FAILED
        link = begun.details.get("scaStatus")
        if link is None:
            return _O.CANCELLED
        try:
            url = self._client.resolve(link, self._client.base)
            body = an_object((await self._send("GET", url, {}, None, psu)).body, Scope.CONSENT)
        except (MalformedData, Transient, ReauthRequired):
            return _O.CANCELLED
        return _O.BANK_FAILED if text_of(body, "scaStatus") == "failed" else _O.CANCELLED

    async def revoke(self, connection: BankConnection) -> None:
        """See `ConsentFlow`."""
        url = self._client.path("v1", "consents", connection.consent_id or "-")
        token = (connection.credentials or {}).get("access_token")
        headers = {"Authorization": f"Bearer {token}"} if isinstance(token, str) else {}
        try:
            await self._send("DELETE", url, headers, None, None)
        except ReauthRequired as error:
            if error.suspicious:
                raise

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
        if reply.status in (200, 201, 202, 204):
            return reply
        raise error_of(reply, Scope.CONSENT, datetime.now(UTC))


def _link(answer: Mapping[str, Any], name: str) -> str | None:
    links = answer.get("_links")
    link = links.get(name) if isinstance(links, dict) else None
    return text_of(link, "href") if isinstance(link, dict) else link if isinstance(link, str) else None


def _last_day(day: date | None) -> date | None:
    """9999-12-31 is the bank's maximum, which it doesn't tell."""
    return None if day == date(9999, 12, 31) else day
