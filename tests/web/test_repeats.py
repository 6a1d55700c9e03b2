"""`Idempotency-Key`, on a real server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from redis.asyncio import Redis

from bankimport.errors import Unavailable
from bankimport.redis import deadline
from bankimport.redis.keys import Keys
from bankimport.web import Answer, RedisAnswers
from tests.web.serving import FakeService, Host, job, serving

KEY = {"Idempotency-Key": "k1"}


@pytest.fixture
async def host(service: FakeService, redis_client: "Redis[str]", no_endless_keys: None) -> AsyncIterator[Host]:
    """A host that remembers."""
    async with serving(service, answers=RedisAnswers(redis_client, Keys("bank-import"))) as running:
        yield running


async def test_the_same_request_has_the_same_answer(host: Host, service: FakeService) -> None:
    """The same key and body, however it is written, is done once and answered twice, with its location."""
    first = await host.call("POST", "/giro/sync", json={"forceFullSync": True, "triggeredBy": "m"}, headers=KEY)
    again = await host.call("POST", "/giro/sync", json={"triggeredBy": "m", "forceFullSync": True}, headers=KEY)
    assert first[:2] == again[:2]
    assert first[2]["Location"] == again[2]["Location"]
    assert again[2]["Idempotency-Replayed"] == "true"
    assert len(service.calls) == 1


async def test_the_key_of_another_request(host: Host, service: FakeService) -> None:
    """The same key with another body, or on another route, is refused."""
    await host.call("POST", "/giro/sync", headers=KEY)
    code = (422, "idempotency-key-reused")
    assert await host.problem("POST", "/giro/sync", json={"forceFullSync": True}, headers=KEY) == code
    assert await host.problem("POST", "/sparen/sync", headers=KEY) == code
    assert len(service.calls) == 1


async def test_a_key_is_its_organisations(host: Host, service: FakeService) -> None:
    """Another organisation may use the same key, and learns nothing of the first."""
    await host.call("POST", "/giro/sync", headers=KEY)
    host.org = "globex"
    status, answer, headers = await host.call("POST", "/giro/sync", token="globex", headers=KEY)
    assert (status, answer["jobId"]) == (202, "job-2")
    assert "Idempotency-Replayed" not in headers


async def test_a_failure_is_not_kept(host: Host, service: FakeService) -> None:
    """A request that failed may be sent again with its key."""
    service.error = Unavailable("Redis")
    assert await host.problem("POST", "/giro/sync", headers=KEY) == (503, "unavailable")
    service.error = None
    assert (await host.call("POST", "/giro/sync", headers=KEY))[0] == 202


async def test_two_at_the_same_time(host: Host, service: FakeService) -> None:
    """Of many same requests at one time one is done; the others have its answer, or are told to come again."""
    answers = await asyncio.gather(*(host.call("POST", "/giro/sync", headers=KEY) for _ in range(20)))
    assert len(service.calls) == 1
    assert {status for status, _, _ in answers} <= {202, 409}
    assert {body["code"] for status, body, _ in answers if status == 409} <= {"idempotency-key-in-use"}


async def test_a_day(host: Host, redis_client: "Redis[str]") -> None:
    """An answer is kept for 24 hours."""
    await host.call("POST", "/giro/sync", headers=KEY)
    [key] = [key async for key in redis_client.scan_iter("*idempotency*")]
    assert 86_390_000 < await redis_client.pttl(key) <= 86_400_000


async def test_who_may_not_hears_no_answer(host: Host, service: FakeService) -> None:
    """A key opens nothing: it is looked at only after the host has allowed the request."""
    service.jobs["j1"] = job()
    await host.call("POST", "/jobs/j1/retry", headers=KEY)
    assert await host.problem("POST", "/jobs/j1/retry", token="globex", headers=KEY) == (403, "forbidden")


async def test_a_key_that_is_none(host: Host) -> None:
    """A key has 1 to 255 characters."""
    assert await host.problem("POST", "/giro/sync", headers={"Idempotency-Key": "x" * 256}) == (422, "invalid-request")


class _Stuck:
    """A memory that takes a claim, and then answers no more: its server was frozen meanwhile."""

    async def claim(self, key: str, digest: str) -> None:
        """Give the claim."""

    async def remember(self, key: str, digest: str, answer: Answer) -> None:
        """Never answer."""
        await asyncio.Event().wait()

    async def forget(self, key: str, digest: str) -> None:
        """Never answer."""
        await asyncio.Event().wait()


async def test_redis_goes_away_after_the_work(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done is answered as done, and what failed as failed, in time. Red before: 503 for a job that was
    accepted, and a failure was told four seconds later."""
    monkeypatch.setattr(deadline, "LONGEST", 1.0)
    async with serving(service, answers=_Stuck()) as host:
        async with asyncio.timeout(6):
            assert (await host.call("POST", "/giro/sync", headers=KEY))[0] == 202
            service.error = Unavailable("Redis")
            assert await host.problem("POST", "/giro/sync", headers=KEY) == (503, "unavailable")


async def test_the_way_to_a_bank_is_not_kept(service: FakeService, redis_client: "Redis[str]") -> None:
    """Who begins to connect a bank is known by their login or by the answer's cookie, and the answer's address holds the
    state of what was begun: one that is lost is made anew, and nothing of it stays in Redis. Red before: a repeated
    answer had no cookie, so that nobody could have ended what was begun, and the address stood in Redis for a day."""

    async def signed_in(request: web.Request) -> str | None:
        return "maria"

    answers = RedisAnswers(redis_client, Keys("bank-import"))
    for user in (None, signed_in):
        async with serving(service, answers=answers, user=user) as host:
            for _ in range(2):
                status, _, headers = await host.call("POST", "", json={"bank": "bank"}, headers=KEY)
                assert status == 201
                assert ("bankimport_browser=" in headers.get("Set-Cookie", "")) is (user is None)
                assert "Idempotency-Replayed" not in headers
        assert await redis_client.keys("*idempotency*") == []


async def test_the_cookie_is_secure_behind_a_proxy(service: FakeService) -> None:
    """Where clients see https, the cookie is for https alone, though the proxy speaks plain HTTP to us. Red before."""
    for public, secure in (("https://www.example", True), ("http://www.example", False)):
        async with serving(service, public_url=public) as host:
            _, _, headers = await host.call("POST", "", json={"bank": "bank"})
            assert ("; Secure" in headers["Set-Cookie"]) is secure
