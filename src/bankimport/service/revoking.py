"""A person withdraws an access: at the bank, in the queue, and in the store, in an order that can be repeated."""

from typing import Final

import structlog

from bankimport.errors import ConnectingFailed, NotFound, NotOffered, Unavailable
from bankimport.events import ConnectionRevoked
from bankimport.models import AuthorisationOutcome, AuthorisationStep, BankConnection
from bankimport.ports import AuthorisationStore, ConnectionStore
from bankimport.service.banking import Banking
from bankimport.status import ConnectionStatus

_log = structlog.get_logger(__name__)
#: between the end of reading and the bank's word: asked again, it is told the bank again
REVOKING: Final = "revoking"


async def revoke(banking: Banking, connection_id: str, org_id: str | None) -> None:
    """Stop reading at once, tell the bank, then forget the credentials: they are needed to tell it.

    Where the bank is away the connection is cut all the same, and the next call tells the bank again.

    Raises:
        NotFound: no such connection, or not `org_id`'s.
        NotOffered: the store can't.
        Unavailable, ConnectingFailed: the bank didn't take it; nothing is read any more.
    """
    store = banking.store
    connection = await banking.within(store.connection(connection_id))
    if connection is None or org_id not in (None, connection.org_id):
        raise NotFound("connection")
    if not isinstance(store, ConnectionStore):
        raise NotOffered(type(store).__name__, "disconnect connections")
    if (connection.status, connection.status_reason) == (ConnectionStatus.DISCONNECTED, None):
        return
    await _give_up(banking, connection)
    all_ = tuple(ConnectionStatus)
    if await banking.within(store.set_connection_status(connection.id, all_, ConnectionStatus.DISCONNECTED, REVOKING)):
        event = ConnectionRevoked(connection_id=connection.id, by="person", timestamp=banking.clock())
        await banking.within(banking.jobs.tell(event, connection.org_id))
        await banking.audit.note("connection.revoke", org_id=connection.org_id, subject=f"connection:{connection.id}")
    await banking.within(banking.jobs.stop(connection))
    await _tell_bank(banking, connection)
    await banking.within(store.disconnect(connection.id))
    _log.info("connection.revoked", connection_id=connection.id)


async def _give_up(banking: Banking, connection: BankConnection) -> None:
    """End an authorisation that goes on: its callback must not bring the access back."""
    if not isinstance(banking.store, AuthorisationStore):
        return
    found = await banking.within(banking.store.latest_authorisation(connection.id))
    if found is not None and found.step is not AuthorisationStep.ENDED:
        await banking.within(banking.store.end_authorisation(found.id, AuthorisationOutcome.CANCELLED, "revoked"))


async def _tell_bank(banking: Banking, connection: BankConnection) -> None:
    if connection.consent_id is None:
        return
    try:
        flow = banking.flow(connection.bank)
    except NotOffered:
        return  # the host has made the consent, and ends it
    try:
        await banking.asked(flow.revoke(connection))
    except (Unavailable, ConnectingFailed) as error:
        _log.warning("connection.not_revoked_at_bank", connection_id=connection.id, error_code=error.code)
        raise
