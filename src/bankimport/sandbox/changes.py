"""The sandbox as a bank that tells changes: added, modified, removed, and a cursor, below `/changes`.

It is nobody's API; it is here to prove the port's `Delta`. Of an account's entries one half keep their id as they are
booked (modified), the other half change it (removed, and added with a link), and now and then a pending one comes that
is never booked (removed). A change while the pages are read voids them, and a cursor is forgotten after a month.
"""

import base64
import binascii
import json
from datetime import date, datetime, timedelta
from typing import Any, Final

from aiohttp import web

from bankimport.models import Scope
from bankimport.sandbox.bank import Served, served_of, stable_id, transaction_json
from bankimport.sandbox.counter import STATE, Refused, enter, of_name
from bankimport.sandbox.misbehaviour import Kind
from bankimport.sandbox.people import Account

_REMEMBERED: Final = timedelta(days=30)
Rows = dict[str, dict[str, Any]]


def routes() -> list[web.RouteDef]:
    """Return the API's routes."""
    return [web.get("/changes/{account}", _changes)]


async def _changes(request: web.Request) -> web.Response:
    consent, position, account = of_name(request.match_info["account"])
    await enter(request, consent, Scope.TRANSACTIONS, position=position)
    state = request.app[STATE]
    now = state.clock.now()
    try:
        since, until, offset = _read_cursor(request.query.get("cursor"))
    except ValueError:
        raise Refused(Kind.FORMAT_ERROR) from None
    if since is not None and since < now - _REMEMBERED:
        return web.json_response({"error": "cursor-forgotten"}, status=410)
    if until is not None and until != now:
        return web.json_response({"error": "changed-meanwhile"}, status=409)
    before = {} if since is None else _rows(account, since.date(), state.history)
    after = _rows(account, now.date(), state.history)
    changes = [("added", row) for name, row in after.items() if name not in before]
    changes += [("modified", row) for name, row in after.items() if name in before and before[name] != row]
    changes += [("removed", {"id": name}) for name, row in before.items() if name not in after and not _aged(row, now)]
    part = changes[offset : offset + state.page_size]
    more = offset + state.page_size < len(changes)
    cursor = _cursor(since, now, offset + state.page_size) if more else _cursor(now, None, 0)
    told: dict[str, Any] = {"added": [], "modified": [], "removed": []}
    for kind, row in part:
        told[kind].append(row)
    return web.json_response({**told, "next_cursor": cursor, "has_more": more})


def _aged(row: dict[str, Any], now: datetime) -> bool:
    """Whether a row is gone only because the bank's history moved on: that is no change."""
    return "bookingDate" in row and date.fromisoformat(row["bookingDate"]) < now.date() - timedelta(days=60)


def _rows(account: Account, today: date, history: timedelta) -> Rows:
    """Return what the account has on a day, by id."""
    found: Rows = {}
    for served in served_of(account, today - history, None, today):
        row = _row(served)
        found[row["id"]] = row
    for day in (today, today - timedelta(days=1)):
        phantom = stable_id(f"phantom/{account.seed}/{day}")
        if int(phantom, 16) % 4 == 0:
            money = {"currency": account.currency, "amount": "-1.00"}
            found[phantom] = {"id": phantom, "transactionAmount": money, "valueDate": day.isoformat()}
    return found


def _row(served: Served) -> dict[str, Any]:
    row = transaction_json(served, lambda _: None)
    lasting, pending = stable_id(served.entry.key), stable_id(f"pending/{served.entry.key}")
    if int(lasting, 16) % 2 == 0:
        return {"id": lasting, **row}
    if served.status == "pending":
        return {"id": pending, **row}
    return {"id": lasting, "replaces": pending, **row}


def _cursor(since: datetime | None, until: datetime | None, offset: int) -> str:
    parts = [None if since is None else since.isoformat(), None if until is None else until.isoformat(), offset]
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


def _read_cursor(text: str | None) -> tuple[datetime | None, datetime | None, int]:
    if text is None:
        return None, None, 0
    try:
        since, until, offset = json.loads(base64.urlsafe_b64decode(text))
        return (
            None if since is None else datetime.fromisoformat(since),
            None if until is None else datetime.fromisoformat(until),
            int(offset),
        )
    except (TypeError, binascii.Error) as error:
        raise ValueError from error
