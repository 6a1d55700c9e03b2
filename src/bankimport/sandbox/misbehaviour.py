"""How the sandbox misbehaves: switches of a consent, each for some requests or for ever."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from bankimport.models import Scope, StrictModel


class Kind(StrEnum):
    """What goes wrong."""

    RATE_LIMIT = "rate-limit"
    UNAVAILABLE = "unavailable"
    BAD_GATEWAY = "bad-gateway"
    GATEWAY_TIMEOUT = "gateway-timeout"
    SLOW = "slow"
    CUT = "cut"
    HALF_JSON = "half-json"
    NO_JSON = "no-json"
    CONSENT_EXPIRED = "consent-expired"
    CONSENT_INVALID = "consent-invalid"
    CONSENT_UNKNOWN = "consent-unknown"
    TOKEN_INVALID = "token-invalid"  # noqa: S105  # a kind of error
    TOKEN_EXPIRED = "token-expired"  # noqa: S105  # a kind of error
    CERTIFICATE_INVALID = "certificate-invalid"
    BARE_401 = "bare-401"
    SERVICE_BLOCKED = "service-blocked"
    ACCOUNT_GONE = "account-gone"
    PERIOD_INVALID = "period-invalid"
    FORMAT_ERROR = "format-error"
    ERROR = "error"
    QUOTA = "quota"
    EMPTY_PAGES = "empty-pages"
    SAME_PAGE = "same-page"
    REFERENCES = "references"
    ROTATE_IDS = "rotate-ids"
    NO_IDS = "no-ids"
    SHARED_IDS = "shared-ids"
    NOT_PROVIDED_IDS = "not-provided-ids"
    IDS_ELSEWHERE = "ids-elsewhere"
    NUMBERED_IDS = "numbered-ids"
    SHOWN_TWICE = "shown-twice"
    NEXT_ON_TOP = "next-on-top"
    NEXT_AS_TEXT = "next-as-text"
    UNREADABLE_BOOKING_DATES = "unreadable-booking-dates"
    INSTANTS = "instants"
    INSTANTS_WITHOUT_ZONE = "instants-without-zone"
    SLASHED_DATES = "slashed-dates"
    UNDATED_PENDING = "undated-pending"
    NUMBERS = "numbers"
    GERMAN_AMOUNTS = "german-amounts"
    INDICATORS = "indicators"
    INVERTED = "inverted"
    INVERTED_PENDING = "inverted-pending"
    BILLED_IN_TEXT = "billed-in-text"
    CURRENCY_XXX = "currency-xxx"
    LOWER_CURRENCY = "lower-currency"
    STRUCTURED_TEXT = "structured-text"
    TEXT_ARRAY = "text-array"
    ADDITIONAL_TEXT = "additional-text"
    UNREADABLE_ROW = "unreadable-row"
    UNREADABLE_BALANCE = "unreadable-balance"


#: kind -> (HTTP status, message code), in Berlin Group's words
BERLIN_GROUP = {
    Kind.RATE_LIMIT: (429, "ACCESS_EXCEEDED"),
    Kind.UNAVAILABLE: (503, "SERVICE_UNAVAILABLE"),
    Kind.BAD_GATEWAY: (502, "INTERNAL_SERVER_ERROR"),
    Kind.GATEWAY_TIMEOUT: (504, "INTERNAL_SERVER_ERROR"),
    Kind.CONSENT_EXPIRED: (401, "CONSENT_EXPIRED"),
    Kind.CONSENT_INVALID: (401, "CONSENT_INVALID"),
    Kind.CONSENT_UNKNOWN: (403, "CONSENT_UNKNOWN"),
    Kind.TOKEN_INVALID: (401, "TOKEN_INVALID"),
    Kind.TOKEN_EXPIRED: (401, "TOKEN_EXPIRED"),
    Kind.CERTIFICATE_INVALID: (401, "CERTIFICATE_INVALID"),
    Kind.SERVICE_BLOCKED: (403, "SERVICE_BLOCKED"),
    Kind.ACCOUNT_GONE: (404, "RESOURCE_UNKNOWN"),
    Kind.PERIOD_INVALID: (400, "PERIOD_INVALID"),
    Kind.FORMAT_ERROR: (400, "FORMAT_ERROR"),
}
#: the same in Enable Banking's
ENABLE_BANKING = {
    Kind.RATE_LIMIT: (429, "ASPSP_RATE_LIMIT_EXCEEDED"),
    Kind.UNAVAILABLE: (503, "ASPSP_ERROR"),
    Kind.BAD_GATEWAY: (502, None),
    Kind.GATEWAY_TIMEOUT: (504, "ASPSP_TIMEOUT"),
    Kind.CONSENT_EXPIRED: (401, "EXPIRED_SESSION"),
    Kind.CONSENT_INVALID: (401, "REVOKED_SESSION"),
    Kind.CONSENT_UNKNOWN: (404, "SESSION_DOES_NOT_EXIST"),
    Kind.TOKEN_INVALID: (401, "UNAUTHORIZED_ACCESS"),
    Kind.TOKEN_EXPIRED: (401, "UNAUTHORIZED_ACCESS"),
    Kind.CERTIFICATE_INVALID: (403, "ACCESS_DENIED"),
    Kind.SERVICE_BLOCKED: (403, "ASPSP_PSU_ACTION_REQUIRED"),
    Kind.ACCOUNT_GONE: (404, "ACCOUNT_DOES_NOT_EXIST"),
    Kind.PERIOD_INVALID: (422, "WRONG_TRANSACTIONS_PERIOD"),
    Kind.FORMAT_ERROR: (422, "WRONG_REQUEST_PARAMETERS"),
}
#: and in GoCardless's: (HTTP status, summary, detail)
GOCARDLESS = {
    Kind.RATE_LIMIT: (429, "Rate limit exceeded", "The rate limit for this resource is 4/day. Please try again later."),
    Kind.UNAVAILABLE: (503, "Service unavailable", "Institution service unavailable"),
    Kind.BAD_GATEWAY: (502, "Bad gateway", ""),
    Kind.GATEWAY_TIMEOUT: (504, "Gateway time-out", ""),
    Kind.CONSENT_EXPIRED: (401, "End User Agreement (EUA) has expired", "EUA was valid for 90 days and it expired."),
    Kind.CONSENT_INVALID: (403, "No valid End User Agreement", "There is no valid EUA for this account"),
    Kind.CONSENT_UNKNOWN: (404, "Not found.", "Not found."),
    Kind.TOKEN_INVALID: (401, "Invalid token", "Token is invalid or expired"),
    Kind.TOKEN_EXPIRED: (401, "Invalid token", "Token is invalid or expired"),
    Kind.CERTIFICATE_INVALID: (403, "IP address access denied", "Your IP isn't whitelisted to perform this action"),
    Kind.SERVICE_BLOCKED: (409, "Account suspended", "This account was suspended after too many failures"),
    Kind.ACCOUNT_GONE: (404, "Account ID not found", "Please check whether you specified a valid Account ID"),
    Kind.PERIOD_INVALID: (400, "Incorrect date_from", "date_from is before the agreement's history"),
    Kind.FORMAT_ERROR: (400, "Invalid request", "Please check what you have sent"),
}
#: what changes how an answer is written, and not whether there is one
WRITTEN = frozenset([*Kind][[*Kind].index(Kind.QUOTA) :])
#: kinds that make the consent itself say so
ENDED = {Kind.CONSENT_EXPIRED: "expired", Kind.CONSENT_INVALID: "revokedByPsu", Kind.CONSENT_UNKNOWN: "revokedByPsu"}


class Switch(StrictModel):
    """One thing that goes wrong.

    `times` counts requests (None: for ever); `endpoint` and `page` (1 is the first) narrow it, `account` is the
    position of the account, from 0; `retry_after` and `seconds` are for `rate-limit`, `unavailable` and `slow`,
    `status` and `code` for `error`, which says whatever you like.
    """

    kind: Kind
    times: Annotated[int, Field(ge=1)] | None = None
    endpoint: Scope | None = None
    page: Annotated[int, Field(ge=1)] | None = None
    account: Annotated[int, Field(ge=0)] | None = None
    retry_after: Annotated[int, Field(ge=0)] | None = None
    seconds: Annotated[float, Field(ge=0, le=3600)] = 1.0
    status: Annotated[int, Field(ge=400, le=599)] = 400
    code: Annotated[str, Field(max_length=200)] | None = None


@dataclass
class _Armed:
    switch: Switch
    left: int | None


@dataclass
class Switches:
    """The switches of all consents."""

    _armed: dict[str, list[_Armed]] = field(default_factory=dict)

    def add(self, consent_id: str, switch: Switch) -> None:
        """Arm a switch; several may stand, the first that fits is taken."""
        self._armed.setdefault(consent_id, []).append(_Armed(switch, switch.times))

    def revoke(self, consent_id: str) -> None:
        """Let the consent be withdrawn: it says so itself, and nothing else is answered."""
        for endpoint in (Scope.ACCOUNTS, Scope.BALANCES, Scope.TRANSACTIONS):
            self.add(consent_id, Switch(kind=Kind.CONSENT_INVALID, endpoint=endpoint))

    def clear(self, consent_id: str) -> None:
        """Let the consent's bank behave again."""
        self._armed.pop(consent_id, None)

    def take(
        self, consent_id: str, endpoint: Scope, *, page: int | None = None, account: int | None = None
    ) -> Switch | None:
        """Return the switch that this request meets, and count it."""
        for armed in self._armed.get(consent_id, []):
            switch = armed.switch
            fits = (
                switch.kind not in WRITTEN
                and switch.endpoint in (None, endpoint)
                and switch.page in (None, page)
                and switch.account in (None, account)
                and armed.left != 0
            )
            if fits:
                armed.left = None if armed.left is None else armed.left - 1
                return switch
        return None

    def waits_for(self, consent_id: str, endpoint: Scope) -> bool:
        """Whether a switch stands that only requests of this endpoint meet."""
        return any(armed.switch.endpoint is endpoint and armed.left != 0 for armed in self._armed.get(consent_id, []))

    def has(self, consent_id: str, kind: Kind) -> bool:
        """Whether such a switch stands."""
        return any(armed.switch.kind is kind for armed in self._armed.get(consent_id, []))

    def written(self, consent_id: str) -> list[Kind]:
        """Return how the consent's answers are written otherwise, in the order in which it was armed."""
        return [armed.switch.kind for armed in self._armed.get(consent_id, []) if armed.switch.kind in WRITTEN]

    def consent_status(self, consent_id: str) -> str:
        """Return the `consentStatus` that fits the switches that stand for ever."""
        for armed in self._armed.get(consent_id, []):
            if armed.switch.kind in ENDED and armed.switch.times is None:
                return ENDED[armed.switch.kind]
        return "valid"
