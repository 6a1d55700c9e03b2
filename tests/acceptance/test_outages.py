"""Whatever is away, each route and each method answers within two seconds, and the log says once what is wrong."""

import asyncio
import base64
import inspect
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import redis
from aiohttp import ClientSession, web
from structlog.testing import capture_logs

from bankimport import BankImport, BankImportError, Event, Settings, Subscription, Unavailable, allow_all
from bankimport.models import ConnectionFilter, DeliveryFilter
from bankimport.queue.filters import JobFilter
from bankimport.service import Audit, Connections, Webhooks
from bankimport.stores import SqlStore
from bankimport.testing import FakeBank
from bankimport.web.bodies import JobsBody
from bankimport.web.dashboard.routes import PAGES
from bankimport.web.table import ROUTES, Route
from tests.crowded import own_time
from tests.migrated import upgraded
from tests.processes import Processes, Valkey, start_valkey
from tests.waiting import wait_until

pytestmark = pytest.mark.in_time

KEY = base64.urlsafe_b64encode(bytes(32)).decode()
#: What is promised, and what this machine's other work may add to it.
PROMISED, NOISE = 2.0, 1.0


@dataclass
class Host:
    """A host in this process, over a Valkey and a database of its own."""

    bank_import: BankImport
    session: ClientSession
    origin: str
    valkey: Valkey
    database: Path
    job_id: str

    async def ask(self, route: Route) -> tuple[str, int, float]:
        """Return the route, what it answers, and how long that takes."""
        path = self._named(route.path)
        body: dict[str, Any] = {}
        if route.changes:
            body["json"] = {"reason": "test"} if route.body is JobsBody else {}
            body["headers"] = {"Idempotency-Key": route.name}
        began = own_time()
        async with self.session.request(route.method, f"{self.origin}/api{path}", **body) as answer:
            if not route.streams:
                await answer.read()
            return f"{route.method} {route.path}", answer.status, own_time() - began

    async def open(self, path: str) -> tuple[str, int, float]:
        """Return a page's path, what it answers, and how long that takes."""
        began = own_time()
        async with self.session.get(f"{self.origin}/api{self._named(path)}", allow_redirects=False) as answer:
            await answer.read()
            return path, answer.status, own_time() - began

    def _named(self, path: str) -> str:
        job_id = self.job_id if "/jobs/" in path else "giro"
        return path.replace("{orgId}", "acme").replace("{jobId}", self.job_id).replace("{id}", job_id)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """The host."""
    processes = Processes(tmp_path)
    valkey = await asyncio.to_thread(start_valkey, processes)
    url = f"sqlite+aiosqlite:///{tmp_path}/bank.db"
    await upgraded(url)
    settings = Settings.load(redis_url=valkey.url(0), org_requests_per_minute=10_000)
    bank_import = BankImport(settings, banks={"bank": FakeBank()}, store=SqlStore(url, credentials_key=KEY))
    try:
        async with bank_import, ClientSession() as session, _served(bank_import) as origin:
            await bank_import.connections.add(org_id="acme", bank="bank", id="giro")
            job_id = await bank_import.schedule_immediate_sync("giro")
            await bank_import.get_queue_health()
            yield Host(bank_import, session, origin, valkey, tmp_path / "bank.db", job_id)
    finally:
        valkey.running.signal(signal.SIGCONT)
        processes.end()


@asynccontextmanager
async def _served(bank_import: BankImport) -> AsyncIterator[str]:
    app = web.Application()
    app.add_subapp("/api", bank_import.web_app(authorize=allow_all))
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def killed(host: Host) -> None:
    """End the server."""
    host.valkey.running.kill()


def frozen(host: Host) -> None:
    """Stop the server where it is: connections stay, answers don't come."""
    host.valkey.running.signal(signal.SIGSTOP)


def _admin(host: Host, *commands: tuple[str, ...]) -> None:
    with redis.Redis.from_url(host.valkey.url(0)) as client:
        for command in commands:
            client.execute_command(*command)


def full(host: Host) -> None:
    """Let the server refuse writes: its memory is full."""
    _admin(host, ("CONFIG", "SET", "maxmemory-policy", "noeviction"), ("CONFIG", "SET", "maxmemory", "1"))


def read_only(host: Host) -> None:
    """Make the server a replica of nobody who answers."""
    _admin(host, ("REPLICAOF", "127.0.0.1", "1"))


def other_password(host: Host) -> None:
    """Let the server want a password that we don't have, of old connections too."""
    _admin(host, ("CONFIG", "SET", "requirepass", "another"), ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))


async def no_database(host: Host) -> None:
    """Take the database away: its pools are emptied, as a server's end does, and nothing can be opened."""
    store: Any = host.bank_import.store
    await store._engine.dispose()
    await store._reader.dispose()
    for path in host.database.parent.glob("bank.db*"):
        path.unlink()
    host.database.mkdir()


#: answered whatever is away: they tell of it, or read nothing
TELLING = {"GET /queue/health", "GET /metrics", "GET /organisations/{orgId}/bank-connections/queue/health"}
#: refused before anything that is away is asked: no bank is named, and the bank has no flow in which a person consents
REFUSED = {
    "POST /organisations/{orgId}/bank-connections": 422,
    "POST /organisations/{orgId}/bank-connections/{id}/renew": 501,
    "/dashboard/bulk": 422,  # no jobs are named
    "/callback/bank?state=s": 403,  # nobody's, where the database can tell
}
#: what a browser opens: the pages, and where a bank sends people back to
OPENED = [page.path for page in PAGES if page.method == "GET"] + ["/callback/bank?state=s", "/openapi.json"]
OUTAGES: list[Callable[[Host], Awaitable[None] | None]] = [
    killed, frozen, full, read_only, other_password, no_database,
]  # fmt: skip


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.__name__)
async def test_every_route_answers(host: Host, outage: Callable[[Host], Awaitable[None] | None]) -> None:
    """Each route answers within two seconds, with 503 where it can't; never with a 500, and never as if all were well.
    The log names what is away and how to mend it, once. Red before: a frozen Redis held each request for a minute."""
    done = outage(host)
    if done is not None:
        await done
    with capture_logs() as logs:
        answers = []
        for start in range(0, len(ROUTES), 6):  # a few at a time: eight of an organisation have their turn at once
            answers += await asyncio.gather(*map(host.ask, ROUTES[start : start + 6]))
        ending = "/bank-connections" if outage is no_database else "/bank-connections/sync"
        again = await host.ask(next(route for route in ROUTES if route.path.endswith(ending)))
        answers += await asyncio.gather(*map(host.open, OPENED))
    slow = {name: seconds for name, _, seconds in answers if seconds > PROMISED + NOISE}
    wrong = {name: status for name, status, _ in answers if status >= 400 and status not in (404, 409, 503)}
    wrong = {name: status for name, status in wrong.items() if REFUSED.get(name) != status}
    assert (slow, wrong) == ({}, {})
    statuses = {name: status for name, status, _ in answers}
    assert {statuses[name] for name in TELLING} == {200}
    assert again[1] == 503
    said = [line for line in logs if line["event"] == "service.unavailable"]
    assert said
    assert all(line["mending"] for line in said)
    assert len({(line["what"], line["error"]) for line in said}) == len(said)


async def _within(call: Awaitable[Any]) -> tuple[str, float]:
    began = own_time()
    try:
        await call
    except Unavailable as error:
        return str(error), own_time() - began
    except BankImportError as error:
        return error.code, own_time() - began
    return "answered", own_time() - began


async def _first(events: AsyncIterator[Event]) -> None:
    """Ask for the first event."""
    await anext(events)


async def _subscribed(subscription: Awaitable[Subscription]) -> None:
    (await subscription).close()


def _calls(host: Host) -> dict[str, Coroutine[Any, Any, Any]]:
    """Return every call of the Python API."""
    serving, connections = host.bank_import, host.bank_import.connections
    audit, webhooks = serving.audit, serving.webhooks
    person = {"org_id": "acme", "user": "maria"}
    return {
        "schedule_immediate_sync": serving.schedule_immediate_sync("giro"),
        "schedule_org_sync": serving.schedule_org_sync("acme"),
        "get_job_status": serving.get_job_status(host.job_id),
        "list_jobs": serving.list_jobs("acme"),
        "cancel_job": serving.cancel_job(host.job_id, "acme"),
        "retry_job": serving.retry_job(host.job_id, "acme"),
        "retry_failed": serving.retry_failed("acme"),
        "retry_jobs": serving.retry_jobs(JobFilter(org_id="acme")),
        "discard_job": serving.discard_job(host.job_id),
        "discard_jobs": serving.discard_jobs(JobFilter(org_id="acme")),
        "count_jobs": serving.count_jobs(JobFilter(org_id="acme")),
        "pause_queue": serving.pause_queue(),
        "resume_queue": serving.resume_queue(),
        "get_queue_stats": serving.get_queue_stats(),
        "get_queue_health": serving.get_queue_health(),
        "get_schedules": serving.get_schedules(),
        "get_throughput": serving.get_throughput(),
        "get_banks": serving.get_banks(),
        "get_failing_banks": serving.get_failing_banks(),
        "get_failures": serving.get_failures(),
        "count_consents_ending": serving.count_consents_ending(),
        "subscribe": _subscribed(serving.subscribe(org_id="acme", job_id=host.job_id)),
        "follow": _first(serving.follow(host.job_id)),
        "events": _first(serving.events(org_id="acme", after="0")),
        "list_connections": serving.list_connections("acme"),
        "get_connections": serving.get_connections("acme", ["giro"]),
        "get_connection": serving.get_connection("giro"),
        "get_balances": serving.get_balances("giro", "acc", since=date(2026, 1, 1)),
        "find_connections": serving.find_connections(ConnectionFilter()),
        "count_connections": serving.count_connections(ConnectionFilter()),
        "connections.add": connections.add(org_id="acme", bank="bank"),
        "connections.get": connections.get("giro"),
        "connections.list": connections.list("acme"),
        "connections.accounts": connections.accounts("giro", org_id="acme"),
        "connections.owned": connections.owned("acme", ["giro"]),
        "connections.decide_account": connections.decide_account("giro", "acc", same_as=None),
        "connections.set_consent": connections.set_consent("giro", consent_id="c", org_id="acme"),
        "connections.update_credentials": connections.update_credentials("giro", None),
        "connections.disconnect": connections.disconnect("giro", org_id="acme"),
        "connections.delete": connections.delete("sparen", org_id="acme"),
        "connections.connect": connections.connect(bank="bank", **person),
        "connections.renew": connections.renew("giro", **person),
        "connections.finish": connections.finish("bank", {"state": "s"}, user="maria"),
        "connections.authorisation": connections.authorisation("giro"),
        "connections.give_up": connections.give_up("giro"),
        "connections.revoke": connections.revoke("giro"),
        "connections.institutions": connections.institutions("bank"),
        "audit.note": audit.note("test", org_id="acme"),
        "audit.list": audit.list(),
        "webhooks.add": webhooks.add("https://hooks.example/x", org_id="acme"),
        "webhooks.list": webhooks.list(),
        "webhooks.get": webhooks.get("hook"),
        "webhooks.remove": webhooks.remove("hook"),
        "webhooks.rotate": webhooks.rotate("hook"),
        "webhooks.disable": webhooks.disable("hook"),
        "webhooks.enable": webhooks.enable("hook"),
        "webhooks.deliveries": webhooks.deliveries(),
        "webhooks.replay": webhooks.replay(DeliveryFilter(org_id="acme")),
    }


#: not asked for in an outage: they end only when told to, begin and end the object, wait for Redis by contract, or work
#: through all that an organisation has
_OTHERS = {
    "erase_organisation",
    "start",
    "aclose",
    "working",
    "consume",
    "from_env",
    "on",
    "web_app",
    "worker_settings",
}


def test_every_method_is_among_them() -> None:
    """A public method that is forgotten here fails this test."""
    names = {name for name in dir(BankImport) if callable(getattr(BankImport, name)) and not name.startswith("_")}
    parts: dict[str, type] = {"connections": Connections, "audit": Audit, "webhooks": Webhooks}
    of_parts = {f"{part}.{name}" for part, kind in parts.items() for name in dir(kind) if not name.startswith("_")}
    source = inspect.getsource(_calls)
    asked = set(re.findall(r'^        "([\w.]+)": ', source, re.MULTILINE))
    assert asked == (names - _OTHERS) | of_parts


#: what each outage leaves to be done, and what is said where not
_ANSWERED_WITHOUT_REDIS = {
    "get_queue_health", "get_balances", "list_connections", "find_connections", "count_connections", "count_consents_ending",
    "connections.add", "connections.get", "connections.list", "connections.accounts", "connections.owned",
    "connections.set_consent", "connections.update_credentials", "connections.disconnect", "connections.delete",
    "connections.connect", "connections.renew", "connections.finish", "connections.authorisation",
    "connections.give_up", "connections.institutions", "audit.note", "audit.list", "webhooks.add", "webhooks.list",
    "webhooks.get", "webhooks.remove", "webhooks.rotate", "webhooks.disable", "webhooks.enable", "webhooks.deliveries",
    "webhooks.replay",
}  # fmt: skip

_ANSWERED_WITHOUT_DATABASE = {"list_jobs", "get_queue_stats", "pause_queue"}


async def _done(host: Host, names: Collection[str]) -> None:
    """Ask for these again until they are done: all at once, they may have met a crowded machine."""

    async def answered() -> bool:
        calls = _calls(host)
        asked = [calls.pop(name) for name in names]
        for other in calls.values():
            other.close()
        return not any("not available" in text for text, _ in await asyncio.gather(*map(_within, asked)))

    await wait_until(answered, what=f"{', '.join(names)}")


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.__name__)
async def test_every_method_answers(host: Host, outage: Callable[[Host], Awaitable[None] | None]) -> None:
    """Each method of the Python API answers within two seconds and says what is away, once in its sentence; what
    doesn't need it is done. Red before: of a full Redis it said that it is not available twice."""
    await host.bank_import.connections.add(org_id="acme", bank="bank", id="sparen")
    done = outage(host)
    if done is not None:
        await done
    calls = _calls(host)
    found = dict(zip(calls, await asyncio.gather(*map(_within, calls.values())), strict=True))
    assert {name: seconds for name, (_, seconds) in found.items() if seconds > PROMISED + NOISE} == {}
    told = {name: text for name, (text, _) in found.items() if "not available" in text}
    assert all(text.count("not available") == 1 for text in told.values())
    if outage is no_database:
        assert {"connections.list", "schedule_immediate_sync", "get_connection"} <= set(told)
        assert {found[name][0] for name in _ANSWERED_WITHOUT_DATABASE - set(told)} <= {"answered"}
        await _done(host, _ANSWERED_WITHOUT_DATABASE & set(told))
        return
    await _done(host, _ANSWERED_WITHOUT_REDIS & set(told))
    assert {"schedule_immediate_sync", "schedule_org_sync", "pause_queue"} <= set(told)
    if outage in (killed, frozen, other_password):
        assert {"get_job_status", "list_jobs", "follow", "events", "subscribe"} <= set(told)
