"""How a connection is, in one word."""

from datetime import UTC, date, datetime, timedelta

import pytest

from bankimport.access.health import health_of
from bankimport.models import BankConnection, ConnectionHealth
from bankimport.status import ConnectionStatus

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY = NOW.date()
FRESH, OLD = NOW - timedelta(hours=3), NOW - timedelta(hours=27)
S, H = ConnectionStatus, ConnectionHealth


@pytest.mark.parametrize(
    ("status", "reason", "last_day", "last_sync", "health"),
    [
        (S.DISCONNECTED, None, TODAY - timedelta(1), OLD, H.DISCONNECTED),
        (S.PENDING, None, None, None, H.BEING_CONNECTED),
        (S.ACTIVE, None, TODAY - timedelta(1), FRESH, H.NEEDS_RENEWAL),
        (S.ERROR, None, TODAY - timedelta(1), FRESH, H.NEEDS_RENEWAL),
        (S.REQUIRES_REAUTH, "revoked", TODAY + timedelta(90), FRESH, H.NEEDS_RENEWAL),
        (S.ERROR, "bank-rejected", TODAY + timedelta(3), FRESH, H.ERROR),
        (S.REQUIRES_REAUTH, f"consent-ending:{TODAY}:1", TODAY, FRESH, H.ENDS_SOON),
        (S.REQUIRES_REAUTH, None, None, FRESH, H.ENDS_SOON),
        (S.ACTIVE, None, TODAY + timedelta(14), FRESH, H.ENDS_SOON),
        (S.ACTIVE, None, TODAY + timedelta(15), None, H.NEW),
        (S.ACTIVE, None, None, OLD, H.BEHIND),
        (S.ACTIVE, None, None, FRESH, H.UP_TO_DATE),
    ],
)
def test_the_first_that_is_true(
    status: ConnectionStatus, reason: str | None, last_day: date | None, last_sync: datetime | None, health: H
) -> None:
    """What is worse goes first: gone, the customer's turn, an error, an end, a read that is missed."""
    connection = BankConnection(
        "c", "o", "b", status, status_reason=reason, consent_valid_until=last_day, last_sync_at=last_sync
    )
    assert health_of(connection, NOW) is health
