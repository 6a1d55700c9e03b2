"""Who is told of a change is written down in the transaction that makes it: the outbox of the webhooks."""

import json
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import case, insert, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from bankimport.models import DeliveryState, RowStatus, WebhookType
from bankimport.ports import ChangeSet, NewRow
from bankimport.stores.sql.schema import connections, webhook_deliveries, webhook_endpoints, webhook_lanes

_E, _L = webhook_endpoints.c, webhook_lanes.c
#: A message names so many rows of each kind; of more it says how many they are.
NAMED: Final = 100


def message(kind: WebhookType, at: datetime, data: Mapping[str, Any]) -> str:
    """Return the body of a message: as Standard Webhooks has it, and the same in every attempt, byte for byte."""
    stamp = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": kind.value, "timestamp": stamp, "data": dict(data)}, separators=(",", ":"))


async def tell(
    db: AsyncConnection, connection_id: str, kind: WebhookType, data: Mapping[str, Any], now: datetime
) -> bool:
    """Write down who is told; return whether anybody is. The connection's row must be locked by this transaction: the
    order of a lane is the order in which it was."""
    told = [row for row in await _listeners(db, connection_id) if not row.types or kind.value in row.types.split(",")]
    if not told:
        return False
    body = message(kind, now, {"orgId": told[0].org_id, "connectionId": connection_id, **data})
    rows = [
        {
            "id": f"msg_{secrets.token_urlsafe(18)}",
            "endpoint_id": each.id,
            "org_id": each.org_id,
            "connection_id": connection_id,
            "type": kind.value,
            "body": body,
            "created_at": now,
            "state": DeliveryState.WAITING.value,
        }
        for each in told
    ]
    await db.execute(insert(webhook_deliveries), rows)
    await make_due(db, [(each.id, connection_id, each.org_id) for each in told], now)
    return True


async def _listeners(db: AsyncConnection, connection_id: str) -> Sequence[Any]:
    theirs = or_(_E.org_id.is_(None), _E.org_id == connections.c.org_id)
    query = (
        select(connections.c.org_id, _E.id, _E.types)
        .join(webhook_endpoints, theirs)
        .where(connections.c.id == connection_id)
        .order_by(_E.id)
        .with_for_update(read=True, key_share=True, of=webhook_endpoints)  # none is removed before the commit
    )
    return (await db.execute(query)).all()


async def make_due(db: AsyncConnection, lanes: Sequence[tuple[str, str, str]], now: datetime) -> None:
    """Make lanes due (endpoint, connection, organisation) in which something waits now, if nothing did."""
    rows = [
        {"endpoint_id": endpoint, "connection_id": connection, "org_id": org_id, "next_at": now}
        for endpoint, connection, org_id in sorted(lanes)
    ]
    dialect = sqlite if db.dialect.name == "sqlite" else postgresql
    query = dialect.insert(webhook_lanes)
    idle = case((_L.next_at.is_(None), query.excluded.next_at), else_=_L.next_at)
    keys = [_L.endpoint_id, _L.connection_id]
    await db.execute(query.on_conflict_do_update(index_elements=keys, set_={"next_at": idle}), rows)


class Written(Collection[NewRow]):
    """New rows as they are written, with the ids of the first: rows that are made as they are read have others each
    time."""

    def __init__(self, rows: Collection[NewRow]) -> None:
        self._rows = rows
        self.ids: list[str] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, row: object) -> bool:
        return row in self._rows

    def __iter__(self) -> Iterator[NewRow]:
        for row in self._rows:
            if len(self.ids) < NAMED:
                self.ids.append(row.id)
            yield row


async def tell_of_rows(
    db: AsyncConnection, connection_id: str, account_id: str, changes: ChangeSet, new_ids: Sequence[str], now: datetime
) -> bool:
    """Tell of an account's rows: how many are new, changed and removed, and which. Nothing of what is in them.
    `new_ids` are those of the first new ones, as they were written."""
    removed = [mark.id for mark in changes.marks if mark.status is RowStatus.REMOVED]
    if not (changes.inserts or changes.updates or removed):
        return False
    counted = (len(changes.inserts), len(changes.updates), len(removed))
    data = {
        "accountId": account_id,
        **dict(zip(("newTransactions", "updatedTransactions", "removedTransactions"), counted, strict=True)),
        "newIds": list(new_ids),
        "updatedIds": [row.id for row in islice(changes.updates, NAMED)],
        "removedIds": removed[:NAMED],
        "idsComplete": max(counted) <= NAMED,
    }
    return await tell(db, connection_id, WebhookType.TRANSACTIONS, data, now)
