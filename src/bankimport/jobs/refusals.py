"""When a bank refuses: is it the person's consent, our own key, or a blip? (banking.md §3)"""

from dataclasses import replace
from typing import Final

from bankimport.access.consents import REVOKED, has_ended
from bankimport.errors import ConsentExpired, CredentialError, JobError, ReauthRequired, Retryable, Transient
from bankimport.events import ConnectionRevoked, ReauthRequiredEvent
from bankimport.jobs.access import Deferred
from bankimport.jobs.sync_account import Ground
from bankimport.models import BankConnection, Consent, ConsentStatus
from bankimport.ports import BankStore, Clock
from bankimport.progress import JobRun
from bankimport.status import ConnectionStatus

_ALL_BUT_CUT: Final = (ConnectionStatus.ACTIVE, ConnectionStatus.ERROR, ConnectionStatus.REQUIRES_REAUTH)


async def with_valid_consent(ground: Ground) -> BankConnection:
    """Return the connection as it is now. Refuse an ended consent, unless the bank says that it was renewed."""
    connection, today = ground.connection, ground.clock().date()
    if not has_ended(connection.consent_valid_until, today):
        return connection
    consent = await ground.access.consent()
    if consent.status is not ConsentStatus.VALID or has_ended(consent.valid_until, today):
        raise ConsentExpired(connection.id, connection.consent_valid_until)
    ground.run.ensure_owned()
    await ground.store.set_consent(connection.id, consent)
    return replace(connection, consent_valid_until=consent.valid_until)


async def confirmed(error: ReauthRequired, ground: Ground) -> JobError:
    """Return what a refusal really means: a bare 401 is confirmed by asking for the consent once (banking.md §3)."""
    if not error.suspicious:
        return error
    try:
        consent = await _consent(ground)
    except ReauthRequired as told:
        return ReauthRequired(told.reason, scope=error.scope)
    except Deferred:
        return Transient("the bank's refusal can't be confirmed yet", scope=error.scope)
    except JobError as unsure:
        if isinstance(unsure, CredentialError | Retryable):
            return unsure
        return Transient("the bank's refusal could not be confirmed", scope=error.scope)
    if consent.status is ConsentStatus.VALID and not has_ended(consent.valid_until, ground.clock().date()):
        return Transient("the bank refused an access that its consent allows", scope=error.scope)
    reason = "expired" if consent.status is ConsentStatus.VALID else consent.status.value
    return ReauthRequired(reason, scope=error.scope)


async def _consent(ground: Ground) -> Consent:
    """Return what the bank says of the consent; asked once in a run, however many accounts are refused."""
    if not ground.consent_answers:
        try:
            ground.consent_answers.append(await ground.access.consent())
        except JobError as error:
            ground.consent_answers.append(error)
    answer = ground.consent_answers[0]
    if isinstance(answer, Exception):
        raise answer
    return answer


async def is_renewed(connection: BankConnection, store: BankStore) -> bool:
    """Return whether the connection has been given another consent since it was read, or is gone: what the bank says of
    the old one is no news then."""
    now = await store.connection(connection.id)
    return now is None or now.consent_id != connection.consent_id


async def mark_reauth(
    connection: BankConnection, error: ReauthRequired, run: JobRun, store: BankStore, clock: Clock
) -> None:
    """Mark the connection and tell its organisation; it is told first: a crash between repeats the event."""
    run.ensure_owned()
    if (connection.status, connection.status_reason) != (ConnectionStatus.REQUIRES_REAUTH, error.reason):
        await run.emit(ReauthRequiredEvent(connection_id=connection.id, reason=error.reason, timestamp=clock()))
        if error.reason == REVOKED:
            await run.emit(ConnectionRevoked(connection_id=connection.id, by="bank", timestamp=clock()))
    await store.set_connection_status(connection.id, _ALL_BUT_CUT, ConnectionStatus.REQUIRES_REAUTH, error.reason)
