"""The loop that delivers, in every worker: of a lane (an endpoint and a connection) one message at a time."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from bankimport.errors import StoreUnavailable
from bankimport.models.webhooks import AttemptEnded, DeliveryState, OutgoingWebhook
from bankimport.ports import Clock
from bankimport.settings import Settings
from bankimport.webhooks.retrying import after
from bankimport.webhooks.sending import Sender
from bankimport.webhooks.signing import sign
from bankimport.webhooks.store import WebhookStore

_log = structlog.get_logger(__name__)

#: So many are under way in one worker. What one endpoint may have of them is the store's to see to.
ROOM: Final = 64
#: What another process has written is noticed so soon; what this one has, at once.
_LOOK: Final = 1.0
_PRUNE: Final = timedelta(hours=1)
#: A claim outlives the request by this much.
_MARGIN: Final = timedelta(seconds=15)

#: Told of an endpoint that was disabled.
Disabled = Callable[[OutgoingWebhook, AttemptEnded], Awaitable[None]]


class Deliverer:
    """Delivers what the store holds; `turn` is one look at it."""

    def __init__(self, store: WebhookStore, settings: Settings, clock: Clock, disabled: Disabled) -> None:
        self._store, self._settings, self._clock, self._disabled = store, settings, clock, disabled
        self._sender = Sender(settings.webhook_timeout)
        self._running: dict[asyncio.Task[None], OutgoingWebhook] = {}
        self._wake = asyncio.Event()
        self._pruned_at: datetime | None = None
        store.wake_with(self._wake.set)

    async def turn(self) -> None:
        """Wait for something to do, and begin it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK):
                await self._wake.wait()
        self._wake.clear()
        await self.look()

    async def look(self) -> int:
        """Begin to send what is due, as much as there is room for; return how many."""
        now, begun = self._clock(), 0
        while (room := ROOM - len(self._running)) > 0:
            busy = Counter(each.delivery.endpoint_id for each in self._running.values())
            until = now + self._settings.webhook_timeout + _MARGIN
            taken = await self._store.take_webhooks(now, until, limit=room, busy=busy)
            if not taken:
                break
            for each in taken:
                task = asyncio.create_task(self._deliver(each))
                self._running[task] = each
                task.add_done_callback(self._over)
            begun += len(taken)
        await self._prune(now)
        return begun

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        while self._running:
            await asyncio.wait(set(self._running))

    def _over(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()

    async def aclose(self) -> None:
        """Stop, and give back what was claimed: another worker sends it at once."""
        running = dict(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(1):
                for each in running.values():
                    await self._store.release_webhook(each)
        await self._sender.aclose()

    async def _deliver(self, outgoing: OutgoingWebhook) -> None:
        try:
            ended = await self._attempt(outgoing)
            if await self._store.settle_webhook(outgoing, ended, self._clock()):
                await self._tell(outgoing, ended)
        except StoreUnavailable:  # it was perhaps taken; the claim lapses, and it is sent again
            _log.warning("webhook.not_noted", endpoint=outgoing.delivery.endpoint_id, webhook=outgoing.delivery.id)

    async def _attempt(self, outgoing: OutgoingWebhook) -> AttemptEnded:
        delivery, now = outgoing.delivery, self._clock()
        headers = sign(outgoing.secrets.valid(now), delivery.id, now, delivery.body)
        answer = await self._sender.send(
            outgoing.url, delivery.body, headers, now, of_organisation=outgoing.of_organisation
        )
        return after(
            answer,
            attempts=delivery.attempts + 1,
            failing_since=outgoing.failing_since,
            now=self._clock(),
            scale=self._settings.retry_delay_scale,
            jitter=random.random(),
        )

    async def _tell(self, outgoing: OutgoingWebhook, ended: AttemptEnded) -> None:
        delivery = outgoing.delivery
        known = {"endpoint": delivery.endpoint_id, "webhook": delivery.id, "attempt": delivery.attempts + 1}
        if ended.is_success:
            _log.info("webhook.delivered", **known, status=ended.status)
            return
        said = {"status": ended.status, "error": ended.error}
        if ended.state is DeliveryState.FAILED:
            _log.error("webhook.given_up", **known, **said)
        else:
            _log.warning("webhook.refused", **known, **said)
        if ended.disable is not None:
            _log.error("webhook.endpoint_disabled", **known, **said, by=ended.disable.value)
            await self._disabled(outgoing, ended)

    async def _prune(self, now: datetime) -> None:
        """Forget what was delivered days ago, and, later, what was not."""
        if self._pruned_at is not None and now - self._pruned_at < _PRUNE:
            return
        self._pruned_at = now
        settings = self._settings
        gone = await self._store.prune_webhooks(now - settings.keep_completed, now - settings.keep_failed)
        if gone:
            _log.error("webhook.expired", webhooks=gone)
