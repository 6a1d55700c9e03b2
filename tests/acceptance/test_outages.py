"""Whatever is away, each route and each method answers within two seconds, and the log says once what is wrong."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from aiohttp import ClientSession, web
from structlog.testing import capture_logs

from bankimport import BankImport, BankImportError, Settings, Unavailable, allow_all
from bankimport.stores import SqlStore, upgrade_async
from bankimport.testing import FakeBank
from bankimport.web.bodies import JobsBody
from bankimport.web.table import ROUTES, Route
from tests.processes import Processes, Valkey, start_valkey

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
        path = route.path.replace("{orgId}", "acme").replace("{jobId}", self.job_id).replace("{id}", "giro")
        body = {"json": {"reason": "test"} if route.body is JobsBody else {}} if route.changes else {}
        began = time.monotonic()
        async with self.session.request(route.method, f"{self.origin}/api{path}", **body) as answer:
            if not route.streams:
                await answer.read()
            return f"{route.method} {route.path}", answer.status, time.monotonic() - began


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """The host."""
    processes = Processes(tmp_path)
    valkey = await asyncio.to_thread(start_valkey, processes)
    url = f"sqlite+aiosqlite:///{tmp_path}/bank.db"
    await upgrade_async(url)
    settings = Settings.load(redis_url=valkey.url(0), org_requests_per_minute=10_000)
    bank_import = BankImport(settings, banks={"bank": FakeBank()}, store=SqlStore(url))
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
}
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
    began = time.monotonic()
    try:
        await call
    except Unavailable as error:
        return str(error), time.monotonic() - began
    except BankImportError as error:
        return error.code, time.monotonic() - began
    return "answered", time.monotonic() - began


@pytest.mark.parametrize("outage", [killed, frozen, full], ids=lambda outage: outage.__name__)
async def test_every_method_answers(host: Host, outage: Callable[[Host], None]) -> None:
    """Each method of the Python API answers within two seconds, and says what is away."""
    outage(host)
    serving = host.bank_import
    calls = {
        "schedule": serving.schedule_immediate_sync("giro"),
        "schedule org": serving.schedule_org_sync("acme"),
        "job": serving.get_job_status(host.job_id),
        "jobs": serving.list_jobs("acme"),
        "cancel": serving.cancel_job(host.job_id),
        "retry": serving.retry_job(host.job_id),
        "pause": serving.pause_queue(),
        "resume": serving.resume_queue(),
        "stats": serving.get_queue_stats(),
        "health": serving.get_queue_health(),
        "subscribe": serving.subscribe(org_id="acme"),
        "connections": serving.list_connections("acme"),
        "connection": serving.get_connection("giro"),
    }
    found = dict(zip(calls, await asyncio.gather(*map(_within, calls.values())), strict=True))
    assert {name: seconds for name, (_, seconds) in found.items() if seconds > PROMISED + NOISE} == {}
    assert found["health"][0] == found["connections"][0] == "answered"
    assert "not available" in found["schedule"][0]
