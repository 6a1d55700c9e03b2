"""Whether a request for a sync makes sense: decided before anything is queued."""

from datetime import date, datetime

from pydantic import ValidationError

from bankimport.errors import BankImportError, ConnectionUnusable, InvalidRequest
from bankimport.models import BankConnection
from bankimport.status import ConnectionStatus


def check_usable(connection: BankConnection, now: datetime) -> None:
    """Refuse a connection that can't be synced.

    Raises:
        ConnectionUnusable: it is disconnected, not authorised yet, or its consent has ended.
    """
    if connection.status is ConnectionStatus.DISCONNECTED:
        raise ConnectionUnusable(connection.id, "it is disconnected")
    if connection.status is ConnectionStatus.PENDING:
        raise ConnectionUnusable(connection.id, "its person hasn't authorised it yet")
    until = connection.consent_valid_until
    if until is not None and until < now.date():
        raise ConnectionUnusable(connection.id, f"its consent ended on {until}")


def check_period(start: date | None, end: date | None, now: datetime) -> None:
    """Refuse a period that can't be read.

    Raises:
        InvalidRequest: it begins in the future, or after its end.
    """
    if start is not None and start > now.date():
        raise InvalidRequest("/startDate", "must not be in the future")
    if start is not None and end is not None and start > end:
        raise InvalidRequest("/startDate", "must not be after endDate")


def invalid(error: ValidationError) -> BankImportError:
    """Return the first wrong field as our error."""
    first = error.errors()[0]
    return InvalidRequest("/" + "/".join(map(str, first["loc"])), first["msg"])
