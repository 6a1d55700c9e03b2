"""The sandbox as Enable Banking: sessions for consents, the same people behind them."""

import base64
import binascii
import hashlib
import json
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from aiohttp import web

from bankimport.models import Scope
from bankimport.sandbox.bank import balances_json, stable_id
from bankimport.sandbox.counter import STATE, Refused, day_in, enter, named, of_name
from bankimport.sandbox.misbehaviour import ENABLE_BANKING, Kind, Switch
from bankimport.sandbox.people import Account
from bankimport.sandbox.rows import page_of, report_of, rows_of
from bankimport.sandbox.writing import with_unreadable_balance

_SESSIONS: Final = {"valid": "AUTHORIZED", "expired": "EXPIRED", "revokedByPsu": "REVOKED"}
_BALANCES: Final = {"openingBooked": "OPBD", "closingBooked": "CLBD", "interimBooked": "ITBD"}
_WANTED_CLAIMS: Final = {"iss": "enablebanking.com", "aud": "api.enablebanking.com"}
_LONGEST_TOKEN: Final = 86_400
BANK: Final = "Sandbox Bank"


def routes() -> list[web.RouteDef]:
    """Return the API's routes."""
    return [
        web.get("/aspsps", _aspsps),
        web.get("/sessions/{session}", _session),
        web.get("/accounts/{uid}/details", _details),
        web.get("/accounts/{uid}/balances", _balances),
        web.get("/accounts/{uid}/transactions", _transactions),
    ]


def refusal(refused: Refused) -> web.Response:
    """Return a refusal in Enable Banking's words."""
    if refused.kind is Kind.BARE_401:
        return web.Response(status=401)
    status, code = ENABLE_BANKING.get(refused.kind, (422, "WRONG_REQUEST_PARAMETERS"))
    if refused.kind is Kind.ERROR and refused.switch is not None:
        status, code = refused.switch.status, refused.switch.code
    body = {"code": status, "message": "the sandbox misbehaves as told", "error": code, "detail": None}
    return web.json_response(body, status=status, headers=refused.headers)


def error(status: int, code: str) -> Refused:
    """Return a refusal with one of their codes."""
    return Refused(Kind.ERROR, Switch(kind=Kind.ERROR, status=status, code=code))


def check_token(request: web.Request) -> None:
    """Look at the application's token as far as it goes without its key."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    try:
        head, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
        fits = head["alg"] == "RS256" and head["kid"] and all(claims[k] == v for k, v in _WANTED_CLAIMS.items())
        now = datetime.now(UTC).timestamp()  # of the token's own world: the bank's clock may stand
        fits = fits and claims["iat"] <= now < claims["exp"] <= claims["iat"] + _LONGEST_TOKEN
    except (ValueError, KeyError, TypeError, binascii.Error):
        fits = False
    if scheme != "Bearer" or not fits:
        raise error(401, "UNAUTHORIZED_ACCESS")
    psu = [name for name in ("Psu-Ip-Address", "Psu-User-Agent") if name in request.headers]
    if len(psu) == 1:
        raise error(422, "PSU_HEADER_NOT_PROVIDED")


async def _aspsps(request: web.Request) -> web.Response:
    check_token(request)
    country = request.query.get("country", "DE")
    bank = {
        "name": BANK,
        "country": country,
        "psu_types": ["personal", "business"],
        "auth_methods": [{"name": "redirect", "psu_type": "personal", "approach": "REDIRECT"}],
        "maximum_consent_validity": 15_552_000,
        "required_psu_headers": ["Psu-Ip-Address", "Psu-User-Agent"],
        "beta": False,
    }
    return web.json_response({"aspsps": [bank]})


async def _session(request: web.Request) -> web.Response:
    check_token(request)
    state, session = request.app[STATE], request.match_info["session"]
    # the list of accounts is in the session, so a switch of either endpoint is met here
    scope = Scope.ACCOUNTS if state.switches.waits_for(session, Scope.ACCOUNTS) else Scope.CONSENT
    person = await enter(request, session, scope)
    status = _SESSIONS[state.switches.consent_status(session)]
    until = state.clock.today() + timedelta(days=-1 if status == "EXPIRED" else 90)
    members = [
        {"uid": named(session, n), "identification_hash": _hash(a), "identification_hashes": [_hash(a)]}
        for n, a in enumerate(person.accounts)
    ]
    body = {
        "status": status,
        "accounts": [member["uid"] for member in members],
        "accounts_data": members,
        "aspsp": {"name": BANK, "country": "DE"},
        "psu_type": "personal",
        "access": {"valid_until": datetime.combine(until, time(12), UTC).isoformat()},
    }
    return web.json_response(body)


def _hash(account: Account) -> str:
    return hashlib.blake2b(account.iban.encode(), digest_size=32).hexdigest()


async def _account(request: web.Request, scope: Scope, page: int | None = None) -> tuple[str, Account]:
    check_token(request)
    session, position, account = of_name(request.match_info["uid"])
    await enter(request, session, scope, page=page, position=position)
    return session, account


async def _details(request: web.Request) -> web.Response:
    _, account = await _account(request, Scope.ACCOUNTS)
    return web.json_response(account_told(account, request.match_info["uid"]))


def account_told(account: Account, uid: str) -> dict[str, Any]:
    """Return an account with its details."""
    return {
        "uid": uid,
        "account_id": {"iban": account.iban, "other": None},
        "all_account_ids": [{"identification": account.iban, "scheme_name": "IBAN"}],
        "name": account.owner,
        "details": account.product,
        "product": account.product,
        "cash_account_type": account.kind,
        "currency": account.currency,
        "identification_hash": _hash(account),
        "identification_hashes": [_hash(account)],
    }


async def _balances(request: web.Request) -> web.Response:
    session, account = await _account(request, Scope.BALANCES)
    state = request.app[STATE]
    balances = with_unreadable_balance(balances_json(account, state.clock.today()), state.switches.written(session))
    told = [
        {
            "name": each["balanceType"],
            "balance_type": _BALANCES.get(each["balanceType"], "XPCD"),
            "balance_amount": each["balanceAmount"],
            "reference_date": each.get("referenceDate"),
        }
        for each in balances
    ]
    return web.json_response({"balances": told})


async def _transactions(request: web.Request) -> web.Response:
    session, page = of_key(request.query.get("continuation_key"))
    state = request.app[STATE]
    owner, account = await _account(request, Scope.TRANSACTIONS, page)
    if session not in (None, owner):
        raise error(422, "WRONG_CONTINUATION_KEY")
    if "date_to" in request.query and "date_from" not in request.query:
        raise error(422, "DATE_TO_WITHOUT_DATE_FROM")
    since = day_in(request, "date_from") or state.clock.today() - state.history
    if since > state.clock.today():
        raise error(422, "DATE_FROM_IN_FUTURE")
    rows = rows_of(state, account, since, day_in(request, "date_to"))
    part, following = page_of(state, owner, rows, page)
    report = report_of(state, owner, part, {})["transactions"]
    told = [
        _row(row, status, state.answered)
        for name, status in (("booked", "BOOK"), ("pending", "PDNG"))
        for row in report[name]
    ]
    key = None if following is None else _key(owner, following)
    return web.json_response({"transactions": told, "continuation_key": key})


def _key(session: str, page: int) -> str:
    return base64.urlsafe_b64encode(f"{session}/{page}".encode()).decode()


def of_key(key: str | None) -> tuple[str | None, int]:
    """Return the session and the page of a continuation key; the first page without one."""
    if key is None:
        return None, 1
    try:
        session, _, page = base64.urlsafe_b64decode(key).decode().rpartition("/")
        return session, int(page)
    except (ValueError, binascii.Error):
        raise error(422, "WRONG_CONTINUATION_KEY") from None


def _row(row: dict[str, Any], status: str, answered: int) -> dict[str, Any]:
    """Return a row in Enable Banking's words: the amount without a sign, and an indicator."""
    money = dict(row["transactionAmount"])
    amount = money.get("amount")
    indicator = row.get("creditDebitIndicator")
    if indicator is None and amount is not None:
        indicator = "DBIT" if str(amount).startswith("-") else "CRDT"
        money["amount"] = str(amount).removeprefix("-")
    texts = row.get("remittanceInformationUnstructuredArray") or [row.get("remittanceInformationUnstructured")]
    told: dict[str, Any] = {
        "entry_reference": row.get("transactionId"),
        "transaction_id": stable_id(f"{row}/{answered}"),  # new in each answer: no identity
        "transaction_amount": money,
        "credit_debit_indicator": indicator,
        "status": status,
        "booking_date": row.get("bookingDate", row.get("bookingDateTime")),
        "value_date": row.get("valueDate", row.get("valueDateTime")),
        "remittance_information": [text for text in texts if text is not None],
        "note": row.get("additionalInformation"),
    }
    for side in ("creditor", "debtor"):
        told[side] = {"name": row[f"{side}Name"]} if f"{side}Name" in row else None
        told[f"{side}_account"] = row.get(f"{side}Account")
    return told
