"""What docs/how-to/run-your-own-jobs.md shows is a worker that does what the page says."""

import re

import pytest
from arq.connections import ArqRedis

from bankimport.settings import Settings
from tests.acceptance.conftest import Deploy
from tests.acceptance.deployment import Deployment, Organisation
from tests.processes import ROOT


@pytest.fixture
def deployment(deploy: Deploy) -> Deployment:
    """A bank and a host, without a worker yet, and one connection."""
    deployment = deploy(worker=False)
    deployment.insert_connection("giro")
    return deployment


async def test_jobs_of_a_hosts_own_beside_an_import(deployment: Deployment, member: Organisation) -> None:
    """Its function is tried again and ends, its cron job is due, and a sync runs beside them."""
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/how-to/run-your-own-jobs.md").read_text(), re.DOTALL)
    (deployment.processes.directory / "jobs.py").write_text(code.replace("second={0, 30}", "second=set(range(60))"))
    worker = deployment.processes.worker(deployment.environment, "jobs.WorkerSettings")
    assert "slots=20" in await worker.line("worker.started")
    redis = ArqRedis.from_url(deployment.redis_url)
    assert await redis.enqueue_job("remind", "Anna", _queue_name=Settings.load().queue_name) is not None
    assert await worker.line("dear Anna, this was try 2")
    assert await worker.line("tidy")
    job = await member.synced("giro")
    assert (job["state"], job["result"]["success"]) == ("completed", True)
    await redis.aclose()
    assert worker.stop() == 0
