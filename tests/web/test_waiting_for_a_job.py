"""`GET …/jobs/{jobId}`: its tag, and waiting for a change."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from bankimport.status import JobState
from bankimport.stream import EventStream
from bankimport.web import job_waiting
from tests.stream.writing import StreamWriter
from tests.waiting import wait_until
from tests.web.serving import FakeService, Host, job, serving


@pytest.fixture
async def host(settings: Settings, service: FakeService) -> AsyncIterator[Host]:
    """A host with a job and a real stream of events."""
    client = connect(settings, Redis)
    events = EventStream(client, Keys("bank-import"))
    service.jobs["j1"] = job()
    async with serving(service, events=events) as running:
        yield running
    await events.aclose()
    await client.aclose()


async def test_what_is_unchanged_is_not_sent(host: Host, service: FakeService) -> None:
    """The tag of a job is that of its content; who has it already gets 304."""
    _, _, headers = await host.call("GET", "/jobs/j1")
    known = {"If-None-Match": headers["ETag"]}
    status, body, again = await host.call("GET", "/jobs/j1", headers=known)
    assert (status, body, again["ETag"]) == (304, None, headers["ETag"])
    service.jobs["j1"] = job(attempts_made=1)
    status, body, again = await host.call("GET", "/jobs/j1", headers=known)
    assert (status, body["attemptsMade"]) == (200, 1)
    assert again["ETag"] != headers["ETag"]


async def test_waiting_ends_with_the_change(
    host: Host, service: FakeService, redis_client: "Redis[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits is answered as soon as the job changes; another job's event is none of theirs."""
    monkeypatch.setattr(job_waiting, "_LOOK_AGAIN", timedelta(hours=1))  # it is heard, not looked up
    writer = StreamWriter(redis_client, Keys("bank-import"))
    waiting = asyncio.create_task(host.call("GET", "/jobs/j1?wait=30"))
    await wait_until(lambda: service.calls)
    await writer.queued("j2")
    service.jobs["j1"] = job(state=JobState.ACTIVE)
    began = time.monotonic()
    while not waiting.done():  # until the follower has its place, an event may be before it
        await writer.progress("j1")
        await asyncio.sleep(0.02)
    status, body, _ = await waiting
    assert (status, body["state"]) == (200, "active")
    assert time.monotonic() - began < 25, "it was the wait that ended"


async def test_waiting_ends_with_its_time(host: Host) -> None:
    """Without a change the answer comes when the time is over: the job, or 304 for who has it."""
    status, body, headers = await host.call("GET", "/jobs/j1?wait=1")
    assert (status, body["state"]) == (200, "waiting")
    status, _, _ = await host.call("GET", "/jobs/j1?wait=1", headers={"If-None-Match": headers["ETag"]})
    assert status == 304


async def test_there_is_nothing_to_wait_for(host: Host, service: FakeService) -> None:
    """A job that has ended, or isn't the one that the client has, is answered at once."""
    service.jobs["j1"] = job(state=JobState.COMPLETED)
    began = time.monotonic()
    assert (await host.call("GET", "/jobs/j1?wait=30"))[0] == 200
    assert (await host.call("GET", "/jobs/j1?wait=30", headers={"If-None-Match": '"x"'}))[0] == 200
    assert await host.problem("GET", "/jobs/nix?wait=30") == (404, "not-found")
    assert await host.problem("GET", "/jobs/j1?wait=31") == (422, "invalid-request")
    assert time.monotonic() - began < 25


async def test_who_waits_has_a_place(settings: Settings, service: FakeService) -> None:
    """Those who wait count as followers of their organisation: more than it may have are refused, and nobody else is.
    Red before: an organisation could hold as many connections open as it liked."""
    client = connect(settings, Redis)
    events = EventStream(client, Keys("bank-import"))
    service.jobs = {"j1": job(), "g1": job("g1", "globex")}
    async with serving(service, events=events, followers_per_organisation=2) as host:
        waiting = [asyncio.create_task(host.call("GET", "/jobs/j1?wait=30")) for _ in range(2)]
        await wait_until(lambda: events.hub.count("acme") == 2)
        assert await host.problem("GET", "/jobs/j1?wait=30") == (429, "too-many-followers")
        assert (await host.call("GET", "/jobs/j1"))[0] == 200
        host.org = "globex"
        assert (await host.call("GET", "/jobs/g1?wait=1", token="globex"))[0] == 200
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    await events.aclose()
    await client.aclose()
