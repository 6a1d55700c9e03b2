"""How a person gives a consent through GoCardless: an agreement, a requisition, the bank's pages, its status."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from bankimport.errors import BankRejected, InvalidRequest, MalformedData, NotGranted, ReauthRequired
from bankimport.models import (
    AuthorisationOutcome,
    BankConnection,
    Begun,
    Callback,
    Consent,
    ConsentRequest,
    ConsentStatus,
    Granted,
    Institution,
    PsuContext,
    Scope,
)
from bankimport.providers.answers import text_of
from bankimport.providers.person_urls import for_a_person

#: sends a request to a path below `/api/v2`, with a query or a body; returns the JSON of a success
Send = Callable[[str, Sequence[str], Mapping[str, str] | None, Mapping[str, Any] | None], Awaitable[Any]]
_O: Final = AuthorisationOutcome


class GoCardlessConsent:
    """A `ConsentFlow` for their banks. An institution is an id of theirs, such as `SANDBOXFINANCE_SFIN0000`."""

    def __init__(
        self,
        send: Send,
        consent: Callable[[BankConnection, PsuContext | None], Awaitable[Consent]],
        days: int,
        history: int,
    ) -> None:
        self._send, self._consent, self._days, self._history = send, consent, days, history

    async def begin(self, request: ConsentRequest) -> Begun:
        """See `ConsentFlow`. The reference that comes back is the state."""
        if not request.institution:
            raise InvalidRequest("/institution", "must name a bank by its id there")
        wanted = {
            "institution_id": request.institution,
            "max_historical_days": self._history,
            "access_valid_for_days": self._days,
            "access_scope": ["balances", "details", "transactions"],
        }
        try:
            agreement = await self._send("POST", ("agreements", "enduser"), None, wanted)
        except BankRejected as error:
            if error.status not in (400, 404):
                raise
            raise InvalidRequest("/institution", "is no bank that is known there, or it allows less") from None
        asked = {
            "redirect": request.redirect_url,
            "institution_id": request.institution,
            "agreement": _id_of(agreement),
            "reference": request.state,
            "account_selection": False,
            **({"user_language": request.language.upper()} if request.language else {}),
        }
        requisition = await self._send("POST", ("requisitions",), None, asked)
        link = text_of(requisition, "link") if isinstance(requisition, dict) else None
        if not link:
            raise MalformedData("the requisition has no address for the person", scope=Scope.CONSENT)
        return Begun(for_a_person(link), _id_of(requisition))

    async def status(self, begun: Begun) -> ConsentStatus:
        """See `ConsentFlow`."""
        return (await self._consent(BankConnection("", "", "", consent_id=begun.consent_id), None)).status

    async def finish(self, begun: Begun, callback: Callback, psu: PsuContext | None) -> Granted:
        """See `ConsentFlow`. The redirect is no proof of anything: the requisition's status is."""
        asked = BankConnection("", "", "", consent_id=begun.consent_id)
        consent = await self._consent(asked, psu)
        if consent.status is not ConsentStatus.VALID:
            is_left = consent.status is ConsentStatus.PENDING
            raise NotGranted(_O.CANCELLED if is_left else _O.BANK_FAILED)
        return Granted(begun.consent_id or "", consent.valid_until)

    async def revoke(self, connection: BankConnection) -> None:
        """See `ConsentFlow`. Its agreement goes with the requisition."""
        try:
            await self._send("DELETE", ("requisitions", connection.consent_id or "-"), None, None)
        except ReauthRequired as error:
            if error.suspicious:
                raise

    async def banks(self, country: str | None = None) -> Sequence[Institution]:
        """See `ConsentFlow`."""
        if country is None or len(country) != 2 or not country.isalpha():
            raise InvalidRequest("/country", "must be two letters")
        listed = await self._send("GET", ("institutions",), {"country": country.lower()}, None)
        return [found for row in listed[:10_000] if (found := _institution(row))] if isinstance(listed, list) else []


def _institution(row: Any) -> Institution | None:
    given = row if isinstance(row, dict) else {}
    bank_id, name, countries = text_of(given, "id"), text_of(given, "name"), given.get("countries")
    country = countries[0] if isinstance(countries, list) and countries and isinstance(countries[0], str) else ""
    return Institution(bank_id[:256], name[:256], country[:2].upper()) if bank_id and name else None


def _id_of(answer: Any) -> str:
    found = text_of(answer, "id") if isinstance(answer, dict) else None
    if not found or len(found) > 512:
        raise MalformedData("the answer has no id", scope=Scope.CONSENT)
    return found
