"""A person presses refresh: a stock `arq` worker reads a real bank over HTTP, and the rows are in the database."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from arq import create_pool
from arq.connections import RedisSettings

from tests.acceptance.bank import read_balances, read_bank
from tests.acceptance.conftest import Deploy
from tests.acceptance.deployment import Deployment, Organisation
from tests.processes import ROOT, clean_environment
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def deployment(deploy: Deploy) -> Deployment:
    """A bank, the example host, a worker, and one connection: with the law's limit of unattended reads."""
    deployment = deploy(unattended_limit=4)
    deployment.add_connection("giro")
    return deployment


@pytest.fixture
async def job(member: Organisation) -> dict[str, Any]:
    """The job that the README's first `curl` asks for, followed to its end; the tests after the first are given the same
    connection's next sync, or none if there was one."""
    jobs = (await member.get("/jobs?connectionId=giro"))["jobs"]
    if jobs:
        return dict(jobs[-1])
    body = re.search(r"curl .*-X POST \$API/giro/sync .*-d '(.*)'", (ROOT / "README.md").read_text())
    assert body
    return await member.synced("giro", json.loads(body[1]))


async def test_every_row_is_what_the_bank_served(
    deployment: Deployment, member: Organisation, job: dict[str, Any]
) -> None:
    """Amount and sign, dates, currency and status of every row are the bank's, over three accounts of at least three
    pages each; nothing is missing and nothing is there twice."""
    assert job["state"] == "completed"
    served = await read_bank(deployment.bank_url, "consent-giro", job["result"]["window"]["since"])
    assert len(served.accounts) == 3
    assert all(pages >= 3 for pages in served.pages.values())
    assert {row[1] for row in served.rows} == {"booked", "pending"}
    assert sorted(deployment.transactions("giro"), key=str) == served.rows


async def test_the_record_tells_what_happened(job: dict[str, Any], deployment: Deployment) -> None:
    """The job's record has the fields of the contract, and its counts are the rows'."""
    assert {
        "id",
        "state",
        "progress",
        "data",
        "result",
        "attemptsMade",
        "queuedAt",
        "processedOn",
        "finishedOn",
    } <= set(job)
    assert job["progress"]["percent"] == 100
    assert job["progress"]["stage"] == "completed"
    assert job["data"]["triggeredBy"] == "maria"
    assert job["attemptsMade"] == 0
    result = job["result"]
    assert (result["success"], result["partial"], result["accountsSynced"]) == (True, False, 3)
    assert result["newTransactions"] == result["transactionsSynced"] == len(deployment.transactions("giro"))
    assert job["queuedAt"] <= job["processedOn"] <= job["finishedOn"]


async def test_balances_are_the_banks(deployment: Deployment, job: dict[str, Any]) -> None:
    """Each account has the balances that the bank told, to the cent; they fit the rows."""
    served = await read_balances(deployment.bank_url, "consent-giro")
    assert len(served) == 9
    stored = deployment.query(
        "SELECT a.iban, b.balance_type, b.amount, b.currency, b.reference_date FROM bank_balances b"
        " JOIN bank_accounts a ON a.id = b.account_id"
    )
    assert sorted(stored) == served
    assert job["result"]["balanceCheck"] == "ok"


async def test_the_connection_is_active(deployment: Deployment, job: dict[str, Any]) -> None:
    """After a success the connection is ACTIVE and tells when it was synced."""
    assert deployment.connection("giro") == ("ACTIVE", None)
    assert deployment.query("SELECT last_sync_at IS NOT NULL FROM bank_connections") == [(1,)]


async def test_a_second_sync_adds_no_row(deployment: Deployment, member: Organisation, job: dict[str, Any]) -> None:
    """The same answer imported again, partly and fully, changes nothing, down to the rows' ids."""
    before = deployment.query("SELECT * FROM bank_transactions ORDER BY id")
    for body in ({}, {"forceFullSync": True}):
        again = await member.synced("giro", body)
        assert again["state"] == "completed"
        assert again["result"]["transactionsSynced"] == 0
    assert deployment.query("SELECT * FROM bank_transactions ORDER BY id") == before


async def test_events_tell_the_story(member: Organisation, job: dict[str, Any]) -> None:
    """A job that ended can be read from its beginning: queued, started, synced, completed; in that order, each once."""
    names = [event["name"] for event in await member.events(job["id"])]
    assert names == ["bank.job.queued", "bank.job.started", "bank.sync.completed", "bank.job.completed"]


async def test_another_organisation_sees_nothing(member: Organisation, job: dict[str, Any]) -> None:
    """For another organisation job and connection don't exist; without its token its routes are forbidden."""
    globex = Organisation(member.session, member.deployment, "globex")
    headers = {"Authorization": "Bearer globex-token"}
    async with member.session.get(f"{globex.url}/jobs/{job['id']}", headers=headers) as answer:
        assert answer.status == 404
    async with member.session.post(f"{globex.url}/giro/sync", json={}, headers=headers) as answer:
        assert answer.status == 404
    async with member.session.get(f"{globex.url}/jobs") as answer:
        assert answer.status == 403


async def test_statistics_and_health(member: Organisation, job: dict[str, Any]) -> None:
    """The queue counts its jobs, and is healthy with a worker that lives."""
    stats = await member.get("/queue/stats")
    assert stats["completed"] >= 1
    assert stats["failed"] == stats["waiting"] == stats["active"] == 0
    health = await member.get("/queue/health")
    assert (health["isHealthy"], health["isPaused"], health["liveWorkers"]) == (True, False, 1)


async def test_a_job_of_plain_arq_runs_as_well(
    deployment: Deployment, member: Organisation, job: dict[str, Any]
) -> None:
    """What a host enqueues with arq alone, pickled, is adopted: it has a record, of the connection's organisation."""
    pool = await create_pool(RedisSettings.from_dsn(deployment.redis_url))
    asked = await pool.enqueue_job("sync-connection", connection_id="giro", _queue_name="bank-import")
    await pool.aclose()
    assert asked is not None

    async def adopted() -> bool:
        return asked.job_id in [each["id"] for each in (await member.get("/jobs"))["jobs"]]

    await wait_until(adopted, what="the job's record")
    ended = await member.ended(asked.job_id)
    assert (ended["state"], len(ended["result"]["accounts"]), ended["data"]["orgId"]) == ("completed", 3, "acme")


def test_arq_checks_it(deployment: Deployment) -> None:
    """`arq --check bankimport.WorkerSettings` tells a live worker from none."""
    command = [str(Path(sys.executable).parent / "arq"), "--check", "bankimport.WorkerSettings"]
    alive = clean_environment(**deployment.environment)
    none = {**alive, "BANK_SYNC_QUEUE_NAME": "nobody-serves-this"}
    answers = [subprocess.run(command, env=env, capture_output=True, timeout=120, check=False) for env in (alive, none)]
    assert [answer.returncode for answer in answers] == [0, 1]
