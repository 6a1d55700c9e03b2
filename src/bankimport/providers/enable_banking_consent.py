"""How a person gives a consent through Enable Banking: `/auth`, the bank's pages, then a session for the code."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bankimport.errors import InvalidRequest, MalformedData, NotGranted, ReauthRequired, Unsupported
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
from bankimport.providers.answers import an_object, text_of
from bankimport.providers.consenting import for_a_person, id_in, unless_ended
from bankimport.reading.amounts import Unreadable, read_day

#: sends a request to a path, with a body; returns the JSON of a success
Send = Callable[[str, Sequence[str], Mapping[str, Any] | None, PsuContext | None], Awaitable[Any]]
#: a moment less than their longest, so that two clocks needn't agree
_SKEW: Final = timedelta(minutes=10)
#: what the person has to do, or had to
_NOT_GRANTED: Final = {"authorisation": AuthorisationOutcome.FAILED, "no-accounts": AuthorisationOutcome.CANCELLED}


class EnableBankingConsent:
    """A `ConsentFlow` for all banks that are reached through them. An institution is `DE:name`."""

    def __init__(
        self, send: Send, banks: Callable[[str | None], Awaitable[Sequence[Institution]]], longest: timedelta, kind: str
    ) -> None:
        self._send, self._banks, self._longest, self._kind = send, banks, longest, kind

    async def begin(self, request: ConsentRequest) -> Begun:
        """See `ConsentFlow`."""
        country, colon, name = (request.institution or "").partition(":")
        if not colon or not name or len(country) != 2:
            raise InvalidRequest("/institution", "must name a bank, as the list of banks does: DE:Name")
        until = datetime.now(UTC) + self._longest - _SKEW
        body = {
            "access": {"valid_until": until.isoformat(), "balances": True, "transactions": True},
            "aspsp": {"name": name, "country": country.upper()},
            "state": request.state,
            "redirect_url": request.redirect_url,
            "psu_type": self._kind,
            **({"language": request.language} if request.language else {}),
        }
        try:
            answer = an_object(await self._send("POST", ("auth",), body, request.psu), Scope.CONSENT)
        except Unsupported:
            raise InvalidRequest("/institution", "is no bank that is known there, or it wants more") from None
        url = text_of(answer, "url")
        if not url:
            raise MalformedData("there is no address for the person", scope=Scope.CONSENT)
        return Begun(for_a_person(url))

    async def finish(self, begun: Begun, callback: Callback, psu: PsuContext | None) -> Granted:
        """See `ConsentFlow`. The code is good for one use."""
        code = callback.parameters.get("code")
        if not code:
            raise NotGranted(AuthorisationOutcome.BANK_FAILED)
        try:
            answer = an_object(await self._send("POST", ("sessions",), {"code": code}, psu), Scope.CONSENT)
        except ReauthRequired as error:
            raise NotGranted(_NOT_GRANTED.get(error.reason, AuthorisationOutcome.BANK_FAILED)) from None
        session = id_in(answer, "session_id")
        access = answer.get("access")
        try:
            until = read_day(access.get("valid_until") if isinstance(access, dict) else None)
        except Unreadable:
            until = None
        return Granted(session, until)

    async def status(self, begun: Begun) -> ConsentStatus:
        """See `ConsentFlow`. Never asked: there always is an address, and the code comes back to it alone."""
        return ConsentStatus.PENDING

    async def revoke(self, connection: BankConnection) -> None:
        """See `ConsentFlow`."""
        with unless_ended():
            await self._send("DELETE", ("sessions", connection.consent_id or "-"), None, None)

    async def banks(self, country: str | None = None) -> Sequence[Institution]:
        """See `ConsentFlow`."""
        return await self._banks(country)
