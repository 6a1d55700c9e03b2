"""How a connection stands, in plain words for its person."""

from datetime import datetime

from bankimport.access.consents import ENDING, EXPIRED, REVOKED, has_ended
from bankimport.models import BankConnection
from bankimport.status import ConnectionStatus

_REASONS = {
    EXPIRED: "The bank says that the consent has ended: authorise the access again.",
    REVOKED: "The consent was withdrawn at the bank: authorise the access again.",
}


def explain(connection: BankConnection, now: datetime) -> str:
    """Return in plain words how a connection stands, and what its person can do."""
    reason, last_day = connection.status_reason or "", connection.consent_valid_until
    if connection.status is ConnectionStatus.DISCONNECTED:
        return "Disconnected: nothing is read any more; what was read stays."
    if connection.status is ConnectionStatus.PENDING:
        return "Being connected: its person has still to authorise the access at the bank."
    if has_ended(last_day, now.date()):
        return f"The consent ended on {last_day}: authorise the access again."
    if connection.status is ConnectionStatus.REQUIRES_REAUTH:
        if not reason or reason.startswith(ENDING):
            return f"The consent ends on {last_day}: renew it; until then it is read as before."
        return _REASONS.get(reason, "The bank wants its customer: authorise the access again.")
    if connection.status is ConnectionStatus.ERROR:
        return "The last sync failed; the next one tries again." + (f" Reason: {reason}." if reason else "")
    return "Read as planned." if connection.last_sync_at is not None else "Not read yet."
