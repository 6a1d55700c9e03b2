"""A worker tells other services of what was imported, where the store has kept who is to be told."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from redis.asyncio import Redis

from bankimport.acting import acting_as
from bankimport.errors import StoreUnavailable
from bankimport.models import Alert, AttemptEnded, DisabledBy, OutgoingWebhook
from bankimport.ports import BankStore, Clock
from bankimport.redis.keys import Keys
from bankimport.service import Audit
from bankimport.settings import Settings
from bankimport.stream import groups_behind
from bankimport.watch.sweeper import GroupsBehind
from bankimport.webhooks import Deliverer, WebhookStore

_WORDS: Final = {
    DisabledBy.GONE: "it answered 410: it wants to hear no more",
    DisabledBy.DEAD: "it has taken nothing for three days; what waits for it is kept",
}
_CODE: Final = "webhook-disabled:"
#: What is asked of the database holds up the other alerts no longer than this, in seconds.
_PATIENCE: Final = 1.0


def tellers(store: BankStore, audit: Audit, settings: Settings, clock: Clock) -> Sequence[Deliverer]:
    """Return what delivers in this worker; nothing where the store keeps no webhooks."""
    if not isinstance(store, WebhookStore):
        return ()

    async def disabled(outgoing: OutgoingWebhook, ended: AttemptEnded) -> None:
        """Write down that an endpoint is told nothing more."""
        with acting_as(None, via="worker", reason=_WORDS.get(ended.disable) if ended.disable else None):
            subject = f"webhook:{outgoing.delivery.endpoint_id}"
            await audit.note("webhooks.disable", subject=subject, status=ended.status, error=ended.error)

    return (Deliverer(store, settings, clock, disabled),)


def watching(deliverers: Sequence[Deliverer]) -> GroupsBehind:
    """Return what finds the alerts that stand beside the queue's health: consumers that fell behind, and endpoints that
    were disabled by no person, for as long as they are."""

    async def watch(client: Redis, keys: Keys, now: datetime) -> Sequence[Alert]:
        found = list(await groups_behind(client, keys, now))
        for each in deliverers:
            try:
                async with asyncio.timeout(_PATIENCE):
                    silenced = await each.silenced()
                found += [_alert(_CODE + name, _WORDS.get(by, by.value), now) for name, by in silenced.items()]
            except (StoreUnavailable, TimeoutError):  # what was in force is so still, as far as anybody knows
                codes = [code.decode() if isinstance(code, bytes) else code for code in await _in_force(client, keys)]
                found += [_alert(code, "", now) for code in codes if code.startswith(_CODE)]
        return found

    return watch


async def _in_force(client: Redis, keys: Keys) -> Sequence[str | bytes]:
    found: Any = client.hkeys(keys.of("alerts"))  # redis-py types it for clients of both kinds
    return list(await found)


def _alert(code: str, why: str, now: datetime) -> Alert:
    message = f"the webhook endpoint {code.removeprefix(_CODE)} is told nothing more: {why}"
    return Alert(code=code, message=message, value=1, threshold=0, since=now)
