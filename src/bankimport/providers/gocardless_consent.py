"""How a person gives a consent through GoCardless: an agreement, a requisition, the bank's pages, its status."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from bankimport.errors import BankRejected, InvalidRequest, MalformedData, NotGranted
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
from bankimport.providers.consenting import for_a_person, id_in, unless_ended

#: sends a request to a path below `/api/v2`, with a query or a body; returns the JSON of a success
Send = Callable[[str, Sequence[str], Mapping[str, str] | None, Mapping[str, Any] | None], Awaitable[Any]]
_O: Final = AuthorisationOutcome
#: banks of one list
_MOST: Final = 10_000


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
            "agreement": id_in(agreement, "id"),
            "reference": request.state,
            "account_selection": False,
            **({"user_language": request.language.upper()} if request.language else {}),
        }
        requisition = await self._send("POST", ("requisitions",), None, asked)
        link = text_of(requisition, "link") if isinstance(requisition, dict) else None
        if not link:
            raise MalformedData("the requisition has no address for the person", scope=Scope.CONSENT)
        return Begun(for_a_person(link), id_in(requisition, "id"))

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
        with unless_ended():
            await self._send("DELETE", ("requisitions", connection.consent_id or "-"), None, None)

    async def banks(self, country: str | None = None) -> Sequence[Institution]:
        """See `ConsentFlow`. Of a bank in many countries it is said which one was asked for."""
        if country is not None and not (len(country) == 2 and country.isascii() and country.isalpha()):
            raise InvalidRequest("/country", "must be two letters")
        query = None if country is None else {"country": country.lower()}
        try:
            listed = await self._send("GET", ("institutions",), query, None)
        except BankRejected as error:
            if error.status != 400 or country is None:
                raise
            raise InvalidRequest("/country", "is none in which there are banks") from None
        if not isinstance(listed, list):
            raise MalformedData("the list of banks is none", scope=Scope.CONSENT)
        return [found for row in listed[:_MOST] if (found := _institution(row, country)) is not None]


def _institution(row: Any, country: str | None) -> Institution | None:
    given = row if isinstance(row, dict) else {}
    bank_id, name, countries = text_of(given, "id"), text_of(given, "name"), given.get("countries")
    first = countries[0] if isinstance(countries, list) and countries and isinstance(countries[0], str) else ""
    days = text_of(given, "max_access_valid_for_days") or ""
    longest = timedelta(days=min(int(days), 180)) if days.isascii() and days[:4].isdigit() else None
    if not bank_id or not name:
        return None
    return Institution(bank_id[:256], name[:256], (country or first)[:2].upper(), longest)
