"""The sandbox as Enable Banking, while a person authorises: `/auth`, the bank's page, then a session for the code."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiohttp import web
from yarl import URL

from bankimport.models import Scope
from bankimport.sandbox.authorising import Decision, Stage, address_of, begin
from bankimport.sandbox.counter import NEW_CONSENT, NEW_SESSION, STATE, enter, named
from bankimport.sandbox.enable_banking import BANK, account_told, check_token, error
from bankimport.sandbox.people import person_of

_LONGEST_CONSENT: Final = timedelta(days=180)


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [
        web.post("/auth", _auth),
        web.post("/sessions", _authorised),
        web.delete("/sessions/{session}", _revoked),
    ]


async def _auth(request: web.Request) -> web.Response:
    check_token(request)
    await enter(request, NEW_CONSENT, Scope.CONSENT)
    given = await _given(request)
    try:
        back = URL(given["redirect_url"])
        state, until = str(given["state"]), datetime.fromisoformat(given["access"]["valid_until"])
        bank = (given["aspsp"]["name"], given["aspsp"]["country"])
    except (KeyError, TypeError, ValueError):
        raise error(422, "WRONG_REQUEST_PARAMETERS") from None
    if bank[0] != BANK:
        raise error(422, "WRONG_ASPSP_PROVIDED")
    if back.scheme not in ("http", "https"):
        raise error(422, "REDIRECT_URI_NOT_ALLOWED")
    if until.tzinfo is None or until > datetime.now(UTC) + _LONGEST_CONSENT:
        raise error(422, "WRONG_REQUEST_PARAMETERS")
    denied = {"error": "access_denied", "error_description": "The user cancelled <the> authorisation"}
    failed = {"error": "server_error", "error_description": "The bank could not authorise"}
    authorising = begin(
        request,
        {
            Decision.CONSENT: back.update_query(code="", state=state),
            Decision.CANCEL: back.update_query({**denied, "state": state}),
            Decision.CANCEL_WITHOUT_STATE: back.update_query(denied),
            Decision.REFUSE: back.update_query({**failed, "state": state}),
        },
    )
    return web.json_response({"url": address_of(request, authorising), "authorization_id": authorising.id})


async def _authorised(request: web.Request) -> web.Response:
    check_token(request)
    await enter(request, NEW_SESSION, Scope.CONSENT)
    code = (await _given(request)).get("code")
    state = request.app[STATE]
    authorising = next((each for each in state.authorisings.values() if each.code == code), None)
    if authorising is None or authorising.stage is not Stage.GRANTED:
        raise error(422, "WRONG_AUTHORIZATION_CODE")
    if authorising.is_code_used:
        raise error(422, "ALREADY_AUTHORIZED")
    authorising.is_code_used = True
    session = authorising.consent
    accounts = [{**account_told(account, named(session, n))} for n, account in enumerate(person_of(session).accounts)]
    access = {"valid_until": (state.clock.now() + _LONGEST_CONSENT).isoformat()}
    body = {"session_id": session, "accounts": accounts, "aspsp": {"name": BANK, "country": "DE"}, "access": access}
    return web.json_response({**body, "psu_type": "personal"})


async def _revoked(request: web.Request) -> web.Response:
    check_token(request)
    session = request.match_info["session"]
    await enter(request, session, Scope.CONSENT)
    request.app[STATE].switches.revoke(session)
    return web.json_response({"message": "OK"})


async def _given(request: web.Request) -> dict[str, Any]:
    try:
        given = await request.json()
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise error(422, "WRONG_REQUEST_PARAMETERS")
    return given
