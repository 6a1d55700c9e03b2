"""The page of one organisation, for the people whose accounts are read: what is connected, what is read, until when; to
connect, renew, refresh and withdraw. A host shows it as it is, or copies it."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from bankimport.access.health import health_of
from bankimport.errors import BankImportError, InvalidRequest, NotOffered
from bankimport.models import AuthorisationBegun, ConnectionDetails, ConnectionHealth, JobStatus, PsuContext
from bankimport.ports import OffersConsent
from bankimport.return_paths import may_return_to
from bankimport.status import ConnectionStatus, JobState
from bankimport.web.dashboard import forms
from bankimport.web.dashboard.balances import DAYS, HIGH, Course, course
from bankimport.web.dashboard.connections import HEALTHS
from bankimport.web.dashboard.ribbon import ribbon
from bankimport.web.dashboard.visit import Visit
from bankimport.web.parameters import path_id, query_cursor
from bankimport.web.person import who_asks
from bankimport.web.users import beginner, remember

_PAGE: Final = 20
_JOBS: Final = 50
#: the worst first, as a person has to know it
_ORDER: Final = tuple(HEALTHS)
#: what a bank's name and its institution's id are joined by in a form; no id of ours has it
_JOIN: Final = "|"


async def show_organisation(visit: Visit) -> web.Response:
    """Show the organisation's connections."""
    org_id = visit.org_id
    cursor = query_cursor(visit.request) if visit.request.query.get("cursor") else None
    page = await visit.operations.list_connections(org_id, cursor=cursor, limit=_PAGE)
    gone = [each for each in page.connections if each.status is ConnectionStatus.DISCONNECTED]
    living = [each for each in page.connections if each.status is not ConnectionStatus.DISCONNECTED]
    details, running, choices = await asyncio.gather(
        visit.operations.get_connections(org_id, [each.id for each in living]), _running(visit), _choices(visit)
    )
    now = visit.formats.now
    shown = sorted(((each, health_of(each, now)) for each in details), key=lambda pair: _ORDER.index(pair[1]))
    return visit.show_alone(
        "organisation.html",
        visit.words("Your bank connections"),
        connections=[(*pair, _gaps(visit, pair[0])) for pair in shown],
        worst=_counts([health for _, health in shown]),
        gone=gone,
        balances=await _balances(visit, details),
        high=HIGH,
        next_cursor=page.next_cursor,
        healths=HEALTHS,
        running=running,
        choices=choices,
        country=_country(visit),
    )


def _gaps(visit: Visit, connection: ConnectionDetails) -> Mapping[str, int]:
    """Return how many days are missing, by account."""
    today = visit.formats.today
    drawn = {each.id: ribbon(each.coverage, each.read_once, today).gaps for each in connection.accounts}
    return {account: sum(gap.days for gap in gaps) for account, gaps in drawn.items()}


async def _balances(visit: Visit, shown: Sequence[ConnectionDetails]) -> Mapping[str, Course | None] | None:
    """Return the balances over time of the one connection for which the person asks, by account; None of no other:
    the page needs none of them to say how things are."""
    wanted = forms.identifier(forms.asked(visit.request), "balances")
    connection = next((each for each in shown if each.id == wanted), None)
    if connection is None:
        return None
    today = datetime.now(UTC).date()  # balances are kept by days of UTC
    since = today - timedelta(days=DAYS - 1)
    try:
        found = await asyncio.gather(
            *(
                visit.operations.get_balances(connection.id, each.id, since=since, until=today, org_id=visit.org_id)
                for each in connection.accounts
            )
        )
    except NotOffered:
        return {}
    return {each.id: course(some, today) for each, some in zip(connection.accounts, found, strict=True)}


def _counts(healths: Sequence[ConnectionHealth]) -> Mapping[str, int]:
    return {health.value: healths.count(health) for health in ConnectionHealth}


async def _running(visit: Visit) -> Mapping[str, JobStatus]:
    """Return the job that reads each connection now, or is about to."""
    pages = await asyncio.gather(
        *(
            visit.operations.list_jobs(visit.org_id, state=state, limit=_JOBS)
            for state in (JobState.WAITING, JobState.ACTIVE)
        )
    )
    return {str(job.data.get("connectionId")): job for page in pages for job in page.jobs}


def _country(visit: Visit) -> str:
    country = visit.request.query.get("country", "DE").upper()
    return country if len(country) == 2 and country.isascii() and country.isalpha() else "DE"


async def _choices(visit: Visit) -> Sequence[tuple[str, str]] | None:
    """Return the banks to choose from, by what the form sends; None until the person asks for them, since a provider of
    many is asked over the network."""
    if "connect" not in visit.request.query:
        return None
    names = [name for name, bank in visit.operations.banks.items() if isinstance(bank, OffersConsent)]
    found = await asyncio.gather(*(_institutions(visit, name) for name in names))
    return sorted((pair for pairs in found for pair in pairs), key=lambda pair: pair[1].casefold())


async def _institutions(visit: Visit, bank: str) -> Sequence[tuple[str, str]]:
    try:
        found = await visit.operations.connections.institutions(bank, country=_country(visit))
    except BankImportError:
        return ()  # it is away: the other providers' banks are shown
    return [(f"{bank}{_JOIN}{each.id}", each.name) for each in found] or [(bank, bank)]


async def connect(visit: Visit) -> web.Response:
    """Begin to connect a bank, and show the way to it."""
    fields = await forms.posted(visit.request)
    bank, _, institution = (forms.text(fields, "bank") or "").partition(_JOIN)
    if not bank:
        raise InvalidRequest("/bank", "must be chosen")
    who, cookie = await beginner(visit.request, visit.state.user)
    begun = await visit.operations.connections.connect(
        org_id=visit.org_id,
        bank=bank,
        user=who,
        institution=institution or None,
        return_to=_way_back(visit),
        language=visit.language,
        psu=await _person(visit),
    )
    return _on(visit, begun, cookie)


async def renew(visit: Visit) -> web.Response:
    """Begin to renew a consent, and show the way to the bank."""
    await forms.posted(visit.request)
    who, cookie = await beginner(visit.request, visit.state.user)
    begun = await visit.operations.connections.renew(
        path_id(visit.request, "id", "connection"),
        user=who,
        org_id=visit.org_id,
        return_to=_way_back(visit),
        language=visit.language,
        psu=await _person(visit),
    )
    return _on(visit, begun, cookie)


def _on(visit: Visit, begun: AuthorisationBegun, cookie: str | None) -> web.Response:
    """Show a link to the bank: a form of ours may lead nowhere else (`form-action 'self'`), and people see where they
    go before they type a password there."""
    host = urlsplit(begun.url).netloc if begun.url is not None else None
    title = visit.words("On to your bank")
    answer = visit.show_alone(
        "onward.html", title, bank_url=begun.url, bank_host=host, message=begun.message, stream=""
    )
    remember(visit.request, answer, cookie)
    return answer


async def refresh(visit: Visit) -> web.Response:
    """Read a connection now, while its person is there."""
    await forms.posted(visit.request)
    connection_id = path_id(visit.request, "id", "connection")
    await visit.operations.schedule_immediate_sync(
        connection_id, org_id=visit.org_id, triggered_by="person", psu=await _person(visit)
    )
    return visit.see("organisation", {"orgId": visit.org_id}, outcome="refreshing")


async def decide(visit: Visit) -> web.Response:
    """Take the person's word which account an undecided one is."""
    fields = await forms.posted(visit.request)
    account = forms.identifier(fields, "account")
    if account is None or "same_as" not in fields:
        raise InvalidRequest("/account", "must be chosen")
    connection_id = path_id(visit.request, "id", "connection")
    same_as = forms.identifier(fields, "same_as")
    await visit.operations.connections.decide_account(connection_id, account, same_as=same_as, org_id=visit.org_id)
    return visit.see("organisation", {"orgId": visit.org_id}, outcome="decided")


async def withdraw(visit: Visit) -> web.Response:
    """Withdraw an access at the bank."""
    await forms.posted(visit.request)
    await visit.operations.connections.revoke(path_id(visit.request, "id", "connection"), org_id=visit.org_id)
    return visit.see("organisation", {"orgId": visit.org_id}, outcome="withdrawn")


def _way_back(visit: Visit) -> str | None:
    """Return this page, if the host has listed it in `BANK_SYNC_RETURN_TO`; else the callback has a page of its own."""
    path, host = visit.home, visit.request.host
    places = (path, f"{visit.request.scheme}://{host}{path}", f"https://{host}{path}")
    return next((each for each in places if may_return_to(each, visit.operations.settings.return_to)), None)


async def _person(visit: Visit) -> PsuContext | None:
    return await who_asks(visit.request, visit.state.person, visit.state.trusted_proxies)
