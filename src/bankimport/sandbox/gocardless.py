"""The sandbox as GoCardless Bank Account Data, below `/api/v2`: a requisition is a consent, with the same people."""

import secrets
from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web

from bankimport.models import Scope
from bankimport.sandbox.authorising import Stage, consent_behind
from bankimport.sandbox.bank import account_json, balances_json
from bankimport.sandbox.counter import LEFT, QUOTA, STATE, Refused, day_in, enter, named, of_name
from bankimport.sandbox.misbehaviour import GOCARDLESS, Kind
from bankimport.sandbox.people import Account
from bankimport.sandbox.rows import report_of, rows_of
from bankimport.sandbox.writing import with_unreadable_balance

_REQUISITIONS: Final = {"valid": "LN", "expired": "EX", "revokedByPsu": "SU"}
_ACCESS: Final = 86_400
_REFRESH: Final = 2_592_000
BANK: Final = "SANDBOXFINANCE_SFIN0000"
_HEADER: Final = "HTTP_X_RATELIMIT_ACCOUNT_SUCCESS_"


def routes() -> list[web.RouteDef]:
    """Return the API's routes."""
    return [
        web.post("/api/v2/token/new/", _new_token),
        web.post("/api/v2/token/refresh/", _refreshed_token),
        web.get("/api/v2/requisitions/{requisition}/", _requisition),
        web.get("/api/v2/agreements/enduser/{requisition}/", _agreement),
        web.get("/api/v2/accounts/{account}/", _metadata),
        web.get("/api/v2/accounts/{account}/details/", _details),
        web.get("/api/v2/accounts/{account}/balances/", _balances),
        web.get("/api/v2/accounts/{account}/transactions/", _transactions),
    ]


def refusal(refused: Refused) -> web.Response:
    """Return a refusal in GoCardless's words."""
    if refused.kind is Kind.BARE_401:
        return web.Response(status=401)
    status, summary, detail = GOCARDLESS.get(refused.kind, (400, "Invalid request", ""))
    if refused.kind is Kind.ERROR and refused.switch is not None:
        status, summary, detail = refused.switch.status, refused.switch.code or "", ""
    body: dict[str, Any] = {"summary": summary, "detail": detail, "status_code": status}
    if refused.kind is Kind.PERIOD_INVALID:
        body = {"date_from": {"summary": summary, "detail": detail}, "status_code": status}
    return web.json_response(body, status=status, headers=refused.headers)


def quota_headers(request: web.Request) -> dict[str, str]:
    """Return what the headers of an answer say is left of the account's quota."""
    if LEFT not in request:
        return {}
    remaining, reset = request[LEFT]
    return {f"{_HEADER}LIMIT": str(QUOTA), f"{_HEADER}REMAINING": str(remaining), f"{_HEADER}RESET": str(reset)}


async def _new_token(request: web.Request) -> web.Response:
    given = await request.json()
    if not given.get("secret_id") or given.get("secret_key") in (None, "", "wrong"):
        body = {
            "summary": "Authentication failed",
            "detail": "No active account found with the given credentials",
            "status_code": 401,
        }
        return web.json_response(body, status=401)
    refresh = _made(request, "refresh", _REFRESH)
    answer = {"access": _made(request, "access", _ACCESS), "access_expires": _ACCESS}
    return web.json_response({**answer, "refresh": refresh, "refresh_expires": _REFRESH})


async def _refreshed_token(request: web.Request) -> web.Response:
    state = request.app[STATE]
    if (
        state.tokens.get(
            (await request.json()).get("refresh", ""), datetime.min.replace(tzinfo=state.clock.now().tzinfo)
        )
        < state.clock.now()
    ):
        raise Refused(Kind.TOKEN_INVALID)
    return web.json_response({"access": _made(request, "access", _ACCESS), "access_expires": _ACCESS})


def _made(request: web.Request, kind: str, seconds: int) -> str:
    state = request.app[STATE]
    token = f"{kind}-{secrets.token_hex(16)}"
    state.tokens[token] = state.clock.now() + timedelta(seconds=seconds)
    state.requests["tokens"].append({"at": state.clock.now().isoformat(), "path": request.path})
    return token


def check_token(request: web.Request) -> None:
    """Refuse a request without an access token that is good."""
    state = request.app[STATE]
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    until = state.tokens.get(token)
    if not token.startswith("access-") or until is None or until < state.clock.now():
        raise Refused(Kind.TOKEN_INVALID)


async def _requisition(request: web.Request) -> web.Response:
    check_token(request)
    state, requisition = request.app[STATE], request.match_info["requisition"]
    authorising = state.authorisings.get(requisition)
    if authorising is not None and authorising.stage is not Stage.GRANTED:
        status = {Stage.WAITING: "CR", Stage.REFUSED: "ER"}.get(authorising.stage, "RJ")
        return web.json_response({"id": requisition, "status": status, "accounts": []})
    requisition = consent_behind(state, requisition)
    scope = Scope.ACCOUNTS if state.switches.waits_for(requisition, Scope.ACCOUNTS) else Scope.CONSENT
    person = await enter(request, requisition, scope)
    body = {
        "id": request.match_info["requisition"],
        "created": state.clock.now().isoformat(),
        "redirect": "https://host.example/callback",
        "status": _REQUISITIONS[state.switches.consent_status(requisition)],
        "institution_id": BANK,
        "agreement": requisition,
        "reference": requisition,
        "accounts": [named(requisition, n) for n in range(len(person.accounts))],
    }
    return web.json_response(body)


async def _agreement(request: web.Request) -> web.Response:
    check_token(request)
    state = request.app[STATE]
    requisition = consent_behind(state, request.match_info["requisition"])
    ended = state.switches.consent_status(requisition) == "expired"
    accepted = state.clock.now() - timedelta(days=91 if ended else 0)
    body = {
        "id": requisition,
        "created": accepted.isoformat(),
        "institution_id": BANK,
        "max_historical_days": 90,
        "access_valid_for_days": 90,
        "access_scope": ["balances", "details", "transactions"],
        "accepted": accepted.isoformat(),
    }
    return web.json_response(body)


async def _account(request: web.Request, scope: Scope) -> tuple[str, Account]:
    check_token(request)
    requisition, position, account = of_name(request.match_info["account"])
    await enter(request, requisition, scope, page=1 if scope is Scope.TRANSACTIONS else None, position=position)
    return requisition, account


async def _metadata(request: web.Request) -> web.Response:
    check_token(request)
    _, _, account = of_name(request.match_info["account"])
    body = {
        "id": request.match_info["account"],
        "iban": account.iban,
        "institution_id": BANK,
        "status": "READY",
        "owner_name": account.owner,
    }
    return web.json_response(body)


async def _details(request: web.Request) -> web.Response:
    _, account = await _account(request, Scope.ACCOUNTS)
    return web.json_response({"account": account_json(account, account.owner)}, headers=quota_headers(request))


async def _balances(request: web.Request) -> web.Response:
    requisition, account = await _account(request, Scope.BALANCES)
    state = request.app[STATE]
    balances = with_unreadable_balance(balances_json(account, state.clock.today()), state.switches.written(requisition))
    return web.json_response({"balances": balances}, headers=quota_headers(request))


async def _transactions(request: web.Request) -> web.Response:
    requisition, account = await _account(request, Scope.TRANSACTIONS)
    state = request.app[STATE]
    since, until = day_in(request, "date_from"), day_in(request, "date_to")
    if until is not None and until > state.clock.today():
        detail = {"summary": "Date can't be in future", "detail": "Specify correct date range"}
        return web.json_response({"date_to": detail, "status_code": 400}, status=400)
    since = since or state.clock.today() - state.history
    report = report_of(state, requisition, rows_of(state, account, since, until), {})["transactions"]
    report.pop("_links", None)
    for row in (*report["booked"], *report["pending"]):
        if "transactionId" in row:
            row["internalTransactionId"] = f"internal-{row['transactionId']}"
    return web.json_response({"transactions": report}, headers=quota_headers(request))
