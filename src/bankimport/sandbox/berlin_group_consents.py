"""The sandbox as a bank of Berlin Group, while a person authorises: by redirect, by OAuth, or in the bank's own app."""

from datetime import date
from typing import Any, Final

from aiohttp import web
from yarl import URL

from bankimport.models import Scope
from bankimport.sandbox.authorising import Decision, Stage, address_of, begin, consent_behind
from bankimport.sandbox.berlin_group import check_request_id
from bankimport.sandbox.counter import NEW_CONSENT, STATE, Refused, enter
from bankimport.sandbox.misbehaviour import Kind
from bankimport.sandbox.oauth import METADATA

_IN_THE_APP: Final = "Please confirm in the app of Sandbox Bank."


def routes() -> list[web.RouteDef]:
    """Return the routes."""
    return [
        web.post("/v1/consents", _new_consent),
        web.delete("/v1/consents/{consent}", _deleted_consent),
        web.get("/v1/consents/{consent}/authorisations", _authorisations),
        web.post("/v1/consents/{consent}/authorisations", _started),
        web.get("/v1/consents/{consent}/authorisations/{authorisation}", _sca_status),
    ]


async def _new_consent(request: web.Request) -> web.Response:
    """By redirect or OAuth; decoupled (the person finds it in the app) where `TPP-Redirect-Preferred` is false."""
    check_request_id(request)
    await enter(request, NEW_CONSENT, Scope.CONSENT)
    try:
        given = await request.json()
        until = date.fromisoformat(given["validUntil"])
        is_asked = bool(given["access"]) and given["recurringIndicator"] is not None and given["frequencyPerDay"] > 0
    except (ValueError, KeyError, TypeError):
        raise Refused(Kind.FORMAT_ERROR) from None
    decoupled = request.headers.get("TPP-Redirect-Preferred") == "false"
    back = request.headers.get("TPP-Redirect-URI")
    if not is_asked or "PSU-IP-Address" not in request.headers or not (back or decoupled):
        raise Refused(Kind.FORMAT_ERROR)
    if until < request.app[STATE].clock.today():
        raise Refused(Kind.PERIOD_INVALID)
    authorising = begin(request, {} if decoupled else _ways_back(request))
    authorising.psu_id = request.headers.get("PSU-ID", "")
    here = f"/v1/consents/{authorising.id}"
    links = {"self": {"href": here}, "status": {"href": f"{here}/status"}}
    body: dict[str, Any] = {"consentStatus": "received", "consentId": authorising.id, "_links": links}
    approach = "DECOUPLED" if decoupled else "OAUTH" if request.app[STATE].by_oauth else "REDIRECT"
    if decoupled and not authorising.psu_id:
        links["startAuthorisationWithPsuIdentification"] = {"href": f"{here}/authorisations"}
    else:
        links["scaStatus"] = {"href": f"{here}/authorisations/{authorising.id}"}
    if decoupled:
        body["psuMessage"] = _IN_THE_APP
    elif approach == "OAUTH":
        links["scaOAuth"] = {"href": str(request.url.origin().join(URL(METADATA)))}
    else:
        links["scaRedirect"] = {"href": address_of(request, authorising)}
    headers = {"ASPSP-SCA-Approach": approach, "Location": here}
    return web.json_response(body, status=201, headers=headers)


def _ways_back(request: web.Request) -> dict[Decision, URL | None]:
    good = URL(request.headers["TPP-Redirect-URI"])
    bad = URL(request.headers.get("TPP-Nok-Redirect-URI") or str(good))
    return {
        Decision.CONSENT: good,
        Decision.CANCEL: bad,
        Decision.CANCEL_WITHOUT_STATE: bad.without_query_params("state"),
        Decision.REFUSE: bad,
    }


async def _started(request: web.Request) -> web.Response:
    """Begin the authorisation of a consent for the person that a header names."""
    check_request_id(request)
    authorising = request.app[STATE].authorisings.get(request.match_info["consent"])
    if authorising is None:
        raise Refused(Kind.CONSENT_UNKNOWN)
    if not (psu_id := request.headers.get("PSU-ID", "")):
        raise Refused(Kind.FORMAT_ERROR)
    authorising.psu_id = psu_id
    here = f"/v1/consents/{authorising.id}/authorisations/{authorising.id}"
    body = {
        "scaStatus": "psuIdentified",
        "authorisationId": authorising.id,
        "psuMessage": _IN_THE_APP,
        "_links": {"scaStatus": {"href": here}},
    }
    return web.json_response(body, status=201, headers={"ASPSP-SCA-Approach": "DECOUPLED"})


async def _authorisations(request: web.Request) -> web.Response:
    check_request_id(request)
    if request.match_info["consent"] not in request.app[STATE].authorisings:
        raise Refused(Kind.CONSENT_UNKNOWN)
    return web.json_response({"authorisationIds": [request.match_info["consent"]]})


async def _deleted_consent(request: web.Request) -> web.Response:
    check_request_id(request)
    state, consent = request.app[STATE], request.match_info["consent"]
    await enter(request, consent_behind(state, consent), Scope.CONSENT)
    authorising = state.authorisings.get(consent)
    if authorising is not None and authorising.stage is Stage.WAITING:
        authorising.stage = Stage.WITHDRAWN
    state.switches.revoke(consent_behind(state, consent))
    return web.Response(status=204)


async def _sca_status(request: web.Request) -> web.Response:
    check_request_id(request)
    authorising = request.app[STATE].authorisings.get(request.match_info["consent"])
    if authorising is None:
        raise Refused(Kind.ACCOUNT_GONE)
    words = {Stage.WAITING: "received", Stage.GRANTED: "finalised", Stage.CANCELLED: "psuIdentified"}
    return web.json_response({"scaStatus": words.get(authorising.stage, "failed")})
