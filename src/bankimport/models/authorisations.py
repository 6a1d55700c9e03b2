"""A person authorises an access at the bank: what is known of it while it goes on, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from bankimport.models.bank import PsuContext
from bankimport.models.model import Model

#: what stands in the address to which a bank sends people who have not consented
RESULT, NOK = "result", "nok"
#: stands in the details of an authorisation for which the person goes nowhere
DECOUPLED = "decoupled"


class AuthorisationOutcome(StrEnum):
    """How it ended. `BANK_FAILED` is the bank's doing, `FAILED` ours, or that of whoever was late."""

    CONNECTED = "connected"
    RENEWED = "renewed"
    CANCELLED = "cancelled"
    BANK_FAILED = "bank-failed"
    FAILED = "failed"


class AuthorisationStep(StrEnum):
    """Where it stands: the person is at the bank, is back and the bank is being asked, or it is over."""

    WAITING = "waiting"
    FINISHING = "finishing"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    """What a provider is given to begin with. The bank sends the person back to `redirect_url`, with `state`."""

    redirect_url: str
    state: str = field(repr=False)
    institution: str | None = None
    language: str | None = None
    psu: PsuContext | None = None
    #: what the person is called at the bank, which some want before they can ask the person
    psu_id: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Begun:
    """What the bank answered: the address at which the person authorises, and what the provider needs to go on.

    Without an address the person authorises in the bank's own app (decoupled), and the bank is asked how it stands;
    `message` is then the bank's word to the person. `details` are no secrets; `secrets`, such as the verifier of a
    code, are kept encrypted.
    """

    url: str | None = field(repr=False)
    consent_id: str | None = field(default=None, repr=False)
    details: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: Mapping[str, str] | None = field(default=None, repr=False)
    message: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Callback:
    """What the bank's redirect brought. Nothing of it is believed, and nothing of it is ever shown."""

    parameters: Mapping[str, str] = field(repr=False)

    @property
    def state(self) -> str:
        """The state, or what stands for it (`ref`, GoCardless); empty if there is none."""
        return self.parameters.get("state") or self.parameters.get("ref") or ""

    @property
    def is_failure(self) -> bool:
        """Whether it says that there is no consent: by an error, or by having come to the address that we named for
        that (`NOK`)."""
        return bool(self.error) or self.parameters.get(RESULT) == NOK

    @property
    def error(self) -> str:
        """The code of an error (RFC 6749 §4.1.2.1); empty if there is none."""
        return self.parameters.get("error", "")


@dataclass(frozen=True, slots=True)
class Granted:
    """A consent that the person has given."""

    consent_id: str = field(repr=False)
    valid_until: date | None = None
    credentials: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Authorisation:
    """One authorisation, from the moment at which the person is sent to the bank. Of its state only a hash is kept."""

    id: str
    state_hash: str = field(repr=False)
    org_id: str
    connection_id: str
    bank: str
    user: str = field(repr=False)
    is_renewal: bool
    return_to: str | None
    begun: Begun
    created_at: datetime
    expires_at: datetime
    step: AuthorisationStep = AuthorisationStep.WAITING
    claimed_at: datetime | None = None
    outcome: AuthorisationOutcome | None = None
    reason: str | None = None
    #: another connection of the organisation to the same accounts
    same_login: str | None = None
    #: which bank was asked, where the provider has many
    institution: str | None = None

    @property
    def is_decoupled(self) -> bool:
        """Whether the person authorises in the bank's own app, so that nobody comes back with a callback."""
        return DECOUPLED in self.begun.details


class AuthorisationBegun(Model):
    """Where the person authorises: `id` is the connection's. The address is for this person alone.

    Without `url` the person does it in the bank's own app: poll the authorisation until it has ended. `message` is what
    the bank tells the person, in its own words: show it as text, never as markup.
    """

    id: str
    url: str | None = None
    message: str | None = None
    expires_at: datetime


class AuthorisationStatus(Model):
    """How an authorisation stands. `sameLogin` names another connection of the organisation to the same accounts."""

    id: str
    state: AuthorisationStep
    renewal: bool
    expires_at: datetime
    outcome: AuthorisationOutcome | None = None
    reason: str | None = None
    same_login: str | None = None


class AuthorisationEnd(Model):
    """How an authorisation ended; without `connectionId` nobody can say whose it was. The person goes to `url`."""

    outcome: AuthorisationOutcome
    connection_id: str | None = None
    reason: str | None = None
    same_login: str | None = None
    url: str | None = None
