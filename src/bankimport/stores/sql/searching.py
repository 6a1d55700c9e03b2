"""Connections of all organisations, for operators: by their health, which the query decides as `health_of` does."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Case, ColumnElement, Row, Select, and_, case, func, literal, null, or_, select, tuple_

from bankimport.access.consents import ENDING
from bankimport.access.health import BEHIND, SOON
from bankimport.models import ConnectionFilter, ConnectionHealth
from bankimport.status import ConnectionStatus
from bankimport.stores.sql.schema import connections

_C = connections.c


def _health(now: datetime) -> Case[str]:
    today = now.date()
    marked = _C.status == ConnectionStatus.REQUIRES_REAUTH.value
    warned = func.coalesce(_C.status_reason, ENDING).startswith(ENDING)
    rules: Sequence[tuple[ColumnElement[bool], ConnectionHealth]] = (
        (_C.status == ConnectionStatus.DISCONNECTED.value, ConnectionHealth.DISCONNECTED),
        (_C.status == ConnectionStatus.PENDING.value, ConnectionHealth.BEING_CONNECTED),
        (or_(_C.consent_valid_until < today, and_(marked, ~warned)), ConnectionHealth.NEEDS_RENEWAL),
        (_C.status == ConnectionStatus.ERROR.value, ConnectionHealth.ERROR),
        (or_(marked, _C.consent_valid_until <= today + SOON), ConnectionHealth.ENDS_SOON),
        (_C.last_sync_at.is_(None), ConnectionHealth.NEW),
        (_C.last_sync_at < now - BEHIND, ConnectionHealth.BEHIND),
    )
    return case(*((rule, literal(health.value)) for rule, health in rules), else_=ConnectionHealth.UP_TO_DATE.value)


def _meant(wanted: ConnectionFilter, now: datetime) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.org_id is not None:
        conditions.append(_C.org_id == wanted.org_id)
    if wanted.bank is not None:
        conditions.append(_C.bank == wanted.bank)
    if wanted.health is not None:
        conditions.append(_health(now) == wanted.health.value)
    return conditions


def found(wanted: ConnectionFilter, after: tuple[str, str] | None, limit: int, now: datetime) -> Select[Any]:
    """Return the query for a page; nobody's credentials are read."""
    columns = [column for column in _C if column.name != "credentials"]
    query = select(*columns, null().label("credentials")).where(*_meant(wanted, now))
    if after is not None:
        query = query.where(tuple_(_C.org_id, _C.id) > after)
    return query.order_by(_C.org_id, _C.id).limit(limit)


def counted(wanted: ConnectionFilter, now: datetime) -> Select[Any]:
    """Return the query for the number of each health."""
    health = _health(now).label("health")
    inner = select(health).where(*_meant(wanted, now)).subquery()
    return select(inner.c.health, func.count().label("number")).group_by(inner.c.health)


def numbers(rows: Sequence[Row[Any]]) -> dict[ConnectionHealth, int]:
    """Return what the counting query answered."""
    return {ConnectionHealth(row.health): int(row.number) for row in rows}


def counted_by_bank(now: datetime) -> Select[Any]:
    """Return the query for the number of each health of each bank."""
    inner = select(_C.bank, _health(now).label("health")).subquery()
    return select(*inner.c, func.count().label("number")).group_by(*inner.c)


def census(rows: Sequence[Row[Any]]) -> dict[str, dict[ConnectionHealth, int]]:
    """Return what that query answered."""
    found: dict[str, dict[ConnectionHealth, int]] = {}
    for row in rows:
        found.setdefault(row.bank, {})[ConnectionHealth(row.health)] = int(row.number)
    return found
