"""Webhooks in a SQL database: the endpoints, and what was and is to be delivered to each."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bankimport.models import (
    Delivery,
    DeliveryFilter,
    DeliveryState,
    DisabledBy,
    WebhookEndpoint,
    WebhookSecrets,
)
from bankimport.stores.sql.credentials import Vault
from bankimport.stores.sql.schema import webhook_deliveries, webhook_endpoints, webhook_lanes
from bankimport.stores.sql.telling import make_due
from bankimport.stores.sql.transacting import transact
from bankimport.stores.sql.webhook_rows import delivery_of, endpoint_of

_E, _D, _L = webhook_endpoints.c, webhook_deliveries.c, webhook_lanes.c
_WAITING: Final = _D.state == DeliveryState.WAITING.value
_SLICE: Final = 1000


class Webhooks:
    """A part of the SQL store."""

    _engine: AsyncEngine
    _reader: AsyncEngine
    _vault: Vault
    _wakes: list[Callable[[], None]]

    def wake_with(self, wake: Callable[[], None]) -> None:
        """See `WebhookStore`."""
        self._wakes.append(wake)

    def _woken(self, told: bool) -> None:  # noqa: FBT001  # what a transaction has answered
        if told:
            for wake in self._wakes:
                wake()

    # Endpoints -------------------------------------------------------------------------------------------------

    async def add_webhook_endpoint(self, endpoint: WebhookEndpoint, secrets: WebhookSecrets) -> None:
        """See `WebhookStore`."""
        row = {
            "id": endpoint.id,
            "url": endpoint.url,
            "org_id": endpoint.org_id,
            "types": ",".join(endpoint.types),
            "secrets": self._vault.close(secrets.plain()),
            "created_at": endpoint.created_at,
        }

        async def work(db: AsyncConnection) -> None:
            if await db.scalar(select(_E.id).where(_E.id == endpoint.id)) is None:  # else ours, whose answer was lost
                await db.execute(webhook_endpoints.insert(), row)

        await transact(self._engine, work)

    async def webhook_endpoints(self, org_id: str | None = None) -> Sequence[WebhookEndpoint]:
        """See `WebhookStore`."""
        return await self._endpoints(*([] if org_id is None else [_E.org_id == org_id]))

    async def webhook_endpoint(self, endpoint_id: str) -> WebhookEndpoint | None:
        """See `WebhookStore`."""
        return next(iter(await self._endpoints(_E.id == endpoint_id)), None)

    async def _endpoints(self, *conditions: ColumnElement[bool]) -> list[WebhookEndpoint]:
        waiting = select(func.count()).where(_D.endpoint_id == _E.id, _WAITING).scalar_subquery().label("waiting")
        query = select(webhook_endpoints, waiting).where(*conditions).order_by(_E.created_at, _E.id)

        async def work(db: AsyncConnection) -> list[WebhookEndpoint]:
            return [endpoint_of(row, self._vault) for row in await db.execute(query)]

        return await transact(self._reader, work)

    async def has_webhook_endpoints(self) -> bool:
        """See `WebhookStore`."""

        async def work(db: AsyncConnection) -> bool:
            return await db.scalar(select(_E.id).limit(1)) is not None

        return await transact(self._reader, work)

    async def silenced_webhooks(self) -> Mapping[str, DisabledBy]:
        """See `WebhookStore`."""
        query = select(_E.id, _E.disabled_by).where(_E.disabled_by.in_([DisabledBy.GONE, DisabledBy.DEAD]))

        async def work(db: AsyncConnection) -> dict[str, DisabledBy]:
            return {row.id: DisabledBy(row.disabled_by) for row in await db.execute(query.order_by(_E.id))}

        return await transact(self._reader, work)

    async def webhook_secrets(self, endpoint_id: str) -> WebhookSecrets | None:
        """See `WebhookStore`."""

        async def work(db: AsyncConnection) -> str | None:
            found: str | None = await db.scalar(select(_E.secrets).where(_E.id == endpoint_id))
            return found

        plain = self._vault.open(await transact(self._reader, work))
        return None if plain is None else WebhookSecrets.of(plain)

    async def put_webhook_secrets(self, endpoint_id: str, secrets: WebhookSecrets) -> None:
        """See `WebhookStore`."""
        closed = self._vault.close(secrets.plain())
        query = update(webhook_endpoints).where(_E.id == endpoint_id).values(secrets=closed)
        await transact(self._engine, lambda db: db.execute(query))

    async def set_webhook_disabled(self, endpoint_id: str, by: DisabledBy | None, at: datetime) -> bool:
        """See `WebhookStore`."""
        is_other = _E.disabled_by.is_not(None) if by is None else _E.disabled_by.is_(None)
        values = {"disabled_by": by, "disabled_at": None if by is None else at}
        if by is None:
            values["failing_since"] = None
        query = update(webhook_endpoints).where(_E.id == endpoint_id, is_other).values(values)

        async def work(db: AsyncConnection) -> bool:
            if (await db.execute(query)).rowcount != 1:
                return False
            if by is None:
                its = and_(_D.endpoint_id == endpoint_id, _WAITING)
                await db.execute(update(webhook_deliveries).where(its).values(attempts=0))
                waits = and_(_L.endpoint_id == endpoint_id, _L.next_at.is_not(None))
                await db.execute(update(webhook_lanes).where(waits).values(next_at=at))
            return True

        done = await transact(self._engine, work)
        self._woken(done)
        return done

    async def remove_webhook_endpoint(self, endpoint_id: str) -> bool:
        """See `WebhookStore`."""

        async def work(db: AsyncConnection) -> bool:
            return (await db.execute(delete(webhook_endpoints).where(_E.id == endpoint_id))).rowcount == 1

        return await transact(self._engine, work)

    # Deliveries ------------------------------------------------------------------------------------------------

    async def webhook_deliveries(
        self, wanted: DeliveryFilter, *, before: str | None, limit: int
    ) -> Sequence[tuple[str, Delivery]]:
        """See `WebhookStore`."""
        first = select(func.min(_D.position)).where(_same_lane(), _WAITING).correlate(webhook_lanes).scalar_subquery()
        heads = and_(_L.endpoint_id == _D.endpoint_id, _L.connection_id == _D.connection_id, _D.position == first)
        query = select(webhook_deliveries, _L.next_at).outerjoin(webhook_lanes, heads).where(*_meant(wanted))
        query = query.order_by(_D.position.desc()).limit(limit)
        if before is not None:
            query = query.where(_D.position < int(before))

        async def work(db: AsyncConnection) -> list[tuple[str, Delivery]]:
            return [(str(row.position), delivery_of(row, row.next_at)) for row in await db.execute(query)]

        return await transact(self._reader, work)

    async def replay_webhooks(self, wanted: DeliveryFilter, at: datetime) -> int:
        """See `WebhookStore`."""
        meant = and_(*_meant(wanted), _D.state != DeliveryState.WAITING.value)
        again = {"state": DeliveryState.WAITING.value, "attempts": 0}

        async def work(db: AsyncConnection) -> int:
            lanes = (
                await db.execute(select(_D.endpoint_id, _D.connection_id, _D.org_id).where(meant).distinct())
            ).all()
            if lanes:
                await make_due(db, [(row[0], row[1], row[2]) for row in lanes], at)  # they are locked: none ends now
            return (await db.execute(update(webhook_deliveries).where(meant).values(again))).rowcount

        number = await transact(self._engine, work)
        self._woken(number > 0)
        return number

    async def prune_webhooks(self, delivered_before: datetime, others_before: datetime) -> int:
        """See `WebhookStore`."""
        delivered = and_(_D.state == DeliveryState.DELIVERED.value, _D.created_at < delivered_before)
        others = and_(_D.state != DeliveryState.DELIVERED.value, _D.created_at < others_before)
        lost = 0
        for meant in (delivered, others):
            some = select(_D.position).where(meant).limit(_SLICE)

            async def work(db: AsyncConnection, some: Any = some) -> int:
                return (await db.execute(delete(webhook_deliveries).where(_D.position.in_(some)))).rowcount

            while number := await transact(self._engine, work):
                lost += number if meant is others else 0
        return lost


def _same_lane() -> ColumnElement[bool]:
    return and_(_D.endpoint_id == _L.endpoint_id, _D.connection_id == _L.connection_id)


def _meant(wanted: DeliveryFilter) -> list[ColumnElement[bool]]:
    exact: dict[str, Any] = {name: getattr(wanted, name) for name in ("endpoint_id", "org_id", "connection_id", "id")}
    conditions: list[ColumnElement[bool]] = [_D[name] == value for name, value in exact.items() if value is not None]
    if wanted.state is not None:
        conditions.append(_D.state == wanted.state.value)
    if wanted.since is not None:
        conditions.append(_D.created_at >= wanted.since)
    return conditions
