"""The handlers by which a person connects a bank, renews and revokes; and the bank's callback, outside of any
organisation. Nothing that a bank or a stranger sends is ever shown: the callback's own page has our words alone."""

import html
from typing import Annotated, Final

from aiohttp import web
from pydantic import StringConstraints

from bankimport.errors import AuthorisationRefused, BankImportError, NotFound, Unavailable
from bankimport.models import AuthorisationBegun, AuthorisationOutcome, Id, Model, StrictModel
from bankimport.web.bodies import EmptyBody
from bankimport.web.call import STATE, Call
from bankimport.web.parameters import path_id
from bankimport.web.person import who_asks
from bankimport.web.problems import ProblemRaised
from bankimport.web.users import beginner, remember, user_of

Language = Annotated[str, StringConstraints(pattern="^[a-z]{2}$")]
Institution = Annotated[str, StringConstraints(min_length=1, max_length=256)]
PsuId = Annotated[str, StringConstraints(pattern="^[!-~]([ -~]{0,98}[!-~])?$")]
Target = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
_O: Final = AuthorisationOutcome

#: what the person reads where the host has named no place to go on to
_WORDS: Final = {
    _O.CONNECTED: ("Connected", "Your bank is connected. You can close this page."),
    _O.RENEWED: ("Renewed", "The access to your bank is renewed. You can close this page."),
    _O.CANCELLED: ("Cancelled", "Nothing was changed. You can close this page, or try again in the app."),
    _O.BANK_FAILED: ("The bank could not do it", "Your bank reported a fault. Please try again later."),
    _O.FAILED: ("It did not work", "Please try again in the app."),
}
_REFUSED: Final = (
    "This link is not yours",
    "It belongs to nothing that you have begun in this browser. Please begin again in the app.",
)
_AWAY: Final = ("One moment", "The answer can't be looked at just now. This page tries again by itself.")
_PAGE: Final = '<!doctype html><html lang="en"><meta charset="utf-8">{2}<title>{0}</title><h1>{0}</h1><p>{1}</p></html>'
#: a browser does by itself what `Retry-After` says to programs alone
_AGAIN: Final = '<meta http-equiv="refresh" content="5">'
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
#: parameters of a callback that are looked at, each so long at most
_MOST: Final = 30
_LONGEST: Final = 4000


class ConnectBody(StrictModel):
    """The body of `POST …/bank-connections`: which bank, and where the person comes back to."""

    bank: Id
    institution: Institution | None = None
    return_to: Target | None = None
    language: Language | None = None
    psu_id: PsuId | None = None


class RenewBody(StrictModel):
    """The body of `POST …/{id}/renew`."""

    institution: Institution | None = None
    return_to: Target | None = None
    language: Language | None = None
    psu_id: PsuId | None = None


def _json(model: Model, status: int = 200) -> web.Response:
    text = model.model_dump_json(exclude_none=True)
    headers = {"Cache-Control": "no-store"}
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)


def _begun(call: Call, begun: AuthorisationBegun, cookie: str | None) -> web.Response:
    answer = _json(begun, 201)
    answer.headers["Location"] = call.path_of("authorisation", id=begun.id)
    remember(call.request, answer, cookie)
    return answer


async def connect(call: Call) -> web.Response:
    """Begin to connect a bank; the person is sent to `url`."""
    body = call.parse(ConnectBody)
    who, cookie = await beginner(call.request, call.state.user)
    begun = await call.service.connections.connect(
        org_id=call.org_id,
        bank=body.bank,
        user=who,
        institution=body.institution,
        return_to=body.return_to,
        language=body.language,
        psu=await call.person(),
        psu_id=body.psu_id,
    )
    return _begun(call, begun, cookie)


async def renew(call: Call) -> web.Response:
    """Begin to renew a consent; the old one serves until the new one is verified."""
    body = call.parse(RenewBody)
    connection_id = path_id(call.request, "id", "connection")
    who, cookie = await beginner(call.request, call.state.user)
    begun = await call.service.connections.renew(
        connection_id,
        user=who,
        org_id=call.org_id,
        institution=body.institution,
        return_to=body.return_to,
        language=body.language,
        psu=await call.person(),
        psu_id=body.psu_id,
    )
    return _begun(call, begun, cookie)


async def show_authorisation(call: Call) -> web.Response:
    """Show how a connection's latest authorisation stands."""
    connection_id = path_id(call.request, "id", "connection")
    who = await user_of(call.request, call.state.user)
    status = await call.service.connections.authorisation(
        connection_id, org_id=call.org_id, user=who, psu=await call.person()
    )
    return _json(status)


async def give_up(call: Call) -> web.Response:
    """Give an authorisation up; a renewed connection is as it was before."""
    connection_id = path_id(call.request, "id", "connection")
    call.parse(EmptyBody)
    await call.service.connections.give_up(connection_id, org_id=call.org_id)
    return await show_authorisation(call)


async def revoke(call: Call) -> web.Response:
    """Withdraw an access at the bank and disconnect it; what was read stays."""
    connection_id = path_id(call.request, "id", "connection")
    call.parse(EmptyBody)
    await call.service.connections.revoke(connection_id, org_id=call.org_id)
    return _json(await call.service.get_connection(connection_id, call.org_id))


async def take_callback(request: web.Request) -> web.Response:
    """Take the person back from the bank, and send them on; a page of our own words where there is no place to go."""
    if request.method != "GET" or "prefetch" in request.headers.get("Sec-Purpose", ""):
        return web.Response(status=204, headers=_HEADERS)  # nobody has come: a state is good for one look
    state = request.app[STATE]
    parameters = {name: value[:_LONGEST] for name, value in [*request.query.items()][:_MOST]}
    try:
        bank = path_id(request, "bank", "bank")
        psu = await who_asks(request, state.person, state.trusted_proxies)
        who = await user_of(request, state.user)
        end = await state.service.connections.finish(bank, parameters, user=who, psu=psu)
    except (AuthorisationRefused, NotFound):
        return _page(403, *_REFUSED)
    except (Unavailable, ProblemRaised):
        return _page(503, *_AWAY, {"Retry-After": "5"})
    except BankImportError:
        return _page(500, *_WORDS[_O.FAILED])
    if end.url is not None:
        return web.Response(status=303, headers={**_HEADERS, "Location": end.url})
    return _page(200, *_WORDS[end.outcome])


def _page(status: int, title: str, text: str, headers: dict[str, str] | None = None) -> web.Response:
    shown = _PAGE.format(html.escape(title), html.escape(text), _AGAIN if status == 503 else "")
    return web.Response(status=status, text=shown, content_type="text/html", headers={**_HEADERS, **(headers or {})})
