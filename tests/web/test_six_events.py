"""The six events of the requirement, from a real worker, over every way to listen."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from arq.connections import RedisSettings, create_pool

from bankimport import BankImport, Settings
from bankimport.testing import MemoryStore
from tests.acceptance.deployment import Deployment
from tests.processes import Processes
from tests.waiting import wait_until
from tests.web.listening import Heard, hear_socket, hear_sse

#: name -> the fields it has at least
SIX = {
    "bank.sync.completed": {"connectionId", "accountsSynced", "transactionsSynced", "timestamp"},
    "bank.batch.completed": {"orgId", "totalConnections", "successfulSyncs", "failedSyncs", "timestamp"},
    "bank.consents.expiring": {"count", "connections", "timestamp"},
    "bank.sync.failed": {"jobId", "type", "error", "timestamp", "attempt", "willRetry", "errorCode"},
    "bank.job.completed": {
        "jobId", "type", "queuedAt", "startedAt", "completedAt", "duration", "attempts", "accountsSynced",
        "transactionsSynced", "success",
    },
    "bank.job.failed": {"jobId", "type", "attempts", "error", "timestamp"},
}  # fmt: skip


@pytest.fixture
def deployment(redis_url: str, processes: Processes) -> Iterator[Deployment]:
    """A bank, the example host, and a worker that runs a host's own handlers; waits between retries are 1/100."""
    variables = {"BANK_SYNC_RETRY_DELAY_SCALE": "0.01", "BANK_SYNC_APP": "tests.web.app_that_listens:bank_import"}
    deployment = Deployment(processes, redis_url, variables)
    deployment.start_bank()
    deployment.bankimport("db", "upgrade")
    host = deployment.start_host()
    worker = deployment.start_worker()
    for connection, days in (("giro", 90), ("broken", 90), ("ending", 3)):
        until = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
        access = ("--org", "acme", "--bank", "sandbox", "--consent-id", f"consent-{connection}", "--valid-until", until)
        deployment.bankimport("connections", "add", *access, "--id", connection)
    host.line_sync("Running on")
    worker.line_sync("worker.started")
    return deployment


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A member of the organisation."""
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer acme-token"}) as session:
        yield session


@pytest.fixture
def url(deployment: Deployment) -> str:
    """Where the organisation's routes are."""
    return f"{deployment.host_url}/api/organisations/acme/bank-connections"


async def everything_happens(deployment: Deployment, session: aiohttp.ClientSession, url: str) -> None:
    """One sync that works, one batch in which a bank is away, one look at the consents."""
    bank = f"{deployment.bank_url}/sandbox/consents"
    await session.post(f"{bank}/consent-broken/switches", json={"kind": "unavailable"})
    await session.post(f"{bank}/consent-ending/switches", json={"kind": "unavailable"})
    await session.post(f"{url}/giro/sync")
    await session.post(f"{url}/sync", json={"connectionIds": ["giro", "broken"]})
    pool = await create_pool(RedisSettings.from_dsn(deployment.redis_url))
    await pool.enqueue_job("refresh-consents", _queue_name="bank-import")
    await pool.aclose()


def of_the_six(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of the requirement, of the organisation."""
    return [event for event in events if event["name"] in SIX and event["orgId"] == "acme"]


def is_all(events: list[dict[str, Any]]) -> bool:
    """Whether all six were heard, and the batch, whose end is the last, has ended."""
    heard = of_the_six(events)
    ended = any(event["data"].get("type") == "sync-all-org" for event in heard if "completed" in event["name"])
    return ended and {event["name"] for event in heard} == {*SIX}


def in_worker(deployment: Deployment) -> list[dict[str, Any]]:
    """Return what the handlers in the worker were told."""
    worker = next(running for running in deployment.processes.started if running.name == "worker")
    told = [
        line.split("HEARD ")[1]
        for line in worker.output().splitlines(keepends=True)
        if line.startswith("HEARD ") and line.endswith("\n")
    ]
    return [json.loads(text) for text in told]


async def test_the_six_events(
    deployment: Deployment, session: aiohttp.ClientSession, url: str, settings: Settings
) -> None:
    """Each of the six is heard by WebSocket, by Server-Sent Events, by `on` and by `consume`: the same events with
    exactly their fields, in one order, at the right moments, whatever a failing handler does."""
    by_socket, by_sse, by_group = Heard(), Heard(), Heard()

    async def consume() -> None:
        async with BankImport(settings, banks={}, store=MemoryStore()) as listener:
            async for event in listener.consume("svc", "one", tuple(SIX), start="0"):
                by_group.events.append(event.model_dump(mode="json"))

    socket = await session.ws_connect(f"{url}/events?after=0")
    stream = await session.get(f"{url}/events?after=0")
    tasks = [
        asyncio.create_task(each) for each in (hear_socket(socket, by_socket), hear_sse(stream, by_sse), consume())
    ]
    try:
        await everything_happens(deployment, session, url)
        await wait_until(lambda: is_all(by_socket.events))
        heard = of_the_six(by_socket.events)
        ids = [event["id"] for event in heard]
        for others in (by_sse, by_group):
            await wait_until(lambda others=others: [e["id"] for e in of_the_six(others.events)] == ids)
            assert of_the_six(others.events) == heard
        await wait_until(lambda: sorted(e["id"] for e in of_the_six(in_worker(deployment))) == sorted(ids))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    check_fields(heard)
    check_moments(heard)


def check_fields(heard: list[dict[str, Any]]) -> None:
    """Each event has the fields of the requirement, and its envelope."""
    for event in heard:
        assert set(event) == {"id", "name", "orgId", "jobId", "timestamp", "data"}
        wanted = SIX[event["name"]]
        if event["name"] == "bank.job.completed" and event["data"]["type"] == "sync-all-org":
            wanted = (wanted - {"accountsSynced", "transactionsSynced"}) | {"connectionsSynced"}
        assert wanted <= set(event["data"]), event
        if "jobId" in event["data"]:
            assert event["data"]["jobId"] == event["jobId"]


def check_moments(heard: list[dict[str, Any]]) -> None:
    """A failed run is told each time and the failure of the job once, at the end; counts and durations are right."""
    by_name = {name: [event["data"] for event in heard if event["name"] == name] for name in SIX}
    broken = [event["name"] for event in heard if event["jobId"] == by_name["bank.job.failed"][0]["jobId"]]
    assert Counter(broken) == {"bank.sync.failed": 4, "bank.job.failed": 1}
    assert broken[-1] == "bank.job.failed"
    runs = by_name["bank.sync.failed"]
    assert [(run["attempt"], run["willRetry"]) for run in runs] == [(1, True), (2, True), (3, True), (4, False)]
    assert by_name["bank.job.failed"][0]["attempts"] == 4
    batch = by_name["bank.batch.completed"][0]
    assert (batch["totalConnections"], batch["successfulSyncs"], batch["failedSyncs"]) == (2, 1, 1)
    assert by_name["bank.consents.expiring"][0]["connections"] == ["ending"]
    done = [data for data in by_name["bank.job.completed"] if data["type"] == "sync-connection"]
    synced = by_name["bank.sync.completed"]
    assert (done[0]["accountsSynced"], done[0]["transactionsSynced"]) == (
        synced[0]["accountsSynced"],
        synced[0]["transactionsSynced"],
    )
    assert synced[0]["transactionsSynced"] > 0
    for data in by_name["bank.job.completed"]:
        started, ended = (datetime.fromisoformat(data[name]) for name in ("startedAt", "completedAt"))
        assert datetime.fromisoformat(data["queuedAt"]) <= started <= ended
        assert data["duration"] == round((ended - started) / timedelta(milliseconds=1))
        assert data["attempts"] == 1
