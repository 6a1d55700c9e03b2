"""A person connects a bank, or renews the consent: begun here, authorised at the bank, ended by the bank's callback."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from bankimport.access.authorisations import CLAIM, LIFETIME, POLL, Action, decide, has_died, hashed
from bankimport.errors import (
    AuthorisationRefused,
    JobError,
    NotFound,
    Retryable,
    Unavailable,
)
from bankimport.models import (
    Authorisation,
    AuthorisationBegun,
    AuthorisationEnd,
    AuthorisationOutcome,
    AuthorisationStatus,
    AuthorisationStep,
    Callback,
    ConsentRequest,
    ConsentStatus,
    PsuContext,
)
from bankimport.models.authorisations import DECOUPLED
from bankimport.return_paths import with_answer
from bankimport.service.banking import Banking
from bankimport.service.ending import Ending, end_of
from bankimport.service.looking_after import LookingAfter

_log = structlog.get_logger(__name__)
_O: Final = AuthorisationOutcome
#: whoever comes second waits so long for the one who is asking the bank
_PATIENCE: Final = timedelta(seconds=40)
_LOOK: Final = timedelta(milliseconds=250)


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants to connect what, and where the person comes back to."""

    org_id: str
    bank: str
    user: str
    connection_id: str
    is_renewal: bool
    institution: str | None = None
    language: str | None = None
    return_to: str | None = None
    callback_url: str | None = None
    psu: PsuContext | None = None
    psu_id: str | None = None


class Authorising:
    """Begins and ends authorisations. What it may believe is decided in `access.authorisations`."""

    def __init__(self, banking: Banking) -> None:
        self._banking = banking
        self._ending = Ending(banking)
        self.looking_after = LookingAfter(banking, self._looked)

    async def begin(self, wish: Wish) -> AuthorisationBegun:
        """Ask the bank, and remember what was asked: only then is the person sent there."""
        flow, store = self._banking.flow(wish.bank), self._banking.authorisations()
        self._banking.check_return(wish.return_to)
        state, now = secrets.token_urlsafe(32), self._banking.clock()
        request = ConsentRequest(
            redirect_url=self._banking.callback_url(wish.bank, wish.callback_url),
            state=state,
            institution=wish.institution,
            language=wish.language,
            psu=wish.psu,
            psu_id=wish.psu_id,
        )
        begun = await self._banking.asked(flow.begin(request))
        details = begun.details if begun.url is not None else {**begun.details, DECOUPLED: "yes"}
        authorisation = Authorisation(
            id=f"auth_{secrets.token_urlsafe(12)}",
            state_hash=hashed(state),
            org_id=wish.org_id,
            connection_id=wish.connection_id,
            bank=wish.bank,
            user=wish.user,
            is_renewal=wish.is_renewal,
            return_to=wish.return_to,
            begun=replace(begun, url="", message=None, details=details),
            created_at=now,
            expires_at=now + LIFETIME,
            institution=wish.institution,
        )
        await self._banking.within(store.add_authorisation(authorisation))
        if authorisation.is_decoupled:
            self.looking_after.begin(authorisation)
        _log.info("authorisation.begun", connection_id=wish.connection_id, bank=wish.bank, renewal=wish.is_renewal)
        return AuthorisationBegun(
            id=wish.connection_id, url=begun.url, message=begun.message, expires_at=authorisation.expires_at
        )

    async def finish(
        self, bank: str, parameters: Mapping[str, str], *, user: str | None, psu: PsuContext | None
    ) -> AuthorisationEnd:
        """Do what the callback means; a second one has the same answer."""
        callback, store = Callback(parameters), self._banking.authorisations()
        state_hash = hashed(callback.state)
        until = self._banking.clock() + _PATIENCE
        while True:
            found = await self._banking.within(store.authorisation_of(state_hash)) if callback.state else None
            now = self._banking.clock()
            decision = decide(found, callback, bank=bank, user=user, now=now)
            if decision.action is Action.TELL:
                return await self._tell(decision.outcome or _O.FAILED, bank, user)
            if found is None or decision.action is Action.REFUSE:
                _log.warning("authorisation.refused", bank=bank, reason=decision.reason)
                raise AuthorisationRefused(decision.reason)
            if decision.action is Action.REPEAT:
                return end_of(found)
            if decision.action is Action.END:
                return await self._ending.end(found, decision.outcome or _O.FAILED, decision.reason)
            if decision.action is Action.ASK and await self._claimed(found, now):
                return await self._ending.ask(found, callback, psu)
            if now > until:
                raise Unavailable("the bank")
            await asyncio.sleep(_LOOK.total_seconds())

    async def status(
        self, connection_id: str, org_id: str | None, *, user: str | None = None, psu: PsuContext | None = None
    ) -> AuthorisationStatus:
        """Return how the latest authorisation of a connection stands; the bank is asked where the person doesn't come
        back from it. `user` is who asks, `psu` their address, which is passed on if it is they who began."""
        found = await self._own(connection_id, org_id)
        if found.is_decoupled and found.step is not AuthorisationStep.ENDED:
            found = await self._looked(found, psu if user == found.user else None)
        is_late = has_died(found, self._banking.clock())
        step = AuthorisationStep.WAITING if found.is_decoupled and not found.outcome else found.step
        return AuthorisationStatus(
            id=connection_id,
            state=AuthorisationStep.ENDED if is_late else step,
            renewal=found.is_renewal,
            expires_at=found.expires_at,
            outcome=_O.FAILED if is_late else found.outcome,
            reason="too-late" if is_late else found.reason,
            same_login=found.same_login,
        )

    async def _looked(self, found: Authorisation, psu: PsuContext | None = None) -> Authorisation:
        """Return the authorisation after the bank was asked how it stands, at most once in a while by all who ask."""
        now = self._banking.clock()
        if now >= found.expires_at:
            await self._ending.end(found, _O.FAILED, "too-late")
        elif await self._banking.within(self._banking.authorisations().claim_authorisation(found.id, now, now - POLL)):
            try:
                status = await self._banking.raw(self._banking.flow(found.bank).status(found.begun))
            except Retryable:
                status = ConsentStatus.PENDING
            except JobError as error:
                await self._ending.end(found, _O.FAILED, error.code)
                status = ConsentStatus.PENDING
            if status is not ConsentStatus.PENDING:
                await self._ending.ask(found, Callback({}), psu)
        return await self._banking.within(self._banking.authorisations().authorisation_of(found.state_hash)) or found

    async def give_up(self, connection_id: str, org_id: str | None) -> None:
        """End the authorisation that goes on, if one does: a renewed connection is as it was before."""
        found = await self._own(connection_id, org_id)
        if found.step is AuthorisationStep.ENDED:
            return
        await self._ending.give_up(found)

    async def _own(self, connection_id: str, org_id: str | None) -> Authorisation:
        found = await self._banking.within(self._banking.authorisations().latest_authorisation(connection_id))
        if found is None or org_id not in (None, found.org_id):
            raise NotFound("authorisation")
        return found

    async def _claimed(self, found: Authorisation, now: datetime) -> bool:
        return await self._banking.within(
            self._banking.authorisations().claim_authorisation(found.id, now, now - CLAIM)
        )

    async def _tell(self, outcome: AuthorisationOutcome, bank: str, user: str | None) -> AuthorisationEnd:
        """Answer an error that names no authorisation: nothing is changed by it, since anybody can send it; whose user
        has begun just one is sent back."""
        waiting = await self._banking.within(
            self._banking.authorisations().waiting_authorisations(user or "", bank, self._banking.clock())
        )
        places = {each.return_to for each in waiting if each.return_to}
        url = with_answer(places.pop(), {"outcome": outcome.value}) if len(places) == 1 else None
        return AuthorisationEnd(outcome=outcome, reason="no-state", url=url)
