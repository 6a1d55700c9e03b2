"""The sandbox's own routes, below `/sandbox`: to make it misbehave, and to look behind the counter."""

import json
from datetime import datetime

from aiohttp import web
from pydantic import ValidationError

from bankimport.sandbox.bank import transactions_on
from bankimport.sandbox.counter import STATE, day_in
from bankimport.sandbox.misbehaviour import Switch


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [
        web.post("/sandbox/consents/{consent}/switches", _add_switch),
        web.delete("/sandbox/consents/{consent}/switches", _clear_switches),
        web.get("/sandbox/consents/{consent}/requests", _requests),
        web.get("/sandbox/consents/{consent}/transactions", _truth),
        web.put("/sandbox/clock", _set_clock),
    ]


async def _add_switch(request: web.Request) -> web.Response:
    try:
        switch = Switch.model_validate_json(await request.read())
    except ValidationError as error:
        return web.json_response({"errors": json.loads(error.json(include_url=False))}, status=422)
    request.app[STATE].switches.add(request.match_info["consent"], switch)
    return web.json_response(switch.model_dump(mode="json"), status=201)


async def _clear_switches(request: web.Request) -> web.Response:
    request.app[STATE].switches.clear(request.match_info["consent"])
    return web.Response(status=204)


async def _requests(request: web.Request) -> web.Response:
    return web.json_response({"requests": request.app[STATE].requests[request.match_info["consent"]]})


async def _truth(request: web.Request) -> web.Response:
    state = request.app[STATE]
    rows = transactions_on(request.match_info["consent"], state.clock.today(), day_in(request, "since"))
    told = [
        {
            "iban": row.account.iban,
            "status": row.status,
            "bookingDate": None if row.booking_date is None else row.booking_date.isoformat(),
            "valueDate": row.entry.day.isoformat(),
            "amount": f"{row.entry.amount:.2f}",
            "currency": row.entry.currency,
        }
        for row in rows
    ]
    return web.json_response({"today": state.clock.today().isoformat(), "transactions": told})


async def _set_clock(request: web.Request) -> web.Response:
    try:
        now = datetime.fromisoformat(str((await request.json())["now"]))
    except (ValueError, KeyError, TypeError):
        return web.json_response({"errors": [{"pointer": "/now", "message": "an ISO 8601 instant"}]}, status=422)
    if now.tzinfo is None:
        return web.json_response({"errors": [{"pointer": "/now", "message": "needs its time zone"}]}, status=422)
    request.app[STATE].clock.set(now)
    return web.json_response({"now": now.isoformat()})
