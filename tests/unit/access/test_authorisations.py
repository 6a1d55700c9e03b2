"""What a bank's callback means: each row of the table is somebody who calls it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankimport.access.authorisations import CLAIM, LIFETIME, Action, decide, hashed, outcome_of, same_login
from bankimport.models import (
    AccountReference,
    Authorisation,
    AuthorisationOutcome,
    AuthorisationStep,
    BankAccount,
    Begun,
    Callback,
)

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
STATE = "s" * 43
WAITING = Authorisation(
    id="auth_1",
    state_hash=hashed(STATE),
    org_id="acme",
    connection_id="giro",
    bank="sandbox",
    user="anna",
    is_renewal=False,
    return_to="/banks",
    begun=Begun("https://bank.example/authorise"),
    created_at=NOW,
    expires_at=NOW + LIFETIME,
)
ENDED = replace(WAITING, step=AuthorisationStep.ENDED, outcome=AuthorisationOutcome.CONNECTED)
TAKEN = replace(WAITING, step=AuthorisationStep.FINISHING, claimed_at=NOW)
LATE = NOW + LIFETIME
DENIED = {"state": STATE, "error": "access_denied"}

CASES: list[tuple[str, Authorisation | None, dict[str, str], dict[str, Any], Action, str | None]] = [
    ("the person is back", WAITING, {"state": STATE, "code": "c"}, {}, Action.ASK, None),
    ("a state that nobody knows", None, {"state": "guessed"}, {}, Action.REFUSE, None),
    ("nothing at all", None, {}, {}, Action.REFUSE, None),
    ("an error without its state", None, {"error": "access_denied"}, {}, Action.TELL, "cancelled"),
    ("sent to where no consent is, without its state", None, {"result": "nok"}, {}, Action.TELL, "cancelled"),
    ("an error with a foreign state", None, {"error": "access_denied", "state": "x"}, {}, Action.REFUSE, None),
    ("the state of another bank", WAITING, {"state": STATE}, {"bank": "other"}, Action.REFUSE, None),
    ("another user", WAITING, {"state": STATE}, {"user": "ben"}, Action.REFUSE, None),
    ("nobody who is signed in", WAITING, {"state": STATE}, {"user": None}, Action.REFUSE, None),
    ("another user, when it is over", ENDED, {"state": STATE}, {"user": "ben"}, Action.REFUSE, None),
    ("another user says cancelled", WAITING, DENIED, {"user": "ben"}, Action.REFUSE, None),
    ("a reload", ENDED, {"state": STATE, "code": "c"}, {}, Action.REPEAT, "connected"),
    ("a reload, late", ENDED, {"state": STATE}, {"now": LATE}, Action.REPEAT, "connected"),
    ("two at once", TAKEN, {"state": STATE}, {"now": NOW + CLAIM / 2}, Action.WAIT, None),
    ("who was asking has died", TAKEN, {"state": STATE}, {"now": NOW + CLAIM}, Action.ASK, None),
    ("an hour late", WAITING, {"state": STATE}, {"now": LATE}, Action.END, "failed"),
    ("cancelled", WAITING, DENIED, {}, Action.END, "cancelled"),
    ("the bank broke", WAITING, {"state": STATE, "error": "server_error"}, {}, Action.END, "bank-failed"),
    ("we asked wrongly", WAITING, {"state": STATE, "error": "invalid_client"}, {}, Action.END, "failed"),
    ("a reference for a state", WAITING, {"ref": STATE}, {}, Action.ASK, None),
]


@pytest.mark.parametrize(("name", "found", "brought", "who", "action", "outcome"), CASES, ids=[c[0] for c in CASES])
def test_what_a_callback_means(
    name: str,
    found: Authorisation | None,
    brought: dict[str, str],
    who: dict[str, Any],
    action: Action,
    outcome: str | None,
) -> None:
    """Each caller has the answer that is right for it."""
    decision = decide(found, Callback(brought), **{"bank": "sandbox", "user": "anna", "now": NOW, **who})
    assert (decision.action, decision.outcome) == (action, outcome)


@given(
    st.sampled_from([None, WAITING, TAKEN, ENDED]),
    st.dictionaries(st.sampled_from(["state", "ref", "code", "error", "error_description"]), st.text(max_size=20)),
    st.sampled_from(["anna", "ben", None]),
    st.timedeltas(timedelta(0), timedelta(days=2)),
)
def test_only_the_one_who_began_gets_on(
    found: Authorisation | None, brought: dict[str, str], user: str | None, later: timedelta
) -> None:
    """Whatever a callback brings, the bank is asked, and anything ends, only for the user who began, within the hour."""
    decision = decide(found, Callback(brought), bank="sandbox", user=user, now=NOW + later)
    if decision.action in (Action.ASK, Action.END, Action.REPEAT, Action.WAIT):
        assert found is not None
        assert user == found.user
    if decision.action is Action.ASK:
        assert later < LIFETIME


@pytest.mark.parametrize(
    ("error", "description", "outcome"),
    [
        ("access_denied", "The user cancelled", "cancelled"),
        ("access_denied", "", "cancelled"),
        ("Access_Denied", "Please ask the customer to contact the bank", "bank-failed"),
        ("access_denied", "Account is locked", "bank-failed"),
        ("UserCancelledSession", "User cancelled the session.", "cancelled"),
        ("server_error", "", "bank-failed"),
        ("temporarily_unavailable", "", "bank-failed"),
        ("invalid_request", "", "failed"),
        ("something_new", "<b>x</b>", "bank-failed"),
    ],
)
def test_whose_doing_an_error_is(error: str, description: str, outcome: str) -> None:
    """Cancelled, the bank's fault and ours are told apart."""
    assert outcome_of(Callback({"error": error, "error_description": description})) == outcome


def test_a_second_connection_to_the_same_login_is_noticed() -> None:
    """It is known by any number in common with an account that is still listed, however it is written."""
    giro = BankAccount("r1", iban="DE02 1203 0000 0000 2020 51")
    stored = BankAccount(
        "r9", id="acc", references=tuple(AccountReference("iban", "DE02120300000000202051").normalised())
    )
    other = BankAccount("r8", id="acc2", iban="DE75512108001245126199")
    assert same_login([giro], [("pot", [other]), ("old", [stored])]) == "old"
    assert same_login([giro], [("pot", [other]), ("gone", [replace(stored, is_listed=False)])]) is None
    assert same_login([], [("old", [stored])]) is None


def test_nothing_of_it_is_printed() -> None:
    """Neither the user nor what the bank sent stands in a repr, which a log may hold."""
    shown = repr(WAITING) + repr(Callback({"state": STATE, "error_description": "secret words"}))
    assert [each for each in (STATE, "anna", "secret words", "https://bank") if each in shown] == []
