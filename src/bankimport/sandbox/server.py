"""The sandbox bank's HTTP side: Berlin Group's routes, and `/sandbox/…` to control it."""

import asyncio
import json
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError

from bankimport.models import Scope
from bankimport.sandbox.bank import (
    BankClock,
    account_json,
    balances_json,
    served_of,
    stable_id,
    transaction_json,
    transactions_on,
)
from bankimport.sandbox.misbehaviour import ANSWERS, Kind, Switch, Switches
from bankimport.sandbox.people import Account, Person, person_of
from bankimport.sandbox.writing import rewritten, with_unreadable_balance

DEFAULT_PAGE_SIZE: Final = 50
_KEPT_REQUESTS: Final = 10_000
_SEEN_HEADERS: Final = ("PSU-IP-Address", "PSU-User-Agent", "X-Request-ID", "Authorization")


@dataclass
class State:
    """What a sandbox remembers."""

    clock: BankClock
    page_size: int
    history: timedelta
    switches: Switches = field(default_factory=Switches)
    requests: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    answered: int = 0


STATE: Final = web.AppKey("state", State)


class Refused(Exception):
    """The bank says no, in Berlin Group's words."""

    def __init__(self, status: int, code: str | None, headers: dict[str, str] | None = None) -> None:
        self.status, self.code, self.headers = status, code, headers or {}

    def response(self) -> web.Response:
        """Return it as an answer; a bare one has no body."""
        if self.code is None:
            return web.Response(status=self.status, headers=self.headers)
        body = {"tppMessages": [{"category": "ERROR", "code": self.code, "text": "the sandbox misbehaves as told"}]}
        return web.json_response(body, status=self.status, headers=self.headers)


def create_app(
    *,
    clock: BankClock | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    history: timedelta = timedelta(days=90),
) -> web.Application:
    """Return the sandbox bank. Any consent id is a person's; nothing has to be set up.

    Args:
        clock: the bank's clock; the real one if None.
        page_size: transactions on one page.
        history: how far back the bank answers; an earlier `dateFrom` is PERIOD_INVALID.

    Raises:
        ValueError: a page of less than one.
    """
    if page_size < 1:
        raise ValueError("page_size must be at least 1")
    app = web.Application(middlewares=[_refusals])
    app[STATE] = State(clock or BankClock(), page_size, history)
    app.add_routes(
        [
            web.get("/v1/consents/{consent}", _consent),
            web.get("/v1/consents/{consent}/status", _consent_status),
            web.get("/v1/accounts", _accounts),
            web.get("/v1/accounts/{account}/balances", _balances),
            web.get("/v1/accounts/{account}/transactions", _transactions),
            web.post("/sandbox/consents/{consent}/switches", _add_switch),
            web.delete("/sandbox/consents/{consent}/switches", _clear_switches),
            web.get("/sandbox/consents/{consent}/requests", _requests),
            web.get("/sandbox/consents/{consent}/transactions", _truth),
            web.put("/sandbox/clock", _set_clock),
        ]
    )
    return app


async def serve(
    host: str = "127.0.0.1",
    port: int = 8090,
    *,
    clock: BankClock | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until cancelled; `ready` is told the base URL once it listens. Port 0 takes a free one."""
    runner = web.AppRunner(create_app(clock=clock, page_size=page_size), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        if ready is not None:
            bound = runner.addresses[0][1]
            ready(f"http://{host}:{bound}")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


@web.middleware
async def _refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return refused.response()


async def _enter(
    request: web.Request, scope: Scope, *, page: int | None = None
) -> tuple[State, str, Person, Account | None]:
    """Note the request, let it meet a switch, and return whose it is."""
    state = request.app[STATE]
    consent = request.match_info.get("consent") or request.headers.get("Consent-ID", "")
    if not _is_uuid(request.headers.get("X-Request-ID", "")):
        raise Refused(400, "FORMAT_ERROR")
    if not consent:
        raise Refused(400, "CONSENT_UNKNOWN")
    headers = {name: request.headers[name] for name in _SEEN_HEADERS if name in request.headers}
    at = state.clock.now().isoformat()
    noted = {"at": at, "endpoint": scope.value, "path": request.path_qs, "page": page, "headers": headers}
    state.requests[consent] = [*state.requests[consent][-_KEPT_REQUESTS:], noted]
    person = person_of(consent)
    account, position = _account(request, person)
    switch = state.switches.take(consent, scope, page=page, account=position)
    if switch is not None:
        await _misbehave(request, switch)
    return state, consent, person, account


async def _enter_account(request: web.Request, scope: Scope, *, page: int | None = None) -> tuple[State, str, Account]:
    """Do the same for a route of one account, which must be the person's."""
    state, consent, _, account = await _enter(request, scope, page=page)
    if account is None:
        raise Refused(404, "RESOURCE_UNKNOWN")
    return state, consent, account


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _account(request: web.Request, person: Person) -> tuple[Account | None, int | None]:
    wanted = request.match_info.get("account")
    for position, account in enumerate(person.accounts):
        if account.resource_id == wanted:
            return account, position
    return None, None


async def _misbehave(request: web.Request, switch: Switch) -> None:
    """Do what the switch says, instead of (or, for `slow`, before) the answer."""
    if switch.kind is Kind.SLOW:
        await asyncio.sleep(switch.seconds)
        return
    if switch.kind in (Kind.CUT, Kind.HALF_JSON, Kind.NO_JSON):
        raise await _broken(request, switch.kind)
    if switch.kind is Kind.BARE_401:
        raise Refused(401, None)
    status, code = ANSWERS[switch.kind]
    wait = {} if switch.retry_after is None else {"Retry-After": str(switch.retry_after)}
    raise Refused(status, code, wait)


async def _broken(request: web.Request, kind: Kind) -> Exception:
    """Send half an answer: cut in the middle of the connection, or cut in the middle of the JSON."""
    half = b'{"accounts": [{"resourceId": "'
    if kind is Kind.HALF_JSON:
        return _Complete(half)
    if kind is Kind.NO_JSON:
        return _Complete(b"<html>Bad day</html>")
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "4096"})
    await response.prepare(request)
    await response.write(half)
    if request.transport is not None:
        request.transport.abort()
    return ConnectionResetError("cut as told")


class _Complete(Refused):
    """An answer that says 200 and holds what is no JSON."""

    def __init__(self, body: bytes) -> None:
        super().__init__(200, None)
        self._body = body

    def response(self) -> web.Response:
        return web.Response(body=self._body, content_type="application/json")


async def _consent(request: web.Request) -> web.Response:
    state, consent, person, _ = await _enter(request, Scope.CONSENT)
    until = state.clock.today() + timedelta(days=90)
    status = state.switches.consent_status(consent)
    if status == "expired":
        until = state.clock.today() - timedelta(days=1)
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
    state, consent, *_ = await _enter(request, Scope.CONSENT)
    return web.json_response({"consentStatus": state.switches.consent_status(consent)})


async def _accounts(request: web.Request) -> web.Response:
    _, _, person, _ = await _enter(request, Scope.ACCOUNTS)
    return web.json_response({"accounts": [account_json(account, person.name) for account in person.accounts]})


async def _balances(request: web.Request) -> web.Response:
    state, consent, account = await _enter_account(request, Scope.BALANCES)
    reference = {"iban": account.iban, "currency": account.currency}
    balances = with_unreadable_balance(balances_json(account, state.clock.today()), state.switches.written(consent))
    return web.json_response({"account": reference, "balances": balances})


async def _transactions(request: web.Request) -> web.Response:
    page = _page_number(request)
    state, consent, account = await _enter_account(request, Scope.TRANSACTIONS, page=page)
    since, until = _day(request, "dateFrom"), _day(request, "dateTo")
    today = state.clock.today()
    if since is None:
        raise Refused(400, "FORMAT_ERROR")
    if since < today - state.history:
        raise Refused(400, "PERIOD_INVALID")
    rows = served_of(account, since, until, today)
    part = rows[(page - 1) * state.page_size : page * state.page_size]
    state.answered += 1
    make_id = _ids(state, consent)
    report: dict[str, Any] = {"_links": {"account": {"href": f"/v1/accounts/{account.resource_id}"}}}
    for status in ("booked", "pending"):
        report[status] = [transaction_json(row, make_id) for row in part if row.status == status]
    if page * state.page_size < len(rows):
        report["_links"]["next"] = {"href": str(request.rel_url.update_query(page=str(page + 1)))}
    reference = {"iban": account.iban, "currency": account.currency}
    body = {"account": reference, "transactions": report}
    return web.json_response(rewritten(body, state.switches.written(consent)))


def _ids(state: State, consent: str) -> Callable[[str], str | None]:
    """Return how the bank makes ids: the same for ever, none, or new ones with every answer."""
    if state.switches.has(consent, Kind.NO_IDS):
        return lambda _: None
    if state.switches.has(consent, Kind.ROTATE_IDS):
        return lambda key: stable_id(f"{key}/{state.answered}")
    return stable_id


def _page_number(request: web.Request) -> int:
    text = request.query.get("page", "1")
    if not text.isdigit() or not 1 <= int(text[:6]) <= 100_000:
        raise Refused(400, "FORMAT_ERROR")
    return int(text[:6])


def _day(request: web.Request, name: str) -> date | None:
    text = request.query.get(name)
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise Refused(400, "FORMAT_ERROR") from None


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
    rows = transactions_on(request.match_info["consent"], state.clock.today(), _day(request, "since"))
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
