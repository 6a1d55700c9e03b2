"""What people did: the `AuditLog` of a SQL database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bankimport.models import AuditEntry, AuditFilter
from bankimport.stores.sql.schema import audit
from bankimport.stores.sql.transacting import transact

_A = audit.c


class Audits:
    """A part of the SQL store."""

    _engine: AsyncEngine
    _reader: AsyncEngine

    async def add_audit_entry(self, entry: AuditEntry) -> None:
        """See `AuditLog`."""
        row = entry.model_dump(by_alias=False)

        async def work(db: AsyncConnection) -> None:
            if await db.scalar(select(_A.id).where(_A.id == entry.id)) is None:  # else ours, whose answer was lost
                await db.execute(insert(audit), row)

        await transact(self._engine, work)

    async def audit_entries(self, wanted: AuditFilter, *, before: str | None, limit: int) -> Sequence[AuditEntry]:
        """See `AuditLog`."""
        query = select(audit).where(*_meant(wanted)).order_by(_A.id.desc()).limit(limit)
        if before is not None:
            query = query.where(_A.id < before)

        async def work(db: AsyncConnection) -> list[AuditEntry]:
            return [_entry_of(row) for row in await db.execute(query)]

        return await transact(self._reader, work)


def _meant(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    exact = (("org_id", wanted.org_id), ("who", wanted.who), ("subject", wanted.subject))
    conditions: list[ColumnElement[bool]] = [_A[name] == value for name, value in exact if value is not None]
    if wanted.action is not None:
        conditions.append(or_(_A.action == wanted.action, _A.action.startswith(f"{wanted.action}.", autoescape=True)))
    return conditions


def _entry_of(row: Row[Any]) -> AuditEntry:
    return AuditEntry.model_validate(dict(row._mapping))  # noqa: SLF001  # SQLAlchemy's public name for it
