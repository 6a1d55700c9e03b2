"""The sandbox's authorization server (OAuth 2.0 with PKCE), where its Berlin Group bank authorises by OAuth.

Tokens live an hour; a refresh token is good for one use, and one that comes twice ends all of its consent (RFC 9700).
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web
from yarl import URL

from bankimport.sandbox.authorising import Authorising, Decision, Stage, address_of
from bankimport.sandbox.counter import STATE, State

METADATA: Final = "/sandbox/oauth/.well-known/oauth-authorization-server"
_LIFE: Final = timedelta(hours=1)
_SCOPE: Final = "AIS:"


@dataclass
class Grant:
    """What a code or a token stands for."""

    consent: str
    kind: str
    until: datetime
    is_used: bool = False


@dataclass(frozen=True)
class Asked:
    """What the authorization request said, and the code has to fit."""

    client_id: str
    redirect_uri: str
    challenge: str


def routes() -> list[web.RouteDef]:
    """Return the server's routes."""
    return [
        web.get(METADATA, _metadata),
        web.get("/sandbox/oauth/authorize", _authorize),
        web.post("/sandbox/oauth/token", _token),
    ]


def may_read(state: State, consent: str, header: str) -> bool:
    """Return whether the header of a request has an access token of the consent."""
    grant = state.grants.get(header.removeprefix("Bearer "))
    return grant is not None and (grant.kind, grant.consent) == ("access", consent) and state.clock.now() < grant.until


async def _metadata(request: web.Request) -> web.Response:
    here = str(request.url.origin() / "sandbox" / "oauth")
    body = {
        "issuer": here,
        "authorization_endpoint": f"{here}/authorize",
        "token_endpoint": f"{here}/token",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }
    return web.json_response(body)


async def _authorize(request: web.Request) -> web.Response:
    """Send the person to the page; what is wrong with the request is told here, and not at an address that it names."""
    asked = request.query
    authorising = request.app[STATE].authorisings.get(asked.get("scope", "").removeprefix(_SCOPE))
    fits = asked.get("response_type") == "code" and asked.get("code_challenge_method") == "S256"
    if not isinstance(authorising, Authorising) or not fits or not asked.get("client_id"):
        return web.Response(status=400, text="invalid_request")
    back = URL(asked.get("redirect_uri", ""))
    if back.scheme not in ("http", "https"):
        return web.Response(status=400, text="invalid_request")
    authorising.asked = Asked(asked["client_id"], asked["redirect_uri"], asked.get("code_challenge", ""))
    told = {"state": asked.get("state", ""), "iss": str(request.url.origin() / "sandbox" / "oauth")}
    denied = {"error": "access_denied", "error_description": "The user <cancelled>"}
    authorising.ways_back = {
        Decision.CONSENT: back.update_query(code="", **told),
        Decision.CANCEL: back.update_query(**denied, **told),
        Decision.CANCEL_WITHOUT_STATE: back.update_query(denied),
        Decision.REFUSE: back.update_query(error="server_error", **told),
    }
    raise web.HTTPSeeOther(address_of(request, authorising))


async def _token(request: web.Request) -> web.Response:
    given = await request.post()
    form = {name: str(value) for name, value in given.items()}
    state = request.app[STATE]
    if not form.get("client_id"):
        return web.json_response({"error": "invalid_client"}, status=401)
    consent = (_by_code if form.get("grant_type") == "authorization_code" else _by_refresh)(state, form)
    if consent is None:
        return web.json_response({"error": "invalid_grant"}, status=400)
    return web.json_response(
        {
            "access_token": _made(state, consent, "access", _LIFE),
            "refresh_token": _made(state, consent, "refresh", 90 * 24 * _LIFE),
            "token_type": "Bearer",
            "expires_in": int(_LIFE.total_seconds()),
        }
    )


def _by_code(state: State, form: dict[str, str]) -> str | None:
    authorising: Any = next((each for each in state.authorisings.values() if each.code == form.get("code")), None)
    if authorising is None or authorising.asked is None or authorising.stage is not Stage.GRANTED:
        return None
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    wanted = Asked(
        form.get("client_id", ""),
        form.get("redirect_uri", ""),
        base64.urlsafe_b64encode(digest).decode().rstrip("="),
    )
    if authorising.is_code_used or authorising.asked != wanted:
        return None
    authorising.is_code_used = True
    return str(authorising.id)


def _by_refresh(state: State, form: dict[str, str]) -> str | None:
    grant = state.grants.get(form.get("refresh_token", ""))
    if grant is None or grant.kind != "refresh" or state.clock.now() >= grant.until:
        return None
    if grant.is_used:
        for token in [token for token, each in state.grants.items() if each.consent == grant.consent]:
            del state.grants[token]
        return None
    grant.is_used = True
    return str(grant.consent)


def _made(state: State, consent: str, kind: str, life: timedelta) -> str:
    token = f"{kind}-{secrets.token_urlsafe(16)}"
    state.grants[token] = Grant(consent, kind, state.clock.now() + life)
    return token
