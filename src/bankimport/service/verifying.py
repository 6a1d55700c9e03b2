"""A consent that was given is looked at before it is the connection's; one that nobody waits for is taken back."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog

from bankimport.access.authorisations import same_login as first_of_same_login
from bankimport.errors import BankImportError, JobError, NotGranted, Retryable
from bankimport.models import (
    Authorisation,
    AuthorisationOutcome,
    BankConnection,
    ConsentStatus,
    Granted,
    PsuContext,
)
from bankimport.service.banking import Banking

_log = structlog.get_logger(__name__)
_O: Final = AuthorisationOutcome
_LOOK: Final = timedelta(milliseconds=250)
#: a new consent is looked at so often where the bank stumbles; until then the old one serves
_TRIES: Final = 3


class Verifying:
    """Asks the bank about consents that are not a connection's yet."""

    def __init__(self, banking: Banking) -> None:
        self._banking = banking

    async def verified(self, found: Authorisation, granted: Granted, psu: PsuContext | None) -> BankConnection:
        """Return the connection with its new consent, once the bank has said that it is valid."""
        known = await self._banking.within(self._banking.store.connection(found.connection_id))
        base = known or BankConnection(found.connection_id, found.org_id, found.bank)
        changed = replace(
            base,
            consent_id=granted.consent_id,
            consent_valid_until=granted.valid_until,
            credentials=base.credentials if granted.credentials is None else granted.credentials,
        )
        provider = self._banking.provider(found.bank)
        for left in reversed(range(_TRIES)):
            try:
                consent = await self._banking.raw(provider.consent(changed, psu))
                break
            except Retryable:
                if not left:
                    raise
                await asyncio.sleep(_LOOK.total_seconds())
        if consent.status is not ConsentStatus.VALID:
            raise NotGranted(_O.BANK_FAILED)
        return changed

    async def same_login(self, found: Authorisation, changed: BankConnection, psu: PsuContext | None) -> str | None:
        """Return another connection of the organisation to the same accounts; a bank that lists none now says none."""
        others = await self._banking.living(found.org_id, found.bank, but=found.connection_id)
        if not others:
            return None
        try:
            listed = await self._banking.raw(self._banking.provider(found.bank).accounts(changed, psu))
        except JobError:
            return None  # the sync reads the list again, and says what is wrong
        return first_of_same_login(listed, [(each.id, await self._banking.accounts(each.id)) for each in others])

    async def take_back(self, found: Authorisation, granted: Granted | None = None) -> None:
        """Withdraw at the bank what nobody waits for any more; where that fails it ends by itself."""
        consent_id = found.begun.consent_id if granted is None else granted.consent_id
        if consent_id is None:
            return
        unwanted = BankConnection(
            found.connection_id,
            found.org_id,
            found.bank,
            consent_id=consent_id,
            credentials=None if granted is None else granted.credentials,
        )
        try:
            await self._banking.raw(self._banking.flow(found.bank).revoke(unwanted))
        except BankImportError as error:
            _log.warning("authorisation.not_taken_back", connection_id=found.connection_id, error_code=error.code)
