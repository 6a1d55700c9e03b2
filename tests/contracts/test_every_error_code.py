"""Every error code of every API, through a real job: who is marked, what is retried and when, what the job says, and
what the log says. And each that can come while a person connects: how that ends."""

from dataclasses import replace
from typing import Final

import pytest

from bankimport.settings import Settings
from tests.contracts.error_codes import Refusal, Seen, begun, ended, refused

# arq closes its pool by a name that redis-py has given up
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")

FAILED: Final = ("error job.finished failed",)
RETRIED: Final = ("warning job.finished retried",) * 3 + FAILED
WAITS: Final = (5, 10, 20)
AGAIN: Final = "the person has to authorise the access again"
OURS: Final = "the bank refuses our own key, certificate or address"
TOLD: Final = ("bank.connection.reauth_required",)


def again(reason: str) -> Seen:
    """The person is asked, once; nothing is retried."""
    told = (*TOLD, "bank.connection.revoked") if reason == "revoked" else TOLD
    return Seen(f"REQUIRES_REAUTH {reason}", "failed reauth-required", (), f"{AGAIN} ({reason})", FAILED, told)


def passing(says: str, code: str = "transient") -> Seen:
    """Nobody is marked; it is tried again after 5, 10 and 20 s."""
    return Seen("ACTIVE", f"failed {code}", WAITS, says, RETRIED, ())


def permanent(code: str, says: str) -> Seen:
    """The connection is in error, which says nothing to its person; nothing is retried."""
    return Seen("ERROR sync-failed", f"failed {code}", (), says, FAILED, ())


def put_off(hours: int) -> Seen:
    """It is neither failed nor synced: the result says until when."""
    says = "Nothing was imported: 3 accounts deferred"
    return Seen("ACTIVE", f"completed put off {hours} h", (), says, (), ())


#: the bank says that it limits us for some seconds: they are waited for
BRAKED: Final = Seen("ACTIVE", "delayed rate-limited", (40,), "the bank limits the rate of access", RETRIED[:1], ())
LIMITED: Final = passing("the bank limits the rate of access", "rate-limited")
#: ours: the operator is alarmed, and no person is asked for anything
CREDENTIAL: Final = Seen("ACTIVE", "failed credential-error", (), OURS, FAILED, ())


def ours(says: str) -> Seen:
    """The same, and it is known of what."""
    return replace(CREDENTIAL, says=says)


PERIOD: Final = permanent("period-rejected", "the bank doesn't serve the period asked for")
ACCOUNT: Final = permanent("account-unavailable", "the bank no longer gives access to this account")
UNSURE: Final = passing("the bank refused an access that its consent allows")


def rejected(status: int) -> Seen:
    """The bank says no, and doesn't say why in any word that we know."""
    return permanent("bank-rejected", f"the bank answered {status}")


BERLIN_GROUP: Final = {
    Refusal(401, "CONSENT_INVALID"): UNSURE,
    Refusal(401, "CONSENT_EXPIRED"): again("expired"),
    Refusal(401, "TOKEN_INVALID"): UNSURE,
    Refusal(401, "TOKEN_EXPIRED"): UNSURE,
    Refusal(401, "TOKEN_UNKNOWN"): UNSURE,
    Refusal(401, None): UNSURE,
    Refusal(401, "PSU_CREDENTIALS_INVALID"): again("action"),
    **{Refusal(401, f"CERTIFICATE_{word}"): CREDENTIAL for word in ("INVALID", "EXPIRED", "BLOCKED", "REVOKE", "MISSING")},
    Refusal(401, "CERTIFICATE_REVOKED"): CREDENTIAL,
    Refusal(401, "SIGNATURE_INVALID"): CREDENTIAL,
    Refusal(401, "SIGNATURE_MISSING"): CREDENTIAL,
    Refusal(401, "KID_MISSING"): CREDENTIAL,
    Refusal(401, "ROLE_INVALID"): CREDENTIAL,
    Refusal(401, "CORPORATE_ID_INVALID"): CREDENTIAL,
    Refusal(400, "PERIOD_INVALID"): PERIOD,
    Refusal(400, "FORMAT_ERROR"): rejected(400),
    Refusal(400, "SERVICE_INVALID"): rejected(400),
    Refusal(405, "SERVICE_INVALID"): rejected(405),
    Refusal(406, "REQUESTED_FORMATS_INVALID"): rejected(406),
    Refusal(400, "CONSENT_UNKNOWN"): again("revoked"),
    Refusal(403, "CONSENT_UNKNOWN"): again("revoked"),
    Refusal(403, "SERVICE_BLOCKED"): again("blocked"),
    Refusal(403, "RESOURCE_UNKNOWN"): ACCOUNT,
    Refusal(403, "RESOURCE_EXPIRED"): ACCOUNT,
    Refusal(404, "RESOURCE_UNKNOWN"): ACCOUNT,
    Refusal(404, None): ACCOUNT,
    Refusal(429, "ACCESS_EXCEEDED"): LIMITED,
    Refusal(429, "ACCESS_EXCEEDED", retry_after=40): BRAKED,
    Refusal(429, "ACCESS_EXCEEDED", retry_after=14_400): put_off(4),
    **{Refusal(status, None): passing(f"the bank answered {status}") for status in (408, 500, 502, 503, 504)},
    Refusal(404, "RESOURCE_UNKNOWN", "accounts"): rejected(404),
    Refusal(401, "CONSENT_EXPIRED", "accounts"): again("expired"),
}  # fmt: skip

_BANK: Final = "the bank did not answer Enable Banking"
ENABLE_BANKING: Final = {
    Refusal(401, "EXPIRED_SESSION"): again("expired"),
    Refusal(401, "CLOSED_SESSION"): again("revoked"),
    Refusal(401, "REVOKED_SESSION"): again("revoked"),
    Refusal(404, "SESSION_DOES_NOT_EXIST"): again("revoked"),
    Refusal(422, "WRONG_SESSION_STATUS"): UNSURE,
    Refusal(403, "ASPSP_PSU_ACTION_REQUIRED"): again("action"),
    Refusal(422, "WRONG_CREDENTIALS_PROVIDED"): again("action"),
    Refusal(422, "AUTHORIZATION_NOT_PROVIDED"): again("authorisation"),
    Refusal(422, "ALREADY_AUTHORIZED"): again("authorisation"),
    Refusal(422, "EXPIRED_AUTHORIZATION_CODE"): again("authorisation"),
    Refusal(422, "WRONG_AUTHORIZATION_CODE"): again("authorisation"),
    Refusal(422, "NO_ACCOUNTS_ADDED"): again("no-accounts"),
    Refusal(400, "ASPSP_ERROR"): passing(_BANK),
    Refusal(500, "ASPSP_ERROR"): passing(_BANK),
    Refusal(504, "ASPSP_TIMEOUT"): passing(_BANK),
    Refusal(422, "WRONG_CONTINUATION_KEY"): passing("the bank's pages have changed meanwhile"),
    Refusal(422, "WRONG_TRANSACTIONS_PERIOD"): PERIOD,
    Refusal(422, "WRONG_DATE_INTERVAL"): PERIOD,
    Refusal(422, "DATE_FROM_IN_FUTURE"): PERIOD,
    Refusal(422, "DATE_TO_WITHOUT_DATE_FROM"): PERIOD,
    Refusal(404, "ACCOUNT_DOES_NOT_EXIST"): ACCOUNT,
    Refusal(403, "ASPSP_ACCOUNT_NOT_ACCESSIBLE"): ACCOUNT,
    Refusal(422, "INVALID_ACCOUNT_ID"): ACCOUNT,
    Refusal(404, "TRANSACTION_DOES_NOT_EXIST"): rejected(404),
    Refusal(401, "UNAUTHORIZED_ACCESS"): CREDENTIAL,
    Refusal(403, "ACCESS_DENIED"): CREDENTIAL,
    Refusal(403, "UNAUTHORIZED_IP"): ours("Enable Banking refuses our address: it is not on the application's list"),
    Refusal(403, "INVALID_HOST"): CREDENTIAL,
    Refusal(422, "REDIRECT_URI_NOT_ALLOWED"): ours("our callback's address is not registered with the application"),
    Refusal(403, None): ours("Enable Banking refuses our application: not active, or its key is wrong"),
    Refusal(422, "WRONG_ASPSP_PROVIDED"): permanent("unsupported", "Enable Banking doesn't know this bank"),
    Refusal(422, "PSU_HEADER_NOT_PROVIDED"): Seen(
        "ACTIVE", "completed", (), "Nothing was imported: 3 accounts answered only while the person is present", (),
        TOLD,  # one for all three accounts
    ),
    Refusal(422, "PSU_HEADER_INVALID"): permanent(
        "unsupported", "the bank refuses what the person's browser says of itself"
    ),
    Refusal(422, "WRONG_REQUEST_PARAMETERS"): rejected(422),
    Refusal(429, "ASPSP_RATE_LIMIT_EXCEEDED"): put_off(6),
    Refusal(429, "ASPSP_RATE_LIMIT_EXCEEDED", retry_after=40): BRAKED,
    Refusal(429, None): LIMITED,
    **{Refusal(status, None): passing(f"the bank answered {status}") for status in (500, 502, 503)},
}  # fmt: skip

GOCARDLESS: Final = {
    Refusal(401, "End User Agreement (EUA) 1-2 has expired"): again("expired"),
    Refusal(400, "End User Agreement (EUA) 1-2 has expired"): again("expired"),
    Refusal(401, "AccessExpiredError"): again("expired"),
    Refusal(403, "No valid End User Agreement"): again("invalid"),
    Refusal(402, "Usage limit exceeded"): ours(
        "the usage limit of our contract with GoCardless is reached (402): raise it with them, or wait"
    ),
    Refusal(403, "IP address access denied"): ours(
        "GoCardless refuses our address: our key may not be used from there"
    ),
    Refusal(401, "No active account found with the given credentials"): ours(
        "GoCardless knows no such secret: secret_id or secret_key is wrong, or was revoked"
    ),
    Refusal(401, "Invalid token"): passing("GoCardless refuses the access token; the next try has a new one"),
    Refusal(401, "Something else"): UNSURE,
    Refusal(403, "Account access forbidden"): ACCOUNT,
    Refusal(403, "Resource unavailable"): ACCOUNT,
    Refusal(404, "Account ID not found"): ACCOUNT,
    Refusal(409, "Account suspended"): ACCOUNT,
    Refusal(400, "AccountInactiveError"): ACCOUNT,
    Refusal(429, "RateLimitError: daily request limit"): put_off(6),
    Refusal(429, "Please try again in 40 seconds"): BRAKED,
    Refusal(429, "RateLimitError", retry_after=14_400): put_off(4),
    Refusal(500, "UnknownRequestError"): passing("the bank answered 500"),
    Refusal(503, "ServiceError"): passing("the bank answered 503"),
    Refusal(502, "ConnectionError"): passing("the bank answered 502"),
    Refusal(400, "Invalid request"): rejected(400),
}

TABLES: Final = {"berlin-group": BERLIN_GROUP, "enable-banking": ENABLE_BANKING, "gocardless": GOCARDLESS}


@pytest.mark.parametrize("name", TABLES)
async def test_every_error_code(name: str, settings: Settings) -> None:
    """Each is met by a connection of its own, all at once; the bank's own words and the consent stand nowhere."""
    table = TABLES[name]
    async with refused(name, [*table], settings) as world:
        seen = {refusal: await world.seen(refusal) for refusal in table}
        assert {refusal: each for refusal, each in seen.items() if each != table[refusal]} == {}
        said = world.everything()
        assert [word for word in ("misbehaves", "person-", "DE89", "Bearer") if word in said] == []


#: to who begins: what the host is told, and whether the fault is ours
AWAY: Final = "unavailable"
THEIRS: Final = "connecting-failed, the bank's"
OUR_FAULT: Final = "connecting-failed, ours"
BEGINNING: Final = {
    ("berlin-group", 401, "CERTIFICATE_INVALID"): OUR_FAULT,
    ("berlin-group", 401, "SIGNATURE_INVALID"): OUR_FAULT,
    ("berlin-group", 400, "FORMAT_ERROR"): OUR_FAULT,
    ("berlin-group", 401, "PSU_CREDENTIALS_INVALID"): THEIRS,
    ("berlin-group", 403, "SERVICE_BLOCKED"): THEIRS,
    ("berlin-group", 429, "ACCESS_EXCEEDED"): AWAY,
    ("berlin-group", 503, None): AWAY,
    ("enable-banking", 422, "REDIRECT_URI_NOT_ALLOWED"): OUR_FAULT,
    ("enable-banking", 401, "UNAUTHORIZED_ACCESS"): OUR_FAULT,
    ("enable-banking", 403, "UNAUTHORIZED_IP"): OUR_FAULT,
    ("enable-banking", 403, "INVALID_HOST"): OUR_FAULT,
    ("enable-banking", 403, None): OUR_FAULT,
    ("enable-banking", 422, "WRONG_REQUEST_PARAMETERS"): OUR_FAULT,
    ("enable-banking", 422, "WRONG_ASPSP_PROVIDED"): "invalid-request /institution",
    ("enable-banking", 422, "PSU_HEADER_NOT_PROVIDED"): "invalid-request /institution",
    ("enable-banking", 422, "PSU_HEADER_INVALID"): "invalid-request /institution",
    ("enable-banking", 422, "WRONG_CREDENTIALS_PROVIDED"): THEIRS,
    ("enable-banking", 429, "ASPSP_RATE_LIMIT_EXCEEDED"): AWAY,
    ("enable-banking", 400, "ASPSP_ERROR"): AWAY,
    ("enable-banking", 504, "ASPSP_TIMEOUT"): AWAY,
    ("gocardless", 402, "Usage limit exceeded"): OUR_FAULT,
    ("gocardless", 403, "IP address access denied"): OUR_FAULT,
    ("gocardless", 401, "Invalid token"): AWAY,
    ("gocardless", 400, "Unknown Institution ID"): "invalid-request /institution",
    ("gocardless", 429, "Please try again in 40 seconds"): AWAY,
    ("gocardless", 500, "UnknownRequestError"): AWAY,
}


@pytest.mark.parametrize("name", TABLES)
async def test_every_error_code_of_who_begins(name: str, settings: Settings) -> None:
    """Nothing is begun: no connection waits, and whose fault it is is said."""
    wanted = {key: told for key, told in BEGINNING.items() if key[0] == name}
    found = await begun(name, [Refusal(status, code) for _, status, code in wanted], settings)
    assert found == {(key[1], key[2]): told for key, told in wanted.items()}


#: to who brings a code to Enable Banking: how it ends, and why
ENDING: Final = {
    (422, "AUTHORIZATION_NOT_PROVIDED"): ("failed", "code-used"),
    (422, "ALREADY_AUTHORIZED"): ("failed", "code-used"),
    (422, "EXPIRED_AUTHORIZATION_CODE"): ("failed", "code-used"),
    (422, "WRONG_AUTHORIZATION_CODE"): ("failed", "code-used"),
    (422, "NO_ACCOUNTS_ADDED"): ("cancelled", "person"),
    (422, "WRONG_SESSION_STATUS"): ("bank-failed", "bank"),
    (422, "WRONG_CREDENTIALS_PROVIDED"): ("bank-failed", "bank"),
    (422, "ASPSP_PSU_ACTION_REQUIRED"): ("bank-failed", "bank"),
    (400, "ASPSP_ERROR"): ("bank-failed", "transient"),
    (504, "ASPSP_TIMEOUT"): ("bank-failed", "transient"),
    (429, "ASPSP_RATE_LIMIT_EXCEEDED"): ("bank-failed", "rate-limited"),
    (401, "UNAUTHORIZED_ACCESS"): ("failed", "credential-error"),
    (422, "WRONG_REQUEST_PARAMETERS"): ("failed", "bank-rejected"),
}


async def test_every_error_code_of_a_code(settings: Settings) -> None:
    """It ends with whose doing it was, and leaves no connection; only what is ours is an error in the log."""
    found = await ended([Refusal(status, code) for status, code in ENDING], settings)
    assert {key: (outcome, reason) for key, (outcome, reason, _) in found.items()} == ENDING
    loud = {key for key, (_, _, levels) in found.items() if "error" in levels}
    assert loud == {key for key, (outcome, _) in ENDING.items() if outcome == "failed"}
