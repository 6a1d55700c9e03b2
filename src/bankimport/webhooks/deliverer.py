"""The loop that delivers, in every worker: of a lane (an endpoint and a connection) one message at a time."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog

from bankimport.errors import InvalidRequest, StoreUnavailable
from bankimport.models.webhooks import AttemptEnded, DeliveryState, DisabledBy, OutgoingWebhook
from bankimport.ports import Clock
from bankimport.settings import Settings
from bankimport.webhooks.retrying import after
from bankimport.webhooks.sending import Sender
from bankimport.webhooks.signing import sign
from bankimport.webhooks.store import WebhookStore

_log = structlog.get_logger(__name__)

#: So many are under way in one worker. What one endpoint may have of them is the store's to see to.
ROOM: Final = 64
#: Seconds between two looks at what other processes have written: the shortest after there was something to do, then
#: twice as long each time. What this process has written is noticed at once.
_SHORTEST, _LONGEST = 1.0, 4.0
#: So often is asked whether there is any endpoint, and nothing else while there is none.
_NOBODY: Final = 60.0
#: An endpoint whose secret can't be decrypted is left to other workers for so long, and named in the log again.
_ASIDE: Final = timedelta(minutes=1)
_MEND: Final = (
    "put the key that it was encrypted with behind the first one of BANK_SYNC_CREDENTIALS_KEY, or give the endpoint a "
    "new secret: bankimport webhooks rotate"
)
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
        self._patience = _SHORTEST
        self._is_anybody_told, self._asked_at = False, -_NOBODY
        self._aside: dict[str, datetime] = {}
        self._pruned_at: datetime | None = None
        store.wake_with(self._wake.set)

    async def turn(self) -> None:
        """Wait for something to do, and begin it; where no endpoint exists there is nothing to look for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await self._wake.wait()
        woken = self._wake.is_set()
        self._wake.clear()
        if not woken and not await self._is_to_look():
            self._patience = _NOBODY
            return
        begun = await self.look()
        self._patience = _SHORTEST if woken or begun else min(2 * self._patience, _LONGEST)

    async def _is_to_look(self) -> bool:
        """Return whether any endpoint exists, as it was within the minute."""
        if time.monotonic() - self._asked_at >= _NOBODY:
            self._is_anybody_told = await self._store.has_webhook_endpoints()
            self._asked_at = time.monotonic()
        return self._is_anybody_told

    async def silenced(self) -> Mapping[str, DisabledBy]:
        """Return why each endpoint was disabled that no person has disabled; for alerts, which ask again and again.

        Raises:
            StoreUnavailable
        """
        return await self._store.silenced_webhooks() if await self._is_to_look() else {}

    async def look(self) -> int:
        """Begin to send what is due, as much as there is room for; return how many."""
        now, begun = self._clock(), 0
        self._aside = {endpoint_id: until for endpoint_id, until in self._aside.items() if until > now}
        while (room := ROOM - len(self._running)) > 0:
            busy = Counter(each.delivery.endpoint_id for each in self._running.values())
            until = now + self._settings.webhook_timeout + _MARGIN
            taken = await self._store.take_webhooks(now, until, limit=room, busy=busy, aside=list(self._aside))
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
            headers = self._signed(outgoing)
            if headers is None:
                await self._put_aside(outgoing)
                return
            ended = await self._attempt(outgoing, headers)
            if await self._store.settle_webhook(outgoing, ended, self._clock()):
                await self._tell(outgoing, ended)
        except StoreUnavailable:  # it was perhaps taken; the claim lapses, and it is sent again
            _log.warning("webhook.not_noted", endpoint=outgoing.delivery.endpoint_id, webhook=outgoing.delivery.id)

    def _signed(self, outgoing: OutgoingWebhook) -> Mapping[str, str] | None:
        """Return the headers of a message; None if there is no secret to sign it with."""
        if outgoing.secrets is None:
            return None
        now, delivery = self._clock(), outgoing.delivery
        with contextlib.suppress(InvalidRequest):
            return sign(outgoing.secrets.valid(now), delivery.id, now, delivery.body)
        return None

    async def _put_aside(self, outgoing: OutgoingWebhook) -> None:
        """Give back what this worker can't sign. It is no attempt: another worker may have the key, and the endpoint
        has done nothing wrong."""
        endpoint_id = outgoing.delivery.endpoint_id
        if endpoint_id not in self._aside:
            self._aside[endpoint_id] = self._clock() + _ASIDE
            _log.error("webhook.secret_unreadable", endpoint=endpoint_id, mending=_MEND)
        await self._store.release_webhook(outgoing)

    async def _attempt(self, outgoing: OutgoingWebhook, headers: Mapping[str, str]) -> AttemptEnded:
        delivery, now = outgoing.delivery, self._clock()
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
