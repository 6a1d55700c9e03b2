"""Every way a bank can fail, and what becomes of the job and of the connection (design §5).

The waits between retries are 5, 10 and 20 s. Here BANK_SYNC_RETRY_DELAY_SCALE is 0.02, so they are 100, 200 and 400 ms,
and up to a tenth more of jitter; what the bank itself asks for by `Retry-After` isn't scaled.
"""

import asyncio
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from tests.acceptance.bank import read_bank
from tests.acceptance.conftest import Deploy
from tests.acceptance.deployment import Deployment, Organisation

SCALE = 0.02
WAITS = [wait * SCALE for wait in (5, 10, 20)]
#: the longest run of a job where a slow bank is to be a time-out
LIMIT = 2.0

#: what the sandbox does on every request, the error code of the job
RETRYABLE = {
    "cut": "transient",
    "rate-limit": "rate-limited",
    "bad-gateway": "transient",
    "unavailable": "transient",
    "gateway-timeout": "transient",
}
#: what the sandbox does, the error code of the job, the connection's status and the reason of it
PERMANENT = {
    "consent-expired": ("reauth-required", "REQUIRES_REAUTH", "expired"),
    "consent-invalid": ("reauth-required", "REQUIRES_REAUTH", "invalid"),
    "consent-unknown": ("reauth-required", "REQUIRES_REAUTH", "revoked"),
    "service-blocked": ("reauth-required", "REQUIRES_REAUTH", "blocked"),
    "token-invalid": ("reauth-required", "REQUIRES_REAUTH", "invalid"),
    "token-expired": ("reauth-required", "REQUIRES_REAUTH", "expired"),
    "bare-401": ("reauth-required", "REQUIRES_REAUTH", "refused"),
    "certificate-invalid": ("credential-error", "ACTIVE", None),
    "half-json": ("malformed-data", "ERROR", "sync-failed"),
    "no-json": ("malformed-data", "ERROR", "sync-failed"),
    "format-error": ("bank-rejected", "ERROR", "sync-failed"),
    "account-gone": ("bank-rejected", "ERROR", "sync-failed"),
}


@pytest.fixture(scope="module")
def deployment(deploy: Deploy) -> Deployment:
    """A deployment with scaled waits, and a connection for each way to fail."""
    deployment = deploy(BANK_SYNC_RETRY_DELAY_SCALE=str(SCALE), BANK_SYNC_RATE_LIMIT_MAX="1000")
    for kind in [*RETRYABLE, *PERMANENT, "healed", "later", "patient", "partial", "suspect", "cut-off", "renewed"]:
        deployment.insert_connection(kind)
    return deployment


@pytest.fixture(scope="module")
def impatient(deploy: Deploy) -> Deployment:
    """A deployment whose jobs may not run for long."""
    limit = str(int(LIMIT * 1000))
    deployment = deploy(BANK_SYNC_RETRY_DELAY_SCALE=str(SCALE), BANK_SYNC_JOB_TIMEOUT_MS=limit)
    deployment.insert_connection("slow")
    return deployment


def moments(events: list[dict[str, Any]], name: str) -> list[datetime]:
    """Return when the events of a name happened."""
    return [datetime.fromisoformat(event["timestamp"]) for event in events if event["name"] == name]


def waits_of(events: list[dict[str, Any]]) -> list[float]:
    """Return the seconds between each failed run and when the next one is due; no run starts before."""
    failed, started = moments(events, "bank.sync.failed"), moments(events, "bank.job.started")[1:]
    retrying = [event["data"] for event in events if event["name"] == "bank.job.retrying"]
    due = [datetime.fromisoformat(told["retryAt"]) for told in retrying]
    assert all(at <= start for at, start in zip(due, started, strict=True)), (due, started)
    return [(at - end).total_seconds() for end, at in zip(failed, due, strict=False)]


@pytest.mark.parametrize("kind", RETRYABLE)
async def test_a_retryable_error_is_retried_three_times(
    deployment: Deployment, member: Organisation, kind: str
) -> None:
    """A bank that keeps failing in a way that may pass is asked four times, with the three waits between; then the job
    fails, once, and the connection stays as it was."""
    await member.misbehave(f"consent-{kind}", kind=kind, endpoint="accounts")
    await fails_four_times(deployment, member, kind, RETRYABLE[kind])


async def test_a_bank_that_keeps_a_job_waiting_is_timed_out(
    impatient: Deployment, session: aiohttp.ClientSession
) -> None:
    """A run over its limit is ended, and retried like any passing error."""
    session.headers["Authorization"] = "Bearer acme-token"
    member = Organisation(session, impatient)
    await member.misbehave("consent-slow", kind="slow", endpoint="accounts", seconds=30)
    await fails_four_times(impatient, member, "slow", "timeout")


async def fails_four_times(deployment: Deployment, member: Organisation, kind: str, code: str) -> None:
    """Sync, and see four runs fail with three waits between, and the job with the last."""
    job = await member.synced(kind)
    assert (job["state"], job["attemptsMade"]) == ("failed", 4)
    events = await member.events(job["id"])
    waits = waits_of(events)
    assert len(waits) == len(WAITS)
    assert all(wait <= seen < 1.1 * wait + 0.002 for wait, seen in zip(WAITS, waits, strict=True)), waits
    failures = [event["data"] for event in events if event["name"] == "bank.sync.failed"]
    assert [failure["errorCode"] for failure in failures] == [code] * 4
    assert [(failure["attempt"], failure["willRetry"]) for failure in failures] == [
        (1, True),
        (2, True),
        (3, True),
        (4, False),
    ]
    assert [event["name"] for event in events].count("bank.job.failed") == 1
    assert deployment.connection(kind) == ("ACTIVE", None)


@pytest.mark.parametrize("kind", PERMANENT)
async def test_a_permanent_error_is_not_retried(deployment: Deployment, member: Organisation, kind: str) -> None:
    """What can't pass fails the job at once; the connection says what has to be done, and by whom."""
    code, status, reason = PERMANENT[kind]
    await member.misbehave(f"consent-{kind}", kind=kind, endpoint=None if code == "reauth-required" else "accounts")
    job = await member.synced(kind)
    assert (job["state"], job["attemptsMade"]) == ("failed", 1)
    assert deployment.connection(kind) == (status, reason)
    events = await member.events(job["id"])
    [failure] = [event["data"] for event in events if event["name"] == "bank.sync.failed"]
    assert (failure["errorCode"], failure["attempt"], failure["willRetry"]) == (code, 1, False)
    asked = [event["data"] for event in events if event["name"] == "bank.connection.reauth_required"]
    assert [each["connectionId"] for each in asked] == ([kind] if status == "REQUIRES_REAUTH" else [])


async def test_a_retry_heals(deployment: Deployment, member: Organisation) -> None:
    """A bank that fails twice and then answers costs two attempts and no row."""
    await member.misbehave("consent-healed", kind="unavailable", endpoint="accounts", times=2)
    job = await member.synced("healed")
    assert (job["state"], job["attemptsMade"]) == ("completed", 2)
    served = await read_bank(deployment.bank_url, "consent-healed", job["result"]["window"]["since"])
    assert sorted(deployment.transactions("healed"), key=str) == served.rows


async def test_a_page_out_of_reach_is_fetched_later(deployment: Deployment, member: Organisation) -> None:
    """A page that fails is fetched by a retry of its account alone; the job's result is that of both runs."""
    await member.misbehave("consent-later", kind="unavailable", endpoint="transactions", page=2, account=0, times=1)
    job = await member.synced("later")
    served = await read_bank(deployment.bank_url, "consent-later", job["result"]["window"]["since"])
    result = job["result"]
    assert (job["state"], job["attemptsMade"], result["success"], result["partial"]) == ("completed", 1, True, False)
    assert (result["accountsSynced"], result["newTransactions"]) == (3, len(served.rows))
    assert job["progress"]["message"] == f"Sync completed: {len(served.rows)} new transactions"
    assert sorted(deployment.transactions("later"), key=str) == served.rows


async def test_the_banks_retry_after_replaces_a_shorter_wait(member: Organisation) -> None:
    """A 429 that asks for two seconds is given them, although the wait would be a tenth of one."""
    await member.misbehave("consent-patient", kind="rate-limit", endpoint="accounts", times=1, retry_after=2)
    job = await member.synced("patient")
    assert (job["state"], job["attemptsMade"]) == ("completed", 1)
    [wait] = waits_of(await member.events(job["id"]))
    assert 2 <= wait < 3.2


async def test_one_account_costs_the_others_nothing(deployment: Deployment, member: Organisation) -> None:
    """When one account is gone the others are imported; the result is partial and tells which."""
    await member.misbehave("consent-partial", kind="account-gone", account=1)
    job = await member.synced("partial")
    result = job["result"]
    assert (job["state"], result["success"], result["partial"], result["accountsSynced"]) == (
        "completed",
        False,
        True,
        2,
    )
    assert sorted(account["outcome"] for account in result["accounts"]) == ["failed", "synced", "synced"]
    assert len({row[0] for row in deployment.transactions("partial")}) == 2


async def test_a_suspicious_401_is_confirmed(deployment: Deployment, member: Organisation) -> None:
    """A bare 401 marks nobody while the bank says that the consent is valid."""
    await member.misbehave("consent-suspect", kind="bare-401", endpoint="accounts", times=1)
    job = await member.synced("suspect")
    assert deployment.connection("suspect") == ("ACTIVE", None)
    assert job["state"] == "completed"


async def test_a_connection_cut_while_its_job_waits(deployment: Deployment, member: Organisation) -> None:
    """A job whose connection is disconnected before it starts fails at once; a new one is refused."""
    operator = {"Authorization": "Bearer operator-token"}
    async with member.session.post(f"{deployment.host_url}/api/queue/pause", json={}, headers=operator) as answer:
        assert answer.status == 200
    job_id = await member.sync("cut-off")
    await asyncio.to_thread(deployment.bankimport, "connections", "disconnect", "cut-off", "--yes")
    async with member.session.post(f"{deployment.host_url}/api/queue/resume", json={}, headers=operator) as answer:
        assert answer.status == 200
    job = await member.ended(job_id)
    assert (job["state"], job["attemptsMade"]) == ("failed", 1)
    assert deployment.connection("cut-off") == ("DISCONNECTED", None)
    async with member.session.post(f"{member.url}/cut-off/sync", json={}) as answer:
        assert answer.status == 409


async def test_a_renewed_consent_goes_on(deployment: Deployment, member: Organisation) -> None:
    """After its consent ended a connection is refused; renewed, it is ACTIVE with the same accounts and rows."""
    first = await member.synced("renewed")
    accounts = deployment.query("SELECT id FROM bank_accounts WHERE connection_id = 'renewed' ORDER BY id")
    await member.misbehave("consent-renewed", kind="consent-expired")
    assert (await member.synced("renewed"))["state"] == "failed"
    assert deployment.connection("renewed") == ("REQUIRES_REAUTH", "expired")
    renewal = ("renewed", "--consent-id", "consent-renewed~2", "--valid-until", "2099-12-31")
    await asyncio.to_thread(deployment.bankimport, "connections", "renew", *renewal)
    again = await member.synced("renewed")
    assert (again["state"], again["result"]["newTransactions"]) == ("completed", 0)
    assert deployment.connection("renewed") == ("ACTIVE", None)
    assert deployment.query("SELECT id FROM bank_accounts WHERE connection_id = 'renewed' ORDER BY id") == accounts
    assert len(deployment.transactions("renewed")) == first["result"]["newTransactions"]
