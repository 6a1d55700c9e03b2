"""Consents and attendance: who must authorise again, and who is there."""

from datetime import UTC, date, datetime, timedelta

import pytest

from bankimport.access.attendance import attended
from bankimport.access.consents import after_success, is_syncable, standing
from bankimport.models import BankConnection, Consent, ConsentStatus, PsuContext
from bankimport.status import ConnectionStatus as S

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
TODAY = NOW.date()
WEEK = timedelta(days=7)


def connection(status: S = S.ACTIVE, reason: str | None = None, last_day: date | None = None) -> BankConnection:
    """A connection in a state."""
    return BankConnection("c", "o", "b", status, reason, consent_valid_until=last_day)


def in_days(days: int) -> date:
    """A day from today on."""
    return TODAY + timedelta(days=days)


@pytest.mark.parametrize(
    ("consent", "before", "status", "reason", "tell"),
    [
        pytest.param(Consent(ConsentStatus.VALID, in_days(8)), connection(), S.ACTIVE, None, False, id="far away"),
        pytest.param(Consent(ConsentStatus.VALID, None), connection(), S.ACTIVE, None, False, id="the bank's maximum"),
        pytest.param(Consent(ConsentStatus.VALID, date(9999, 12, 31)), connection(), S.ACTIVE, None, False, id="9999"),
        pytest.param(
            Consent(ConsentStatus.VALID, in_days(7)), connection(), S.REQUIRES_REAUTH, "consent-ending:2026-03-17:7", True,
            id="seven days before",
        ),
        pytest.param(
            Consent(ConsentStatus.VALID, in_days(5)), connection(S.REQUIRES_REAUTH, "consent-ending:2026-03-15:7"),
            S.REQUIRES_REAUTH, "consent-ending:2026-03-15:7", False, id="told already",
        ),
        pytest.param(
            Consent(ConsentStatus.VALID, in_days(3)), connection(S.REQUIRES_REAUTH, "consent-ending:2026-03-13:7"),
            S.REQUIRES_REAUTH, "consent-ending:2026-03-13:3", True, id="the next threshold",
        ),
        pytest.param(
            Consent(ConsentStatus.VALID, in_days(0)), connection(), S.REQUIRES_REAUTH, "consent-ending:2026-03-10:1", True,
            id="its last day",
        ),
        pytest.param(
            Consent(ConsentStatus.VALID, in_days(-1)), connection(), S.REQUIRES_REAUTH, "expired", False, id="over",
        ),
        pytest.param(Consent(ConsentStatus.REVOKED), connection(), S.REQUIRES_REAUTH, "revoked", False, id="revoked"),
        pytest.param(
            Consent(ConsentStatus.VALID, in_days(90)), connection(S.REQUIRES_REAUTH, "expired"), S.ACTIVE, None, False,
            id="renewed",
        ),
        pytest.param(
            Consent(ConsentStatus.VALID, in_days(90)), connection(S.ERROR, "sync-failed"), S.ERROR, "sync-failed", False,
            id="an error is another matter",
        ),
        pytest.param(
            Consent(ConsentStatus.PENDING), connection(S.REQUIRES_REAUTH, "expired"), S.REQUIRES_REAUTH, "expired", False,
            id="being authorised",
        ),
    ],
)  # fmt: skip
def test_what_a_consent_makes_of_its_connection(
    consent: Consent, before: BankConnection, status: S, reason: str | None, tell: bool
) -> None:
    """A consent that ends soon asks for the person at 7, 3 and 1 days, once each; an ended one asks at once."""
    found = standing(before, consent, today=TODAY, warning=WEEK)
    assert (found.status, found.reason, found.tell) == (status, reason, tell)


@pytest.mark.parametrize(
    ("one", "syncable"),
    [
        (connection(), True),
        (connection(S.ERROR, "sync-failed"), True),
        (connection(S.DISCONNECTED), False),
        (connection(S.REQUIRES_REAUTH, "consent-ending:2026-03-10:1", in_days(0)), True),
        (connection(S.REQUIRES_REAUTH, "consent-ending:2026-03-09:1", in_days(-1)), False),
        (connection(S.REQUIRES_REAUTH, "revoked", in_days(50)), False),
    ],
)
def test_what_is_syncable(one: BankConnection, syncable: bool) -> None:
    """What needs the person is synced as long as its consent is valid."""
    assert is_syncable(one, TODAY) is syncable


@pytest.mark.parametrize(
    ("one", "status"),
    [
        (connection(), None),
        (connection(S.ERROR, "sync-failed"), S.ACTIVE),
        (connection(S.REQUIRES_REAUTH, "expired"), S.ACTIVE),
        (connection(S.REQUIRES_REAUTH, "consent-ending:2026-03-15:7", in_days(5)), None),
        (connection(S.REQUIRES_REAUTH, "consent-ending:2026-03-15:7", in_days(95)), S.ACTIVE),
    ],
)
def test_what_a_success_means(one: BankConnection, status: S | None) -> None:
    """A success makes a connection active, but for a warning that still holds."""
    found = after_success(one)
    assert (found.status if found else None) is status


@pytest.mark.parametrize(
    ("ip", "there"),
    [("8.8.8.8", True), ("2001:4860:4860::8888", True), ("10.1.2.3", False), ("127.0.0.1", False), ("::1", False),
     ("169.254.1.1", False), ("100.64.0.1", False), ("", False), ("localhost", False), ("8.8.8.8, 10.0.0.1", False)],
)  # fmt: skip
def test_only_a_public_address_is_a_person(ip: str, there: bool) -> None:
    """A private, loopback or unreadable address is none."""
    assert (attended(PsuContext(ip), NOW) is not None) is there


def test_a_person_does_not_wait_for_hours() -> None:
    """A request that is too old is no longer attended."""
    assert attended(PsuContext("8.8.8.8", at=NOW - timedelta(minutes=5)), NOW) is not None
    assert attended(PsuContext("8.8.8.8", at=NOW - timedelta(minutes=16)), NOW) is None
