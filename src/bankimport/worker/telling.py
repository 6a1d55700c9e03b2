"""A worker tells other services of what was imported, where the store has kept who is to be told."""

from collections.abc import Sequence
from typing import Final

from bankimport.acting import acting_as
from bankimport.errors import BankImportError
from bankimport.events import QueueAlert
from bankimport.models import AttemptEnded, OutgoingWebhook
from bankimport.ports import BankStore, Clock
from bankimport.queue.queue import Queue
from bankimport.queue.run import fields_of
from bankimport.service import Audit
from bankimport.settings import Settings
from bankimport.webhooks import Deliverer, WebhookStore

_WORDS: Final = {
    "gone": "it answered 410: it wants to hear no more",
    "dead": "it has taken nothing for three days; what waits for it is kept",
}


def tellers(store: BankStore, queue: Queue, audit: Audit, settings: Settings, clock: Clock) -> Sequence[Deliverer]:
    """Return what delivers in this worker; nothing where the store keeps no webhooks."""
    if not isinstance(store, WebhookStore):
        return ()

    async def disabled(outgoing: OutgoingWebhook, ended: AttemptEnded) -> None:
        """Write down that an endpoint is told nothing more, and alarm the operator."""
        endpoint_id, by = outgoing.delivery.endpoint_id, ended.disable.value if ended.disable else ""
        with acting_as(None, via="worker", reason=_WORDS.get(by)):
            await audit.note(
                "webhooks.disable", subject=f"webhook:{endpoint_id}", status=ended.status, error=ended.error
            )
        alert = QueueAlert(
            code=f"webhook-disabled:{endpoint_id}",
            message=f"the webhook endpoint {endpoint_id} is told nothing more: {_WORDS.get(by, by)}",
            value=1,
            threshold=0,
            active=True,
            timestamp=clock(),
        )
        try:
            await queue.transitions.emit_event(alert.name, "", "", fields_of(alert))
        except BankImportError:
            return  # Redis is away, which alarms by itself; the log and the audit have said it

    return (Deliverer(store, settings, clock, disabled),)
