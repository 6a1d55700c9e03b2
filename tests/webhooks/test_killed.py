"""Real workers and SIGKILL: between the commit and the webhook, and while the receiver thinks."""

import asyncio
from pathlib import Path

import pytest

from bankimport.models import WebhookEndpoint, WebhookSecrets
from bankimport.stores import SqlStore
from bankimport.webhooks import new_secret
from tests.acceptance.conftest import Deploy, deploy, member, session
from tests.acceptance.deployment import Deployment, Organisation
from tests.waiting import wait_until
from tests.webhooks.receiver import Receiver, receiving

__all__ = ["deploy", "member", "session"]

#: short, so that what a killed worker had claimed is free soon
QUICK = {"BANK_SYNC_LEASE_MS": "2000", "BANK_SYNC_RETRY_DELAY_SCALE": "0.02", "BANK_SYNC_WEBHOOK_TIMEOUT_MS": "1000"}


@pytest.fixture
def deployment(deploy: Deploy) -> Deployment:
    """A bank, a host and a connection; no worker yet."""
    deployment = deploy(worker=False, **QUICK)
    deployment.insert_connection("giro")
    return deployment


async def told(deployment: Deployment, receiver: Receiver) -> None:
    """Let the receiver be told of everything."""
    from datetime import UTC, datetime

    secret = new_secret()
    receiver.secrets.append(secret)
    store = SqlStore(deployment.environment["BANK_SYNC_DATABASE_URL"], environment="development")
    endpoint = WebhookEndpoint(id="hook", url=receiver.url, created_at=datetime.now(UTC))
    await store.add_webhook_endpoint(endpoint, WebhookSecrets(secret))
    await store.aclose()


def rows_told(receiver: Receiver) -> int:
    """Return how many new rows were told of, each message counted once."""
    once = dict(receiver.heard)
    return sum(message["data"].get("newTransactions", 0) for message in once.values())


def order_of(deployment: Deployment) -> list[str]:
    """Return the ids of all messages in the order of their commits."""
    return [row[0] for row in deployment.query("SELECT id FROM bank_webhook_deliveries ORDER BY position")]


async def test_killed_between_the_commit_and_the_webhook(
    deployment: Deployment, member: Organisation, tmp_path: Path
) -> None:
    """The rows are there, and their worker is dead before it could tell; the next one tells of them, and of each row
    once, in order, verifiably."""
    died = tmp_path / "died"
    async with receiving() as receiver:
        await told(deployment, receiver)
        dying = {"BANK_SYNC_APP": "tests.webhooks.host_that_dies:bank_import", "HOST_DIED": str(died)}
        victim = deployment.start_worker(**dying)
        job_id = await member.sync("giro")
        await wait_until(lambda: victim.ended, what="the worker is dead")
        committed = deployment.query("SELECT count(*) FROM bank_transactions")[0][0]
        assert died.exists()
        assert committed > 0
        assert receiver.heard == []
        deployment.start_worker()
        await member.ended(job_id)
        await wait_until(lambda: set(receiver.ids()) == set(order_of(deployment)), what="all was heard")
        stored = deployment.query("SELECT count(*) FROM bank_transactions")[0][0]
        assert rows_told(receiver) == stored
        assert list(dict.fromkeys(receiver.ids())) == order_of(deployment)


async def test_killed_while_the_receiver_thinks(deployment: Deployment, member: Organisation) -> None:
    """Nobody knows whether it was taken, so it is sent again, with the id that it had."""
    async with receiving() as receiver:
        await told(deployment, receiver)
        receiver.hold = asyncio.Event()
        victim = deployment.start_worker(BANK_SYNC_WEBHOOK_TIMEOUT_MS="60000")
        job_id = await member.sync("giro")
        await member.ended(job_id)
        await wait_until(lambda: len(receiver.heard) == 1, what="the first message")
        deployment.write("UPDATE bank_webhook_lanes SET claimed_until = datetime('now')")  # a minute has gone by
        victim.kill()
        receiver.hold.set()
        deployment.start_worker()
        await wait_until(lambda: set(receiver.ids()) == set(order_of(deployment)), what="all was heard")
        first = receiver.ids()[0]
        assert receiver.ids().count(first) == 2
        assert list(dict.fromkeys(receiver.ids())) == order_of(deployment)
        assert rows_told(receiver) == deployment.query("SELECT count(*) FROM bank_transactions")[0][0]


async def test_a_receiver_that_comes_late(deployment: Deployment, member: Organisation) -> None:
    """Nobody listens while the import goes on; an hour of back-off later (here a little more than a minute's fiftieth)
    all is heard, in order. The worker says so in its log, without the address."""
    async with receiving() as receiver:
        url = receiver.url
        await told(deployment, receiver)
        secret = receiver.secrets[-1]
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    worker = deployment.start_worker()
    await member.ended(await member.sync("giro"))
    await worker.line("webhook.refused")
    assert f":{port}" not in worker.output()
    async with receiving(port) as back:
        back.secrets.append(secret)
        await wait_until(lambda: set(back.ids()) == set(order_of(deployment)), what="all was heard")
        assert list(dict.fromkeys(back.ids())) == order_of(deployment)
        assert rows_told(back) == deployment.query("SELECT count(*) FROM bank_transactions")[0][0]
