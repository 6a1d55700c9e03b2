"""The sandbox as a bank of Berlin Group NextGenPSD2 1.3, below `/v1`."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from aiohttp import web

from bankimport.models import Scope
from bankimport.sandbox.authorising import Stage, consent_behind
from bankimport.sandbox.bank import Served, account_json, balances_json
from bankimport.sandbox.counter import STATE, Refused, State, account_at, day_in, enter
from bankimport.sandbox.misbehaviour import BERLIN_GROUP, Kind
from bankimport.sandbox.oauth import may_read
from bankimport.sandbox.people import Account, Person, person_of
from bankimport.sandbox.rows import page_of, reference_of, report_of, rows_of
from bankimport.sandbox.writing import with_unreadable_balance


def routes() -> list[web.RouteDef]:
    """Return the API's routes."""
    return [
        web.get("/v1/consents/{consent}", _consent),
        web.get("/v1/consents/{consent}/status", _consent_status),
        web.get("/v1/accounts", _accounts),
        web.get("/v1/card-accounts", _cards),
        web.get("/v1/card-accounts/{account}/balances", _balances),
        web.get("/v1/card-accounts/{account}/transactions", _card_transactions),
        web.get("/v1/accounts/{account}/balances", _balances),
        web.get("/v1/accounts/{account}/transactions", _transactions),
    ]


def refusal(refused: Refused) -> web.Response:
    """Return a refusal in Berlin Group's words."""
    if refused.kind is Kind.BARE_401:
        return web.Response(status=401)
    status, code = BERLIN_GROUP.get(refused.kind, (400, "FORMAT_ERROR"))
    if refused.kind is Kind.ERROR and refused.switch is not None:
        status, code = refused.switch.status, refused.switch.code or code
    body = {"tppMessages": [{"category": "ERROR", "code": code, "text": "the sandbox misbehaves as told"}]}
    return web.json_response(body, status=status, headers=refused.headers)


def _status_of(state: State, consent: str) -> str:
    """Return the `consentStatus`: as the person left it, or as the switches have it."""
    authorising = state.authorisings.get(consent)
    if authorising is not None and authorising.stage is not Stage.GRANTED:
        return {Stage.WAITING: "received", Stage.WITHDRAWN: "terminatedByTpp"}.get(authorising.stage, "rejected")
    return state.switches.consent_status(consent_behind(state, consent))


def check_request_id(request: web.Request) -> None:
    """Refuse a request without an id of the standard's kind."""
    try:
        uuid.UUID(request.headers.get("X-Request-ID", ""))
    except ValueError:
        raise Refused(Kind.FORMAT_ERROR) from None


async def _entered(request: web.Request, scope: Scope, page: int | None = None) -> tuple[str, Person]:
    check_request_id(request)
    name = request.match_info.get("consent") or request.headers.get("Consent-ID", "")
    if not name:
        raise Refused(Kind.CONSENT_UNKNOWN)
    state = request.app[STATE]
    if scope is not Scope.CONSENT and _status_of(state, name) in ("received", "rejected", "terminatedByTpp"):
        raise Refused(Kind.CONSENT_INVALID)
    is_of_token = scope is Scope.CONSENT or not state.by_oauth or name not in state.authorisings
    if not is_of_token and not may_read(state, name, request.headers.get("Authorization", "")):
        raise Refused(Kind.TOKEN_INVALID)
    consent = consent_behind(state, name)
    position = next(
        (n for n, a in enumerate(person_of(consent).accounts) if a.resource_id == request.match_info.get("account")),
        None,
    )
    return consent, await enter(request, consent, scope, page=page, position=position)


async def _account(request: web.Request, scope: Scope, page: int | None = None) -> tuple[str, Account]:
    consent, person = await _entered(request, scope, page)
    return consent, account_at(person, request.match_info["account"])[0]


async def _consent(request: web.Request) -> web.Response:
    _, person = await _entered(request, Scope.CONSENT)
    state = request.app[STATE]
    status = _status_of(state, request.match_info["consent"])
    until = state.clock.today() + timedelta(days=-1 if status == "expired" else 90)
    access = {"accounts": [{"iban": account.iban, "currency": account.currency} for account in person.accounts]}
    body = {
        "access": access,
        "recurringIndicator": True,
        "validUntil": until.isoformat(),
        "frequencyPerDay": 4,
        "lastActionDate": state.clock.today().isoformat(),
        "consentStatus": status,
    }
    return web.json_response(body)


async def _consent_status(request: web.Request) -> web.Response:
    await _entered(request, Scope.CONSENT)
    return web.json_response({"consentStatus": _status_of(request.app[STATE], request.match_info["consent"])})


async def _accounts(request: web.Request) -> web.Response:
    _, person = await _entered(request, Scope.ACCOUNTS)
    return web.json_response({"accounts": [account_json(account, person.name) for account in person.accounts]})


async def _cards(request: web.Request) -> web.Response:
    """The first account's card: it has the account's entries, in a card's words."""
    _, person = await _entered(request, Scope.ACCOUNTS)
    account = person.accounts[0]
    card = {
        "resourceId": account.resource_id,
        "maskedPan": f"525412******{account.iban[-4:]}",
        "currency": account.currency,
    }
    return web.json_response(
        {"cardAccounts": [{**card, "name": person.name, "product": "Kreditkarte", "status": "enabled"}]}
    )


async def _balances(request: web.Request) -> web.Response:
    consent, account = await _account(request, Scope.BALANCES)
    state = request.app[STATE]
    balances = with_unreadable_balance(balances_json(account, state.clock.today()), state.switches.written(consent))
    return web.json_response({"account": _reference(account), "balances": balances})


async def _transactions(request: web.Request) -> web.Response:
    return web.json_response(await _read(request))


async def _card_transactions(request: web.Request) -> web.Response:
    body = await _read(request)
    report = body.pop("transactions")
    for row in (*report["booked"], *report.get("pending", [])):
        row["transactionDate"] = row.pop("valueDate", None)
        row["transactionDetails"] = row.pop("remittanceInformationUnstructured", None)
        row["cardTransactionId"] = row.pop("transactionId", None)
        for name in ("creditorName", "creditorAccount", "debtorName", "debtorAccount"):
            row.pop(name, None)
    report["_links"] = {**report["_links"], "cardAccount": report["_links"].pop("account")}
    return web.json_response({"cardAccount": body.pop("account"), "cardTransactions": report})


async def _read(request: web.Request) -> dict[str, Any]:
    """Return the page of an account's entries that the request asks for."""
    page = _page_number(request)
    consent, account = await _account(request, Scope.TRANSACTIONS, page)
    state = request.app[STATE]
    after = request.query.get("entryReferenceFrom")
    first = state.clock.today() - state.history
    rows = rows_of(state, account, day_in(request, "dateFrom") or (first if after else None), day_in(request, "dateTo"))
    if after is not None:
        rows = _after(rows, after)
    part, following = page_of(state, consent, rows, page)
    links: dict[str, Any] = {"account": {"href": f"/v1/accounts/{account.resource_id}"}}
    if following is not None:
        links["next"] = {"href": str(request.rel_url.update_query(page=str(following)))}
    body = report_of(state, consent, part, links)
    if request.query.get("bookingStatus") == "booked":
        del body["transactions"]["pending"]
    return {"account": _reference(account), **body}


def _after(rows: Sequence[Served], reference: str) -> Sequence[Served]:
    """Return the booked entries after one, of a list whose newest comes first."""
    booked = [row for row in rows if row.status == "booked"]
    named = [reference_of(row) for row in booked]
    if reference not in named:
        raise Refused(Kind.FORMAT_ERROR)
    return booked[: named.index(reference)]


def _reference(account: Account) -> dict[str, str]:
    return {"iban": account.iban, "currency": account.currency}


def _page_number(request: web.Request) -> int:
    text = request.query.get("page", "1")
    if not text.isdigit() or not 1 <= int(text[:6]) <= 100_000:
        raise Refused(Kind.FORMAT_ERROR)
    return int(text[:6])
