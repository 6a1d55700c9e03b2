"""A person connects a bank, or renews the consent: begun here, authorised at the bank, ended by the bank's callback."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from bankimport.access.authorisations import CLAIM, LIFETIME, Action, decide, hashed
from bankimport.errors import (
    AuthorisationRefused,
    BankImportError,
    JobError,
    NotFound,
    NotGranted,
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
    Granted,
    PsuContext,
)
from bankimport.return_paths import with_answer
from bankimport.service.banking import Banking
from bankimport.service.verifying import Verifying
from bankimport.status import ConnectionStatus

_log = structlog.get_logger(__name__)
_O: Final = AuthorisationOutcome
#: whoever comes second waits so long for the one who is asking the bank
_PATIENCE: Final = timedelta(seconds=40)
_LOOK: Final = timedelta(milliseconds=250)
_WHO: Final = "connecting a bank"


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


class Authorising:
    """Begins and ends authorisations. What it may believe is decided in `access.authorisations`."""

    def __init__(self, banking: Banking) -> None:
        self._ = banking
        self._verifying = Verifying(banking)

    async def begin(self, wish: Wish) -> AuthorisationBegun:
        """Ask the bank, and remember what was asked: only then is the person sent there."""
        flow, store = self._.flow(wish.bank), self._.authorisations()
        self._.check_return(wish.return_to)
        state, now = secrets.token_urlsafe(32), self._.clock()
        request = ConsentRequest(
            redirect_url=self._.callback_url(wish.bank, wish.callback_url),
            state=state,
            institution=wish.institution,
            language=wish.language,
            psu=wish.psu,
        )
        begun = await self._.asked(flow.begin(request))
        authorisation = Authorisation(
            id=f"auth_{secrets.token_urlsafe(12)}",
            state_hash=hashed(state),
            org_id=wish.org_id,
            connection_id=wish.connection_id,
            bank=wish.bank,
            user=wish.user,
            is_renewal=wish.is_renewal,
            return_to=wish.return_to,
            begun=replace(begun, url=""),
            created_at=now,
            expires_at=now + LIFETIME,
        )
        await self._.within(store.add_authorisation(authorisation))
        _log.info("authorisation.begun", connection_id=wish.connection_id, bank=wish.bank, renewal=wish.is_renewal)
        return AuthorisationBegun(id=wish.connection_id, url=begun.url, expires_at=authorisation.expires_at)

    async def finish(
        self, bank: str, parameters: Mapping[str, str], *, user: str | None, psu: PsuContext | None
    ) -> AuthorisationEnd:
        """Do what the callback means; a second one has the same answer."""
        callback, store = Callback(parameters), self._.authorisations()
        state_hash = hashed(callback.state)
        until = self._.clock() + _PATIENCE
        while True:
            found = await self._.within(store.authorisation_of(state_hash)) if callback.state else None
            now = self._.clock()
            decision = decide(found, callback, bank=bank, user=user, now=now)
            if decision.action is Action.TELL:
                return await self._tell(decision.outcome or _O.FAILED, bank, user)
            if found is None or decision.action is Action.REFUSE:
                _log.warning("authorisation.refused", bank=bank, reason=decision.reason)
                raise AuthorisationRefused(decision.reason)
            if decision.action is Action.REPEAT:
                return _end_of(found)
            if decision.action is Action.END:
                return await self._end(found, decision.outcome or _O.FAILED, decision.reason)
            if decision.action is Action.ASK and await self._claimed(found, now):
                return await self._ask(found, callback, psu)
            if now > until:
                raise Unavailable("the bank")
            await asyncio.sleep(_LOOK.total_seconds())

    async def status(self, connection_id: str, org_id: str | None) -> AuthorisationStatus:
        """Return how the latest authorisation of a connection stands."""
        found = await self._own(connection_id, org_id)
        is_late = found.step is AuthorisationStep.WAITING and self._.clock() >= found.expires_at
        return AuthorisationStatus(
            id=connection_id,
            state=AuthorisationStep.ENDED if is_late else found.step,
            renewal=found.is_renewal,
            expires_at=found.expires_at,
            outcome=_O.FAILED if is_late else found.outcome,
            reason="too-late" if is_late else found.reason,
            same_login=found.same_login,
        )

    async def give_up(self, connection_id: str, org_id: str | None) -> None:
        """End the authorisation that goes on, if one does: a renewed connection is as it was before."""
        found = await self._own(connection_id, org_id)
        if found.step is AuthorisationStep.ENDED:
            return
        if await self._.within(self._.authorisations().end_authorisation(found.id, _O.CANCELLED, "given-up")):
            await self._verifying.take_back(found, found.begun.consent_id)

    async def _own(self, connection_id: str, org_id: str | None) -> Authorisation:
        found = await self._.within(self._.authorisations().latest_authorisation(connection_id))
        if found is None or org_id not in (None, found.org_id):
            raise NotFound("authorisation")
        return found

    async def _claimed(self, found: Authorisation, now: datetime) -> bool:
        return await self._.within(self._.authorisations().claim_authorisation(found.id, now, now - CLAIM))

    async def _tell(self, outcome: AuthorisationOutcome, bank: str, user: str | None) -> AuthorisationEnd:
        """Answer an error that names no authorisation: nothing is changed by it, since anybody can send it; whose user
        has begun just one is sent back."""
        waiting = await self._.within(self._.authorisations().waiting_authorisations(user or "", bank, self._.clock()))
        places = {each.return_to for each in waiting if each.return_to}
        url = with_answer(places.pop(), {"outcome": outcome.value}) if len(places) == 1 else None
        return AuthorisationEnd(outcome=outcome, reason="no-state", url=url)

    async def _ask(self, found: Authorisation, callback: Callback, psu: PsuContext | None) -> AuthorisationEnd:
        """Ask the bank what came of it; verify the new consent before it takes the old one's place."""
        flow = self._.flow(found.bank)
        granted: Granted | None = None
        try:
            granted = await self._.raw(flow.finish(found.begun, callback, psu))
            verified = await self._verifying.verified(found, granted, psu)
        except NotGranted as error:
            outcome = error.outcome
            return await self._end(found, outcome, "person" if outcome is _O.CANCELLED else "bank")
        except Retryable as error:
            return await self._end(found, _O.BANK_FAILED, error.code)
        except JobError as error:
            _log.error("authorisation.failed", bank=found.bank, error_code=error.code)
            return await self._end(found, _O.FAILED, error.code)
        same = await self._verifying.same_login(found, verified, psu)
        outcome = _O.RENEWED if found.is_renewal else _O.CONNECTED
        return await self._end(found, outcome, None, granted=granted, same=same, psu=psu)

    async def _end(
        self,
        found: Authorisation,
        outcome: AuthorisationOutcome,
        reason: str | None,
        *,
        granted: Granted | None = None,
        same: str | None = None,
        psu: PsuContext | None = None,
    ) -> AuthorisationEnd:
        """Write the end. If somebody has ended it meanwhile (given up, begun anew), what was granted is taken back."""
        store = self._.authorisations()
        ended = await self._.within(
            store.end_authorisation(found.id, outcome, reason, granted=granted, same_login=same)
        )
        now = await self._.within(store.authorisation_of(found.state_hash))
        _log.info("authorisation.ended", connection_id=found.connection_id, outcome=outcome.value, reason=reason)
        if ended:
            await self._note(found, outcome)
        if not ended and granted is not None:
            await self._verifying.take_back(found, granted.consent_id)
        if ended and granted is not None:
            await self._begin_import(found.connection_id, psu)
        return _end_of(now or replace(found, outcome=outcome, reason=reason))

    async def _note(self, found: Authorisation, outcome: AuthorisationOutcome) -> None:
        action, subject = "renew" if found.is_renewal else "connect", f"connection:{found.connection_id}"
        facts = {"org_id": found.org_id, "subject": subject, "who": found.user}
        await self._.audit.note(f"connection.{action}", **facts, bank=found.bank, outcome=outcome.value)

    async def _begin_import(self, connection_id: str, psu: PsuContext | None) -> None:
        """Import while the person is there; where the queue is away the schedule does it."""
        connection = await self._.within(self._.store.connection(connection_id))
        if connection is None or connection.status is not ConnectionStatus.ACTIVE:
            return
        try:
            await self._.within(self._.jobs.begin(connection, psu, _WHO))
        except BankImportError as error:
            _log.warning("authorisation.import_not_begun", connection_id=connection_id, error_code=error.code)


def _end_of(found: Authorisation) -> AuthorisationEnd:
    outcome = found.outcome or _O.FAILED
    answer = {"connection": found.connection_id, "outcome": outcome.value}
    if found.same_login is not None:
        answer["sameLogin"] = found.same_login
    return AuthorisationEnd(
        outcome=outcome,
        connection_id=found.connection_id,
        reason=found.reason,
        same_login=found.same_login,
        url=None if found.return_to is None else with_answer(found.return_to, answer),
    )
