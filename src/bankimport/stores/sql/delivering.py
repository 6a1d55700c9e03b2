"""Lanes: whose turn it is, who has it, and what came of it. A lane is an endpoint's, of one connection."""

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bankimport.models import AttemptEnded, DeliveryState, OutgoingWebhook
from bankimport.stores.sql.credentials import Vault
from bankimport.stores.sql.schema import webhook_deliveries, webhook_endpoints, webhook_lanes
from bankimport.stores.sql.transacting import transact
from bankimport.stores.sql.webhook_rows import delivery_of, opened

_E, _D, _L = webhook_endpoints.c, webhook_deliveries.c, webhook_lanes.c
_WAITING: Final = _D.state == DeliveryState.WAITING.value
#: So many of one endpoint are under way in one worker; of one that takes nothing at the moment, one.
AT_ONCE: Final = 4
#: `taken_at` is as exact as this.
_TAKEN: Final = timedelta(minutes=1)


class Delivering:
    """A part of the SQL store."""

    _engine: AsyncEngine
    _reader: AsyncEngine
    _vault: Vault
    _woken: Callable[[bool], None]

    async def take_webhooks(
        self, now: datetime, until: datetime, *, limit: int, busy: Mapping[str, int], aside: Collection[str] = ()
    ) -> Sequence[OutgoingWebhook]:
        """See `WebhookStore`."""
        due = and_(_due(now, busy), _E.id.not_in(list(aside)))
        look = select(_L.connection_id).join(webhook_endpoints, _E.id == _L.endpoint_id).where(due).limit(1)

        async def anything(db: AsyncConnection) -> bool:
            return await db.scalar(look) is not None

        async def take(db: AsyncConnection) -> list[OutgoingWebhook]:
            found = (await db.execute(_found(due, limit))).all()
            taken = [await self._claimed(db, row, until) for row in _fair(found, busy)]
            return [each for each in taken if each is not None]

        if not await transact(self._reader, anything):  # where nothing is to be done no writer is held up
            return []
        return await transact(self._engine, take)

    async def _claimed(self, db: AsyncConnection, lane: Any, until: datetime) -> OutgoingWebhook | None:
        """Claim a lane that is locked, and return its first message; a lane in which nothing waits rests."""
        its = _lane(lane.endpoint_id, lane.connection_id)
        first = select(webhook_deliveries).where(
            _D.endpoint_id == lane.endpoint_id, _D.connection_id == lane.connection_id, _WAITING
        )
        row = (await db.execute(first.order_by(_D.position).limit(1))).one_or_none()
        if row is None:
            await db.execute(update(webhook_lanes).where(its).values(next_at=None))
            return None
        claim = secrets.token_hex(16)
        await db.execute(update(webhook_lanes).where(its).values(claim=claim, claimed_until=until))
        delivery, hidden = delivery_of(row, lane.next_at), opened(self._vault, lane.secrets)
        return OutgoingWebhook(delivery, lane.url, lane.org_id is not None, hidden, claim, lane.failing_since)

    async def settle_webhook(self, outgoing: OutgoingWebhook, ended: AttemptEnded, now: datetime) -> bool:
        """See `WebhookStore`."""

        async def work(db: AsyncConnection) -> bool:
            if not await _freed(db, outgoing):
                return False
            its = _D.id == outgoing.delivery.id
            noted = {"attempts": _D.attempts + 1, "attempted_at": now, "status": ended.status, "error": ended.error}
            values = {**noted, "state": ended.state.value}
            await db.execute(update(webhook_deliveries).where(its).values(values))
            await _set_next(db, outgoing, now if ended.wait is None else now + ended.wait)
            await _note_endpoint(db, outgoing.delivery.endpoint_id, ended, now)
            return True

        settled = await transact(self._engine, work)
        if settled and ended.is_success and outgoing.failing_since is not None:
            await self._all_due(outgoing.delivery.endpoint_id, now)
        return settled

    async def release_webhook(self, outgoing: OutgoingWebhook) -> None:
        """See `WebhookStore`."""
        await transact(self._engine, lambda db: _freed(db, outgoing))

    async def _all_due(self, endpoint_id: str, now: datetime) -> None:
        """An endpoint takes messages again: what waits for a later attempt need not wait. Lanes that somebody settles
        just now are passed over, or two of us could wait for each other."""
        waits = and_(_L.endpoint_id == endpoint_id, _L.next_at > now, _L.claim.is_(None))

        async def work(db: AsyncConnection) -> None:
            free = select(_L.connection_id).where(waits).with_for_update(skip_locked=True)
            names = (await db.scalars(free)).all()
            if names:
                meant = and_(_L.endpoint_id == endpoint_id, _L.connection_id.in_(names))
                await db.execute(update(webhook_lanes).where(meant).values(next_at=now))

        await transact(self._engine, work)


def _lane(endpoint_id: str, connection_id: str) -> ColumnElement[bool]:
    return and_(_L.endpoint_id == endpoint_id, _L.connection_id == connection_id)


def _due(now: datetime, busy: Mapping[str, int]) -> ColumnElement[bool]:
    full = [name for name, number in busy.items() if number >= AT_ONCE]
    return and_(
        _L.next_at <= now,
        or_(_L.claimed_until.is_(None), _L.claimed_until <= now),
        _E.disabled_by.is_(None),
        _E.id.not_in(full),
        or_(_E.failing_since.is_(None), _E.id.not_in(list(busy))),
    )


def _found(due: ColumnElement[bool], limit: int) -> Any:
    columns = (_L.endpoint_id, _L.connection_id, _L.next_at, _E.url, _E.org_id, _E.secrets, _E.failing_since)
    query = select(*columns).join(webhook_endpoints, _E.id == _L.endpoint_id).where(due)
    query = query.order_by(_L.next_at, _L.endpoint_id, _L.connection_id).limit(limit)
    return query.with_for_update(skip_locked=True, of=webhook_lanes)  # SQLite's lock is the whole file's


def _fair(found: Sequence[Any], busy: Mapping[str, int]) -> list[Any]:
    """Return those lanes that may be taken without an endpoint having too many under way."""
    number, taken = Counter(busy), []
    for lane in found:
        if number[lane.endpoint_id] < (AT_ONCE if lane.failing_since is None else 1):
            number[lane.endpoint_id] += 1
            taken.append(lane)
    return taken


async def _freed(db: AsyncConnection, outgoing: OutgoingWebhook) -> bool:
    """Lock the lane and free it, if it is still ours."""
    its = _lane(outgoing.delivery.endpoint_id, outgoing.delivery.connection_id)
    freed = {"claim": None, "claimed_until": None}
    query = update(webhook_lanes).where(its, _L.claim == outgoing.claim).values(freed)
    return (await db.execute(query)).rowcount == 1


async def _set_next(db: AsyncConnection, outgoing: OutgoingWebhook, at: datetime) -> None:
    """Say when the lane's next message is due; it rests if there is none. It is locked, so that none is added between
    the two statements without its being seen: who adds one waits for the lock, and makes the lane due."""
    endpoint_id, connection_id = outgoing.delivery.endpoint_id, outgoing.delivery.connection_id
    same = and_(_D.endpoint_id == endpoint_id, _D.connection_id == connection_id, _WAITING)
    waiting = await db.scalar(select(func.min(_D.position)).where(same))
    values = {"next_at": None if waiting is None else at}
    await db.execute(update(webhook_lanes).where(_lane(endpoint_id, connection_id)).values(values))


async def _note_endpoint(db: AsyncConnection, endpoint_id: str, ended: AttemptEnded, now: datetime) -> None:
    """Note how the endpoint is. One that takes everything is written once a minute: each write would hold up the others
    of its deliveries, which are settled at the same time."""
    since = literal(now, _E.failing_since.type)
    values: dict[str, Any] = {"failing_since": func.coalesce(_E.failing_since, since)}
    its = _E.id == endpoint_id
    if ended.is_success:
        values = {"failing_since": None, "taken_at": now}
        is_news = or_(_E.failing_since.is_not(None), _E.taken_at.is_(None), _E.taken_at < now - _TAKEN)
        its = and_(its, is_news)
    if ended.disable is not None:
        values |= {"disabled_by": ended.disable, "disabled_at": now}
    await db.execute(update(webhook_endpoints).where(its).values(values))
