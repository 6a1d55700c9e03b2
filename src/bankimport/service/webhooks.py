"""`bank_import.webhooks`: other services are told of what was imported. A worker delivers; this sets it up."""

import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from bankimport.errors import Conflict, InvalidRequest, NotFound, NotOffered
from bankimport.models import (
    DeliveryFilter,
    DeliveryPage,
    DeliveryState,
    DisabledBy,
    WebhookEndpoint,
    WebhookSecrets,
    WebhookType,
)
from bankimport.ports import BankStore, Clock
from bankimport.service.audit import Audit
from bankimport.service.bounds import Bounds, bounded, unhurried
from bankimport.webhooks import WebhookStore, checked_url, key_of, new_secret

_MOST: Final = 200
#: A receiver has so long to learn a new secret.
_BOTH: Final = timedelta(days=1)


class Webhooks:
    """Endpoints, and what was delivered to each. `org_id`, where it is given, must own what is meant."""

    def __init__(self, store: BankStore, clock: Clock, bounds: Bounds, audit: Audit) -> None:
        self._store, self._clock, self.bounds, self._audit = store, clock, bounds, audit

    @bounded
    async def add(
        self,
        url: str,
        *,
        org_id: str | None = None,
        types: Sequence[WebhookType | str] = (),
        secret: str | None = None,
    ) -> tuple[WebhookEndpoint, str]:
        """Add an endpoint; return it and its secret, shown this once. It hears of what is imported from now on.

        Args:
            url: a public https address; an endpoint of no organisation may also be on this machine.
            org_id: of this organisation alone; None: of all.
            types: of these alone; none: of everything.
            secret: one that both sides know already, `whsec_…`; None: a new one.

        Raises:
            InvalidRequest: the address, a type or the secret is none.
            InvalidSettings: there is no key to encrypt the secret with.
            NotOffered, Unavailable
        """
        checked_url(url, of_organisation=org_id is not None)
        secret = secret or new_secret()
        key_of(secret)
        kinds = tuple(dict.fromkeys(_kind(each) for each in types))
        at = self._clock()
        endpoint = WebhookEndpoint(
            id=f"hook_{secrets.token_hex(8)}", url=url, org_id=org_id, types=kinds, created_at=at
        )
        await self._offering().add_webhook_endpoint(endpoint, WebhookSecrets(secret))
        await self._note("add", endpoint, types=", ".join(kinds) or None)
        return endpoint, secret

    @bounded
    async def list(self, org_id: str | None = None) -> Sequence[WebhookEndpoint]:
        """Return all endpoints, or those of one organisation alone.

        Raises:
            NotOffered, Unavailable
        """
        return await self._offering().webhook_endpoints(org_id)

    @bounded
    async def get(self, endpoint_id: str, *, org_id: str | None = None) -> WebhookEndpoint:
        """Return an endpoint.

        Raises:
            NotFound: there is none, or it is not `org_id`'s.
            NotOffered, Unavailable
        """
        return await self._own(endpoint_id, org_id)

    @bounded
    async def remove(self, endpoint_id: str, *, org_id: str | None = None) -> None:
        """Remove an endpoint, with what it has not taken yet.

        Raises:
            NotFound, NotOffered, Unavailable
        """
        endpoint = await self._own(endpoint_id, org_id)
        await self._offering().remove_webhook_endpoint(endpoint_id)
        await self._note("remove", endpoint)

    @bounded
    async def rotate(self, endpoint_id: str, *, org_id: str | None = None, both_for: timedelta = _BOTH) -> str:
        """Give an endpoint a new secret, and return it; for a while each message has a signature of the old one too,
        unless that can't be decrypted any more.

        Raises:
            NotFound, NotOffered, Unavailable
        """
        endpoint, offering = await self._own(endpoint_id, org_id), self._offering()
        secret = new_secret()
        rotated = WebhookSecrets(secret)
        if endpoint.secret_readable and (before := await offering.webhook_secrets(endpoint_id)) is not None:
            rotated = WebhookSecrets(secret, before.current, self._clock() + both_for)
        await offering.put_webhook_secrets(endpoint_id, rotated)
        await self._note("rotate", endpoint)
        return secret

    @bounded
    async def disable(self, endpoint_id: str, *, org_id: str | None = None) -> None:
        """Tell an endpoint nothing until it is enabled; messages go on being kept for it.

        Raises:
            NotFound, NotOffered, Unavailable
            Conflict: it is disabled already.
        """
        endpoint = await self._own(endpoint_id, org_id)
        if not await self._offering().set_webhook_disabled(endpoint_id, DisabledBy.HAND, self._clock()):
            raise Conflict("the endpoint is disabled already")
        await self._note("disable", endpoint)

    @bounded
    async def enable(self, endpoint_id: str, *, org_id: str | None = None) -> None:
        """Tell an endpoint again, beginning with all that has waited, in its order.

        Raises:
            NotFound, NotOffered, Unavailable
            Conflict: it is enabled.
        """
        endpoint = await self._own(endpoint_id, org_id)
        if not await self._offering().set_webhook_disabled(endpoint_id, None, self._clock()):
            raise Conflict("the endpoint is enabled")
        await self._note("enable", endpoint)

    @bounded
    async def deliveries(
        self, wanted: DeliveryFilter | None = None, *, cursor: str | None = None, limit: int = 50
    ) -> DeliveryPage:
        """Return a page of deliveries, the newest first; `limit` 1 to 200.

        Raises:
            InvalidRequest: the limit or the cursor is none.
            NotOffered, Unavailable
        """
        if not 1 <= limit <= _MOST:
            raise InvalidRequest("/limit", f"must be 1 to {_MOST}")
        if cursor is not None and not (cursor.isdecimal() and len(cursor) < 19):
            raise InvalidRequest("/cursor", "is none of ours")
        asked = self._offering().webhook_deliveries(wanted or DeliveryFilter(), before=cursor, limit=limit + 1)
        found = await asked
        more = found[limit - 1][0] if len(found) > limit else None
        return DeliveryPage(deliveries=tuple(each for _, each in found[:limit]), next_cursor=more)

    @unhurried
    async def replay(self, wanted: DeliveryFilter) -> int:
        """Send again what was delivered or given up, with the same ids and in its order; return how many messages.

        Raises:
            InvalidRequest: neither an endpoint, an organisation, a connection nor a message is named.
            NotOffered, Unavailable
        """
        named = (wanted.endpoint_id, wanted.org_id, wanted.connection_id, wanted.id)
        if named == (None, None, None, None):
            raise InvalidRequest("/endpointId", "must be named, or an organisation, a connection or a message")
        if wanted.state is DeliveryState.WAITING:
            raise InvalidRequest("/state", "must be delivered or failed: what waits is sent anyway")
        store = self._offering()
        await self.bounds.within(store.webhook_deliveries(wanted, before=None, limit=1))  # a store that is away says so
        number = await store.replay_webhooks(wanted, self._clock())
        since = wanted.since.isoformat() if wanted.since else None
        known: dict[str, str | None] = {"state": wanted.state, "webhook": wanted.id, "since": since}
        endpoint, connection = wanted.endpoint_id, wanted.connection_id
        subject = f"webhook:{endpoint}" if endpoint else f"connection:{connection}" if connection else None
        await self._audit.note("webhooks.replay", org_id=wanted.org_id, subject=subject, webhooks=number, **known)
        return number

    async def _own(self, endpoint_id: str, org_id: str | None) -> WebhookEndpoint:
        found = await self._offering().webhook_endpoint(endpoint_id)
        if found is None or org_id not in (None, found.org_id):
            raise NotFound("webhook endpoint")
        return found

    async def _note(self, action: str, endpoint: WebhookEndpoint, **facts: str | None) -> None:
        subject = f"webhook:{endpoint.id}"
        await self._audit.note(f"webhooks.{action}", org_id=endpoint.org_id, subject=subject, **facts)

    def _offering(self) -> WebhookStore:
        if not isinstance(self._store, WebhookStore):
            raise NotOffered(type(self._store).__name__, "tell other services")
        return self._store


def _kind(value: str) -> WebhookType:
    if value not in set(WebhookType):
        raise InvalidRequest("/types", f"must be of {', '.join(WebhookType)}")
    return WebhookType(value)
