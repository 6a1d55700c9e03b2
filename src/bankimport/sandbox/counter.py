"""The sandbox's counter: every request of every API is noted here, meets its switches, and learns whose it is."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from aiohttp import web

from bankimport.models import Scope
from bankimport.sandbox.bank import BankClock
from bankimport.sandbox.misbehaviour import Kind, Switch, Switches
from bankimport.sandbox.people import Account, Person, person_of

_KEPT_REQUESTS: Final = 10_000
_SEEN_HEADERS: Final = ("PSU-IP-Address", "PSU-User-Agent", "X-Request-ID", "Authorization")
#: reads of an account and scope in a day, where `quota` stands
QUOTA: Final = 4


@dataclass
class State:
    """What a sandbox remembers."""

    clock: BankClock
    page_size: int
    history: timedelta
    switches: Switches = field(default_factory=Switches)
    requests: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    reads: dict[tuple[str, int | None, Scope, date], int] = field(default_factory=lambda: defaultdict(int))
    tokens: dict[str, datetime] = field(default_factory=dict)
    answered: int = 0
    #: what persons are asked just now, and were asked, by its id; how many consents each person has given
    authorisings: dict[str, Any] = field(default_factory=dict)
    consents: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    #: whether the Berlin Group bank authorises by OAuth where it is asked to redirect; what its tokens stand for
    by_oauth: bool = False
    grants: dict[str, Any] = field(default_factory=dict)


#: whose switches are met by whoever begins an authorisation; by whoever brings a code to Enable Banking
NEW_CONSENT: Final = "new-consent"
NEW_SESSION: Final = "new-session"
STATE: Final = web.AppKey("state", State)
#: what is left of a quota and in how many seconds it begins anew, for the headers of an answer
LEFT: Final = web.RequestKey("left", tuple[int, int])


@dataclass
class Refused(Exception):
    """The bank says no, or says nothing of sense. Each API has words of its own for a kind."""

    kind: Kind
    switch: Switch | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        if self.switch is None or self.switch.retry_after is None:
            return {}
        return {"Retry-After": str(self.switch.retry_after)}

    @property
    def body(self) -> bytes | None:
        """What a bank sends that is no answer, in any API."""
        return {Kind.HALF_JSON: _HALF, Kind.NO_JSON: b"<html>Bad day</html>"}.get(self.kind)


_HALF: Final = b'{"accounts": [{"resourceId": "'


async def enter(
    request: web.Request, consent: str, scope: Scope, *, page: int | None = None, position: int | None = None
) -> Person:
    """Note the request, let it meet a switch, and return whose it is."""
    state = request.app[STATE]
    headers = {name: request.headers[name] for name in _SEEN_HEADERS if name in request.headers}
    at = state.clock.now().isoformat()
    noted = {"at": at, "endpoint": scope.value, "path": request.path_qs, "page": page, "headers": headers}
    state.requests[consent] = [*state.requests[consent][-_KEPT_REQUESTS:], noted]
    switch = state.switches.take(consent, scope, page=page, account=position)
    if switch is not None:
        await _misbehave(request, switch)
    if page in (None, 1) and state.switches.has(consent, Kind.QUOTA):  # the pages of a read are one access
        _count(request, state, consent, scope, position)
    return person_of(consent)


def _count(request: web.Request, state: State, consent: str, scope: Scope, position: int | None) -> None:
    """Count a read of the day; the fifth is refused."""
    now = state.clock.now()
    key = (consent, position, scope, now.date())
    state.reads[key] += 1
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), now.tzinfo)
    request[LEFT] = (max(0, QUOTA - state.reads[key]), int((midnight - now).total_seconds()))
    if state.reads[key] > QUOTA:
        raise Refused(Kind.RATE_LIMIT)


async def _misbehave(request: web.Request, switch: Switch) -> None:
    """Do what the switch says, instead of (or, for `slow`, before) the answer."""
    if switch.kind is Kind.SLOW:
        await asyncio.sleep(switch.seconds)
        return
    if switch.kind is Kind.CUT:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "4096"})
        await response.prepare(request)
        await response.write(_HALF)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("cut as told")
    raise Refused(switch.kind, switch)


def account_at(person: Person, resource: str) -> tuple[Account, int]:
    """Return an account of the person and its position.

    Raises:
        Refused: there is no such account.
    """
    for position, account in enumerate(person.accounts):
        if account.resource_id == resource:
            return account, position
    raise Refused(Kind.ACCOUNT_GONE)


def named(consent: str, position: int) -> str:
    """Return an id of an account by which its consent is found again, for APIs whose requests don't name it."""
    return f"{consent}/{position}".encode().hex()


def of_name(name: str) -> tuple[str, int, Account]:
    """Return the consent, the position and the account of such an id.

    Raises:
        Refused: it is none.
    """
    try:
        consent, _, position = bytes.fromhex(name).decode().rpartition("/")
        return consent, int(position), person_of(consent).accounts[int(position)]
    except (ValueError, IndexError):
        raise Refused(Kind.ACCOUNT_GONE) from None


def day_in(request: web.Request, name: str) -> date | None:
    """Return a day of the query."""
    text = request.query.get(name)
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise Refused(Kind.FORMAT_ERROR) from None
