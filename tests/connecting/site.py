"""A host, its worker and the sandbox bank, over real sockets; and browsers that walk between them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import ClientSession, CookieJar, web

from bankimport import BankImport
from bankimport.events import Event
from bankimport.models import PsuContext
from bankimport.ports import BankProvider
from bankimport.providers import BerlinGroup, EnableBanking, GoCardless
from bankimport.sandbox import create_app
from bankimport.sandbox.counter import STATE
from bankimport.settings import Settings
from bankimport.stores import SqlStore
from tests.contracts.sandboxed import KEY
from tests.migrated import upgraded
from tests.processes import free_port
from tests.waiting import PATIENCE, wait_until

#: what a provider of many banks is asked for
INSTITUTIONS = {"enable-banking": "DE:Sandbox Bank", "gocardless": "SANDBOXFINANCE_SFIN0000"}


def provider_of(kind: str, url: str) -> BankProvider:
    """Return a provider of the sandbox."""
    if kind == "berlin-group":
        return BerlinGroup(url, name=kind)
    if kind == "oauth":
        return BerlinGroup(url, name=kind, client_id="us")
    if kind == "decoupled":
        return BerlinGroup(url, name=kind, approach="decoupled")
    if kind == "gocardless":
        return GoCardless(secret_id="id", secret_key="key", base_url=url, name=kind)
    return EnableBanking(application_id="app-1", private_key=KEY, base_url=url, name=kind)


async def _signed_in(request: web.Request) -> str | None:
    """The host's login is a cookie: `user`."""
    return request.cookies.get("user")


async def _person(request: web.Request) -> PsuContext | None:
    """Whoever asks does so from the same public address."""
    return PsuContext("93.184.216.34", "Mozilla/5.0", datetime.now(UTC))


async def _member(request: web.Request, action: str, org_id: str | None) -> bool:
    return org_id in ("acme", "globex") and "user" in request.cookies


@dataclass
class Browser:
    """Somebody's browser."""

    session: ClientSession
    site: "Site"
    kind: str

    def path(self, rest: str = "", org_id: str = "acme") -> str:
        """Return the address of a route."""
        return f"{self.site.host}/api/organisations/{org_id}/bank-connections{rest}"

    async def ask(self, method: str, rest: str, body: Any = None, *, org_id: str = "acme", status: int) -> Any:
        """Send a request to a route; return its JSON."""
        json = None if method == "GET" else body or {}
        async with self.session.request(method, self.path(rest, org_id), json=json) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def connect(self, **more: Any) -> dict[str, Any]:
        """Begin to connect the bank."""
        body = {"bank": self.kind, "returnTo": f"{self.site.host}/banks", **more}
        if self.kind in INSTITUTIONS:
            body.setdefault("institution", INSTITUTIONS[self.kind])
        found: dict[str, Any] = await self.ask("POST", "", body, status=201)
        return found

    async def renew(self, connection_id: str) -> dict[str, Any]:
        """Begin to renew the consent: which bank it is is known, whatever the provider."""
        body = {"returnTo": f"{self.site.host}/banks"}
        found: dict[str, Any] = await self.ask("POST", f"/{connection_id}/renew", body, status=201)
        return found

    async def at_bank(self, url: str, answer: str = "consent", login: str = "anna") -> str:
        """Answer at the bank's page; return where it sends the person back to."""
        async with self.session.get(url) as page:
            assert "Sandbox Bank" in await page.text()
        async with self.session.post(
            page.url, data={"decision": answer, "person": login}, allow_redirects=False
        ) as sent:
            assert sent.status == 303, await sent.text()
            return sent.headers["Location"]

    async def back(self, url: str) -> tuple[int, dict[str, str], str]:
        """Come back from the bank; return the status, what the host's page is told, and the text of ours."""
        async with self.session.get(url, allow_redirects=False) as answer:
            told = dict(parse_qsl(urlsplit(answer.headers.get("Location", "")).query))
            return answer.status, told, await answer.text()

    async def connected(self, **more: Any) -> str:
        """Connect the bank; return the connection's id."""
        begun = await self.connect()
        status, told, _ = await self.back(await self.at_bank(begun["url"], **more))
        assert (status, told["outcome"], told["connection"]) == (303, "connected", begun["id"]), told
        return str(begun["id"])

    async def imported(self, connection_id: str) -> int:
        """Wait until the connection has been imported and nothing goes on; return how many rows it has."""

        async def over() -> bool:
            jobs = (await self.ask("GET", f"/jobs?connectionId={connection_id}", status=200))["jobs"]
            return bool(jobs) and all(job["state"] in ("completed", "failed", "cancelled") for job in jobs)

        await wait_until(over, what="the import")
        return await self.site.count(connection_id)


@dataclass
class Site:
    """All of it."""

    bank: str
    host: str
    bank_import: BankImport
    sandbox: web.Application
    kind: str
    sessions: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def browser(self, user: str | None = "anna") -> Browser:
        """Return the browser of somebody who is signed in, or of nobody."""
        cookies = {} if user is None else {"user": user}
        session = ClientSession(cookie_jar=CookieJar(unsafe=True), cookies=cookies)
        return Browser(await self.sessions.enter_async_context(session), self, self.kind)

    async def connection(self, connection_id: str) -> Any:
        """Return a connection as it is stored."""
        return await self.bank_import.connections.get(connection_id)

    async def told(self, name: str) -> list[Event]:
        """Return the events of a name that the organisation was told."""
        found: list[Event] = []
        async with asyncio.timeout(PATIENCE):
            async for event in self.bank_import.events(org_id="acme", after="0"):
                if event.name == name:
                    found.append(event)
                    return found
        return found

    def consents(self) -> list[str]:
        """Return how the consents stand that people have given at the bank."""
        state = self.sandbox[STATE]
        given = [each.consent for each in state.authorisings.values() if each.consent]
        return [state.switches.consent_status(each) for each in given]

    async def count(self, connection_id: str) -> int:
        """Return how many rows a connection has."""
        from sqlalchemy import text

        from bankimport.stores.sql.engine import open_engine

        engine = open_engine(self.bank_import.settings.database_url.get_secret_value())
        query = "SELECT count(*) FROM bank_transactions t JOIN bank_accounts a ON a.id = t.account_id WHERE"
        async with engine.connect() as db:
            found = await db.scalar(text(f"{query} a.connection_id = :id"), {"id": connection_id})
        await engine.dispose()
        return int(found or 0)


@asynccontextmanager
async def site_of(settings: Settings, kind: str, *, by_browser: bool = False) -> AsyncIterator[Site]:
    """Serve a host with one bank; `by_browser`: it doesn't say who is signed in."""
    port = free_port()
    host = f"http://127.0.0.1:{port}"
    url = settings.database_url.get_secret_value()
    await upgraded(url)
    changed = {"callback_url": f"{host}/api/callback", "return_to": (f"{host}/banks", "myapp://banks")}
    settings = Settings.load(
        redis_url=settings.redis_url.get_secret_value() if settings.redis_url else None, database_url=url, **changed
    )
    sandbox = create_app(by_oauth=kind == "oauth")
    async with AsyncExitStack() as stack:
        bank = await stack.enter_async_context(_serving(sandbox, 0))
        provider = provider_of(kind, bank)
        bank_import = BankImport(settings, banks={kind: provider}, store=SqlStore(url, environment="development"))
        await stack.enter_async_context(bank_import)
        await stack.enter_async_context(bank_import.working())
        app = web.Application()
        user = None if by_browser else _signed_in
        app.add_subapp("/api", bank_import.web_app(authorize=_member, user=user, person=_person))
        await stack.enter_async_context(_serving(app, port))
        site = Site(bank, host, bank_import, sandbox, kind)
        await stack.enter_async_context(site.sessions)
        yield site


@asynccontextmanager
async def _serving(app: web.Application, port: int) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
