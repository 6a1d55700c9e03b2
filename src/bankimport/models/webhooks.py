"""Webhooks: who is told, of what, and how each telling went."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field

from bankimport.models.model import Model


class WebhookType(StrEnum):
    """What an endpoint can be told of."""

    #: rows of an account are new, changed or removed; told in the transaction that wrote them
    TRANSACTIONS = "bank.transactions.changed"
    #: a connection was synced with success
    SYNCED = "bank.connection.synced"
    #: a connection's status or its reason is another: a consent ends soon, has ended, was renewed
    CONNECTION = "bank.connection.changed"


class DisabledBy(StrEnum):
    """Why an endpoint is told nothing."""

    HAND = "hand"
    #: it answered 410, which means that it wants to hear no more
    GONE = "gone"
    #: it has taken nothing for days
    DEAD = "dead"


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    #: given up: it was refused to the end while others were taken
    FAILED = "failed"


class WebhookEndpoint(Model):
    """An address that is told. `types` empty: of everything; `org_id` None: of all organisations."""

    id: str
    url: str
    org_id: str | None = None
    types: tuple[WebhookType, ...] = ()
    created_at: datetime
    disabled_by: DisabledBy | None = None
    disabled_at: datetime | None = None
    #: nothing was taken since then; None while it takes what it is told
    failing_since: datetime | None = None
    taken_at: datetime | None = None
    #: deliveries that it has not taken yet
    waiting: int = 0
    #: false where its secret is encrypted with a key that is none of BANK_SYNC_CREDENTIALS_KEY: it is told nothing
    secret_readable: bool = True

    @property
    def place(self) -> str:
        """The address without its query, which may hold a token of the receiver's."""
        return self.url.partition("?")[0]

    def wants(self, kind: WebhookType) -> bool:
        """Whether it is to be told of such."""
        return not self.types or kind in self.types


class Delivery(Model):
    """One message to one endpoint. `id` is its `webhook-id`, the same in every attempt."""

    id: str
    endpoint_id: str
    org_id: str
    connection_id: str
    type: WebhookType
    created_at: datetime
    state: DeliveryState
    attempts: int = 0
    #: when it is tried next, if it is its connection's next one
    next_at: datetime | None = None
    attempted_at: datetime | None = None
    #: the HTTP status of the last answer; None where there was none
    status: int | None = None
    #: what went wrong last: `timeout`, `refused`, `redirected`, `connection`, `private-address`
    error: str | None = None
    body: str = Field(default="", repr=False)


class DeliveryPage(Model):
    """Deliveries, the newest first; `next_cursor` is for the next page."""

    deliveries: tuple[Delivery, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """What the deliveries that are meant have in common; None: any. `since`: those told at that instant or later."""

    endpoint_id: str | None = None
    org_id: str | None = None
    connection_id: str | None = None
    state: DeliveryState | None = None
    since: datetime | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookSecrets:
    """What an endpoint's messages are signed with: one secret, and after a rotation the one before, until then."""

    current: str
    previous: str | None = None
    previous_until: datetime | None = None

    def valid(self, now: datetime) -> tuple[str, ...]:
        """Return those that messages are signed with now, the newest first."""
        if self.previous is None or self.previous_until is None or self.previous_until <= now:
            return (self.current,)
        return (self.current, self.previous)

    def plain(self) -> dict[str, Any]:
        """Return them as they are encrypted."""
        until = self.previous_until.isoformat() if self.previous_until else None
        return {"current": self.current, "previous": self.previous, "previousUntil": until}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "WebhookSecrets":
        """Return them as they were decrypted."""
        until = plain.get("previousUntil")
        return cls(plain["current"], plain.get("previous"), datetime.fromisoformat(until) if until else None)

    def __repr__(self) -> str:
        return "WebhookSecrets(…)"


@dataclass(frozen=True, slots=True)
class OutgoingWebhook:
    """A message that was claimed to be sent once: nobody else sends one of its lane until `claim` lapses."""

    delivery: Delivery
    url: str
    #: whether the endpoint is an organisation's, so that its address is none of ours
    of_organisation: bool
    #: None: they are encrypted with a key that this process has not
    secrets: WebhookSecrets | None = field(repr=False)
    claim: str
    failing_since: datetime | None


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """What becomes of a message after an attempt. `wait` until the next one; None: none, as `state` says."""

    state: DeliveryState
    status: int | None
    error: str | None
    wait: timedelta | None = None
    disable: DisabledBy | None = None

    @property
    def is_success(self) -> bool:
        """Whether the message was taken."""
        return self.state is DeliveryState.DELIVERED
