"""What is gone through as a stream, however much of it there is: organisations to sync, consents that end."""

from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, Select, and_, func, or_, select, tuple_

from bankimport.access.consents import ENDING
from bankimport.models import BankConnection
from bankimport.status import ConnectionStatus
from bankimport.stores.sql.credentials import Vault
from bankimport.stores.sql.rows import connection_of
from bankimport.stores.sql.schema import connections

_PAGE = 500
_SYNCABLE = (ConnectionStatus.ACTIVE.value, ConnectionStatus.ERROR.value)


class Streams:
    """A part of the SQL store."""

    _vault: Vault
    _rows: Callable[[Select[Any]], Coroutine[Any, Any, list[Row[Any]]]]

    async def syncable_organisations(self, now: datetime) -> AsyncIterator[str]:
        """See `BankStore`."""
        last = ""
        syncable = or_(
            connections.c.status.in_(_SYNCABLE),
            and_(
                connections.c.status == ConnectionStatus.REQUIRES_REAUTH.value,
                func.coalesce(connections.c.status_reason, ENDING).startswith(ENDING),  # as `is_syncable` has it
                or_(connections.c.consent_valid_until.is_(None), connections.c.consent_valid_until >= now.date()),
            ),
        )
        while True:
            query = (
                select(connections.c.org_id)
                .where(syncable, connections.c.org_id > last)
                .distinct()
                .order_by(connections.c.org_id)
                .limit(_PAGE)
            )
            page = [row.org_id for row in await self._rows(query)]
            for org_id in page:
                yield org_id
            if len(page) < _PAGE:
                return
            last = page[-1]

    async def consents_ending(self, before: date) -> AsyncIterator[BankConnection]:
        """See `BankStore`."""
        last = ("", "")
        position = tuple_(connections.c.org_id, connections.c.id)
        while True:
            query = (
                select(connections)
                .where(
                    connections.c.status != ConnectionStatus.DISCONNECTED.value,
                    connections.c.consent_valid_until < before,
                    position > last,
                )
                .order_by(connections.c.org_id, connections.c.id)
                .limit(_PAGE)
            )
            page = await self._rows(query)
            for row in page:
                yield connection_of(row, self._vault)
            if len(page) < _PAGE:
                return
            last = (page[-1].org_id, page[-1].id)
