"""The sandbox as GoCardless, while a person authorises: banks, an agreement, a requisition, the bank's page."""

import secrets
from typing import Final

from aiohttp import web
from yarl import URL

from bankimport.models import Scope
from bankimport.sandbox.authorising import Decision, address_of, begin, consent_behind
from bankimport.sandbox.counter import NEW_CONSENT, STATE, Refused, enter
from bankimport.sandbox.gocardless import BANK, check_token
from bankimport.sandbox.misbehaviour import Kind, Switch

_LONGEST_DAYS: Final = 180
_COUNTRIES: Final = ("DE", "FI", "FR")


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [
        web.get("/api/v2/institutions/", _institutions),
        web.post("/api/v2/agreements/enduser/", _new_agreement),
        web.post("/api/v2/requisitions/", _new_requisition),
        web.delete("/api/v2/requisitions/{requisition}/", _deleted),
    ]


async def _institutions(request: web.Request) -> web.Response:
    check_token(request)
    country = request.query.get("country")
    if country is not None and country.upper() not in _COUNTRIES:
        detail = {"summary": "Invalid country choice.", "detail": f"{country} is not a valid choice."}
        return web.json_response({"country": detail, "status_code": 400}, status=400)
    bank = {
        "id": BANK,
        "name": "Sandbox Bank",
        "bic": "SFIN0000",
        "transaction_total_days": "90",
        "max_access_valid_for_days": str(_LONGEST_DAYS),
        "countries": [*_COUNTRIES],
        "logo": "",
    }
    return web.json_response([bank])


async def _new_agreement(request: web.Request) -> web.Response:
    check_token(request)
    await enter(request, NEW_CONSENT, Scope.CONSENT)
    given = await request.json()
    if given.get("institution_id") != BANK:
        told = {"summary": "Unknown Institution ID", "detail": "Get Institution IDs from /institutions/"}
        return web.json_response({"institution_id": told, "status_code": 400}, status=400)
    days = given.get("access_valid_for_days", 90)
    if not isinstance(days, int) or not 0 < days <= _LONGEST_DAYS:
        told = {"summary": "Incorrect access_valid_for_days", "detail": "must be > 0 and <= 180"}
        return web.json_response({"access_valid_for_days": told, "status_code": 400}, status=400)
    body = {"max_historical_days": 90, "access_scope": ["balances", "details", "transactions"], **given}
    return web.json_response({"id": secrets.token_hex(16), **body}, status=201)


async def _new_requisition(request: web.Request) -> web.Response:
    check_token(request)
    given = await request.json()
    back, reference = URL(str(given.get("redirect", ""))), str(given.get("reference", ""))
    if back.scheme not in ("http", "https") or not reference:
        raise Refused(Kind.FORMAT_ERROR)
    cancelled = {"error": "UserCancelledSession", "details": "User <cancelled> the session"}
    failed = {"error": "ServiceError", "details": "Institution service unavailable"}
    authorising = begin(
        request,
        {
            Decision.CONSENT: back.update_query(ref=reference),
            Decision.CANCEL: back.update_query({**cancelled, "ref": reference}),
            Decision.CANCEL_WITHOUT_STATE: back.update_query(cancelled),
            Decision.REFUSE: back.update_query({**failed, "ref": reference}),
        },
    )
    body = {**given, "id": authorising.id, "status": "CR", "accounts": [], "link": address_of(request, authorising)}
    return web.json_response(body, status=201)


async def _deleted(request: web.Request) -> web.Response:
    check_token(request)
    state, requisition = request.app[STATE], request.match_info["requisition"]
    await enter(request, consent_behind(state, requisition), Scope.CONSENT)
    state.switches.add(consent_behind(state, requisition), Switch(kind=Kind.CONSENT_UNKNOWN))
    return web.json_response({"summary": "Requisition deleted", "detail": "Requisition deleted with its agreements"})
