"""What is whose: every route and page, for everybody, about one's own and about another's, over the real service."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from bankimport import BankAccount, BankConnection, BankImport, Settings
from bankimport.testing import MemoryStore
from bankimport.web.dashboard.routes import PAGES, Page
from bankimport.web.table import ROUTES, Route
from tests.waiting import PATIENCE
from tests.web.serving import Host, serving
from tests.web.test_authorising import RIGHTS, ROLES, body_of, by_role
from tests.web.whole_host import Connectable

SOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@dataclass
class Whole:
    """A host over the real service, with a job, a connection and an account of two organisations."""

    host: Host
    #: what stands in a path for each organisation
    names: dict[str, dict[str, str]]


@pytest.fixture
async def whole(settings: Settings) -> AsyncIterator[Whole]:
    """The host."""
    store = MemoryStore()
    many = settings.model_copy(update={"callback_url": "https://host.example/callback"})
    async with BankImport(many, banks={"bank": Connectable()}, store=store) as bank_import:
        names = {}
        for org in ("acme", "globex"):
            connection = BankConnection(f"of-{org}", org, "bank")
            store.add(connection)
            [account] = await store.upsert_accounts(connection, [BankAccount("p", "key", currency="EUR")], fence=1)
            job_id = await bank_import.schedule_immediate_sync(connection.id)
            names[org] = {"id": connection.id, "accountId": account.id, "jobId": job_id, "bank": "bank"}
        options = {"authorize": by_role, "events": bank_import.stream, "requests_per_minute": 10_000}
        async with serving(bank_import, **options) as host:
            yield Whole(host, names)


async def test_every_route_about_ones_own_and_anothers(whole: Whole) -> None:
    """Who isn't let in is told so; who is, does what they may with their own organisation's, and another's is the same
    404 as none, under whatever name. The whole queue's is the operator's alone."""
    found, wanted = {}, {}
    for route in (*ROUTES, *(page for page in PAGES if "{action" not in page.path)):
        names_one = any(f"{{{name}}}" in route.path for name in ("id", "jobId", "accountId"))
        for role in ROLES:
            for owner in ("acme", "globex") if names_one else ("acme",):
                case = (route.method, route.path, role, owner)
                wanted[case] = expected(route, role, owner)
                found[case] = await asked(whole, route, role, owner)
    assert {case: answer for case, answer in found.items() if answer != wanted[case]} == {}
    assert len(found) > 350


async def test_the_events_of_anothers_job(whole: Whole) -> None:
    """A stream about another organisation's job is the same 404, over Server-Sent Events and WebSocket."""
    theirs = whole.names["globex"]["jobId"]
    for headers in ({}, SOCKET):
        async with whole.host.session.get(
            f"{whole.host.url}/events?jobId={theirs}", headers={"Authorization": "acme-read", **headers}
        ) as answer:
            assert answer.status == 404


def expected(route: Route | Page, role: str, owner: str) -> str:
    """Return what the rules want."""
    if role == "nobody":
        return "401"
    of_organisation = "{orgId}" in route.path
    if role != "operator" and not (of_organisation and route.action in RIGHTS.get(role, ())):
        return "403"
    return "404" if of_organisation and owner == "globex" else "let in"


async def asked(whole: Whole, route: Route | Page, role: str, owner: str) -> str:
    """Return what is answered."""
    path = route.path.replace("{orgId}", "acme")
    for name, value in whole.names[owner].items():
        of_page = path.startswith("/dashboard/jobs") and name == "id"
        path = path.replace(f"{{{name}}}", whole.names[owner]["jobId"] if of_page else value)
    kind = "application/json" if isinstance(route, Route) else "application/x-www-form-urlencoded"
    headers = {"Authorization": role, "Content-Type": kind}
    url = f"{whole.host.origin}/api{path}"
    async with asyncio.timeout(PATIENCE):
        form = f"account={whole.names[owner]['accountId']}&same_as=".encode()
        body = body_of(route) if isinstance(route, Route) else form if route.method == "POST" else b""
        async with whole.host.session.request(
            route.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            status = answer.status
    assert status < 500 or status == 501, (route, role, owner)
    return str(status) if status in (401, 403, 404) else "let in"
