"""What webhooks need of a store. Docstrings are the contract."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from bankimport.models import (
    AttemptEnded,
    Delivery,
    DeliveryFilter,
    DisabledBy,
    OutgoingWebhook,
    WebhookEndpoint,
    WebhookSecrets,
)


@runtime_checkable
class WebhookStore(Protocol):
    """What a store offers beside `BankStore` if other services are to be told of what it has written.

    Who is told of a change is written down in the transaction that makes the change, for each endpoint that wants to
    hear of it: no crash loses a message, and none tells of what was never committed. The messages of one connection to
    one endpoint are a lane: they are in the order of the commits, and one of them is under way at a time.
    """

    async def add_webhook_endpoint(self, endpoint: WebhookEndpoint, secrets: WebhookSecrets) -> None:
        """Keep an endpoint; its secrets are encrypted as credentials are. It hears of what is written from now on.

        Raises:
            InvalidSettings: there is no key to encrypt the secrets with.
        """

    async def webhook_endpoints(self, org_id: str | None = None) -> Sequence[WebhookEndpoint]:
        """Return all endpoints, or those of an organisation alone, in a stable order."""

    async def webhook_endpoint(self, endpoint_id: str) -> WebhookEndpoint | None:
        """Return an endpoint, or None."""

    async def has_webhook_endpoints(self) -> bool:
        """Return whether there is any: a cheap look for whoever waits for something to deliver."""

    async def silenced_webhooks(self) -> Mapping[str, DisabledBy]:
        """Return why each endpoint was disabled that no person has disabled, by its id."""

    async def webhook_secrets(self, endpoint_id: str) -> WebhookSecrets | None:
        """Return the secrets of an endpoint, or None.

        Raises:
            InvalidSettings: they are encrypted with a key that is not ours.
        """

    async def put_webhook_secrets(self, endpoint_id: str, secrets: WebhookSecrets) -> None:
        """Replace the secrets of an endpoint."""

    async def set_webhook_disabled(self, endpoint_id: str, by: DisabledBy | None, at: datetime) -> bool:
        """Let an endpoint be told nothing, or (None) everything that has waited, from its first attempt on; return
        whether it was otherwise before. Messages go on being kept for it."""

    async def remove_webhook_endpoint(self, endpoint_id: str) -> bool:
        """Remove an endpoint with its messages; return whether there was one."""

    async def webhook_deliveries(
        self, wanted: DeliveryFilter, *, before: str | None, limit: int
    ) -> Sequence[tuple[str, Delivery]]:
        """Return those that are meant, the newest first, from before a position on, each with its position."""

    async def replay_webhooks(self, wanted: DeliveryFilter, at: datetime) -> int:
        """Let those that are meant be sent again, with their ids, in their order, before what is newer; return how
        many. What waits already is none of them."""

    async def take_webhooks(
        self, now: datetime, until: datetime, *, limit: int, busy: Mapping[str, int], aside: Collection[str] = ()
    ) -> Sequence[OutgoingWebhook]:
        """Claim the first messages of lanes whose time has come, and return them; nobody else takes from these lanes
        before `until`. `busy` says how many the caller has under way of each endpoint: an endpoint has at most 4, one
        that takes nothing at the moment 1, one of `aside` none. A secret that can't be decrypted is None, and costs no
        other endpoint anything."""

    async def settle_webhook(self, outgoing: OutgoingWebhook, ended: AttemptEnded, now: datetime) -> bool:
        """Note an attempt, and free its lane; return False, having changed nothing, if the claim has lapsed and
        somebody else has the lane. When an endpoint takes a message again after a while, all that waits for it is due
        at once."""

    async def release_webhook(self, outgoing: OutgoingWebhook) -> None:
        """Free a lane of which nothing was sent."""

    async def prune_webhooks(self, delivered_before: datetime, others_before: datetime) -> int:
        """Forget messages that are older than this; return how many of them had never been taken."""

    def wake_with(self, wake: Callable[[], None]) -> None:
        """Call `wake` from now on after each commit of this object that has written messages."""
