"""How an authorisation ends: the bank is asked what came of it, the new consent is verified, and the end is written."""

from dataclasses import replace
from typing import Final

import structlog

from bankimport.errors import BankImportError, JobError, NotGranted, Retryable
from bankimport.models import (
    Authorisation,
    AuthorisationEnd,
    AuthorisationOutcome,
    Callback,
    Granted,
    PsuContext,
)
from bankimport.return_paths import with_answer
from bankimport.service.banking import Banking
from bankimport.service.verifying import Verifying
from bankimport.status import ConnectionStatus

_log = structlog.get_logger(__name__)
_O: Final = AuthorisationOutcome
_WHO: Final = "connecting a bank"


class Ending:
    """Ends authorisations, each once, whoever asks."""

    def __init__(self, banking: Banking) -> None:
        self._banking = banking
        self._verifying = Verifying(banking)

    async def give_up(self, found: Authorisation) -> None:
        """End one because the person has come back by another way, and take back what they may have consented to."""
        if await self._banking.within(
            self._banking.authorisations().end_authorisation(found.id, _O.CANCELLED, "given-up")
        ):
            await self._verifying.take_back(found)

    async def ask(self, found: Authorisation, callback: Callback, psu: PsuContext | None) -> AuthorisationEnd:
        """Ask the bank what came of it; verify the new consent before it takes the old one's place."""
        flow = self._banking.flow(found.bank)
        granted: Granted | None = None
        try:
            granted = await self._banking.raw(flow.finish(found.begun, callback, psu))
            verified = await self._verifying.verified(found, granted, psu)
        except JobError as error:
            outcome, reason = _meaning(error)
            if outcome is _O.FAILED:
                _log.error("authorisation.failed", bank=found.bank, reason=reason)
            if granted is not None or outcome is _O.FAILED:  # a consent may be there that nobody can use
                await self._verifying.take_back(found, granted)
            return await self.end(found, outcome, reason)
        same = await self._verifying.same_login(found, verified, psu)
        outcome = _O.RENEWED if found.is_renewal else _O.CONNECTED
        return await self.end(found, outcome, None, granted=granted, same=same, psu=psu)

    async def end(
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
        store = self._banking.authorisations()
        ended = await self._banking.within(
            store.end_authorisation(found.id, outcome, reason, granted=granted, same_login=same)
        )
        now = await self._banking.within(store.authorisation_of(found.state_hash))
        _log.info("authorisation.ended", connection_id=found.connection_id, outcome=outcome.value, reason=reason)
        if ended:
            await self._note(found, outcome)
        if not ended and granted is not None and not await self._serves(found.connection_id, granted.consent_id):
            await self._verifying.take_back(found, granted)
        if ended and granted is not None:
            await self._begin_import(found.connection_id, psu)
        return end_of(now or replace(found, outcome=outcome, reason=reason))

    async def _note(self, found: Authorisation, outcome: AuthorisationOutcome) -> None:
        action, subject = "renew" if found.is_renewal else "connect", f"connection:{found.connection_id}"
        facts = {"org_id": found.org_id, "subject": subject, "who": found.user}
        await self._banking.audit.note(f"connection.{action}", **facts, bank=found.bank, outcome=outcome.value)

    async def _serves(self, connection_id: str, consent_id: str) -> bool:
        """Return whether the consent is the connection's already: another request has asked the bank as well."""
        connection = await self._banking.within(self._banking.store.connection(connection_id))
        return connection is not None and connection.consent_id == consent_id

    async def _begin_import(self, connection_id: str, psu: PsuContext | None) -> None:
        """Import while the person is there; where the queue is away the schedule does it."""
        connection = await self._banking.within(self._banking.store.connection(connection_id))
        if connection is None or connection.status is not ConnectionStatus.ACTIVE:
            return
        try:
            await self._banking.within(self._banking.jobs.begin(connection, psu, _WHO))
        except BankImportError as error:
            _log.warning("authorisation.import_not_begun", connection_id=connection_id, error_code=error.code)


def _meaning(error: JobError) -> tuple[AuthorisationOutcome, str]:
    """Return how it ends with an error, and why, in a word for the log and the status."""
    if isinstance(error, NotGranted):
        # a code is good for one use: a process that died with its answer has used it up
        words = {_O.CANCELLED: "person", _O.FAILED: "code-used"}
        return error.outcome, words.get(error.outcome, "bank")
    return (_O.BANK_FAILED if isinstance(error, Retryable) else _O.FAILED), error.code


def end_of(found: Authorisation) -> AuthorisationEnd:
    """Return how an authorisation ended, and where its person goes on to."""
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
