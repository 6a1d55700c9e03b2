"""A deploy in the middle of a sync: SIGTERM to the stock `arq` worker."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.acceptance.bank import read_bank
from tests.acceptance.conftest import Deploy
from tests.acceptance.deployment import Deployment, Organisation
from tests.processes import Running
from tests.soak import SOAK
from tests.waiting import wait_until

LEASE = timedelta(seconds=2)
#: a host's subclass; arq's own wait for running jobs is 30 s, here it is a moment
IMPATIENT = """
import bankimport

class WorkerSettings(bankimport.WorkerSettings):
    job_completion_wait = 1
"""

#: a host's subclass that tells at the end of its process what it did with the collector of reference cycles
TELLING = """
import atexit, gc
import bankimport

class WorkerSettings(bankimport.WorkerSettings):
    pass

atexit.register(lambda: print("frozen", gc.get_freeze_count() > 10_000, gc.get_threshold(), flush=True))
"""

#: a host's subclass whose pool swallows the first cancel of arq's main task, as `wait_for` of Python 3.11 may
SWALLOWING = """
import asyncio, contextlib
import bankimport

class WorkerSettings(bankimport.WorkerSettings):
    pass

async def zcard(self, name):
    print("counting", flush=True)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(3600)
    return 0

type(WorkerSettings.redis_pool).zcard = zcard
"""


@pytest.fixture
def deployment(deploy: Deploy) -> Deployment:
    """A bank and a host, without a worker yet, and one connection."""
    deployment = deploy(worker=False)
    deployment.insert_connection("giro")
    (deployment.processes.directory / "impatient.py").write_text(IMPATIENT)
    (deployment.processes.directory / "telling.py").write_text(TELLING)
    (deployment.processes.directory / "swallowing.py").write_text(SWALLOWING)
    return deployment


async def in_the_middle(deployment: Deployment) -> None:
    """Wait until the first account's rows are there: the sync is at its second."""
    await wait_until(lambda: deployment.transactions("giro"), what="the first account's rows")


async def started(
    deployment: Deployment, settings: str = "bankimport.WorkerSettings", lease: timedelta = timedelta(seconds=15)
) -> Running:
    """Start a worker and wait until it serves."""
    milliseconds = str(int(lease / timedelta(milliseconds=1)))
    worker = deployment.processes.worker({**deployment.environment, "BANK_SYNC_LEASE_MS": milliseconds}, settings)
    await worker.line("worker.started")
    return worker


async def test_a_worker_calms_the_collector_of_its_process(deployment: Deployment) -> None:
    """What it has loaded isn't searched for cycles again, and what it makes more rarely."""
    worker = await started(deployment, "telling.WorkerSettings")
    assert worker.stop() == 0
    assert (await worker.line("frozen")).strip() == "frozen True (50000, 20, 100)"


async def test_a_cancel_of_arqs_own_that_is_swallowed_is_not_lost(deployment: Deployment) -> None:
    """arq cancels its main task once. Red before: where redis-py swallowed that, the worker never ended."""
    worker = await started(deployment, "swallowing.WorkerSettings")
    await worker.line("counting")
    assert worker.stop(20) == 0


async def test_a_running_sync_is_finished(deployment: Deployment, member: Organisation) -> None:
    """A worker that is told to end lets its running sync finish first, and ends with 0."""
    await member.misbehave("consent-giro", kind="slow", seconds=0.1)
    worker = await started(deployment)
    job_id = await member.sync("giro")
    await in_the_middle(deployment)
    assert worker.stop() == 0
    job = await member.get(f"/jobs/{job_id}")
    assert (job["state"], job["attemptsMade"]) == ("completed", 0)
    await member.behave("consent-giro")
    served = await read_bank(deployment.bank_url, "consent-giro", job["result"]["window"]["since"])
    assert sorted(deployment.transactions("giro"), key=str) == served.rows


async def test_a_sync_that_takes_too_long_is_given_back(deployment: Deployment, member: Organisation) -> None:
    """A sync that doesn't end in time waits again, with no attempt counted and the rows it has; the next worker completes
    it, with no row twice. (The wait is shortened by a subclass of the settings, which arq takes as well.)"""
    await member.misbehave("consent-giro", kind="slow", seconds=60, account=1, endpoint="transactions")
    worker = await started(deployment, "impatient.WorkerSettings")
    job_id = await member.sync("giro")
    await in_the_middle(deployment)
    assert worker.stop(20) == 0
    job = await member.get(f"/jobs/{job_id}")
    assert (job["state"], job["attemptsMade"]) == ("waiting", 0)
    assert len({row[0] for row in deployment.transactions("giro")}) == 1

    await member.behave("consent-giro")
    await started(deployment)
    job = await member.ended(job_id)
    assert (job["state"], job["attemptsMade"], job["result"]["partial"]) == ("completed", 0, False)
    served = await read_bank(deployment.bank_url, "consent-giro", job["result"]["window"]["since"])
    assert sorted(deployment.transactions("giro"), key=str) == served.rows
    names = [event["name"] for event in await member.events(job_id)]
    assert names.count("bank.job.started") == 2
    assert names[-1] == "bank.job.completed"
    assert "bank.sync.failed" not in names


@pytest.mark.parametrize("turn", range(20 if SOAK else 1))
async def test_a_killed_worker_costs_no_row(deployment: Deployment, member: Organisation, turn: int) -> None:
    """SIGKILL in the middle of a sync: another worker runs it within the lease and five seconds, with no row twice."""
    await member.misbehave("consent-giro", kind="slow", seconds=0.1 + turn / 100)
    victim = await started(deployment, lease=LEASE)
    job_id = await member.sync("giro")
    await in_the_middle(deployment)
    died = datetime.now(UTC)
    victim.kill()
    await started(deployment, lease=LEASE)
    job = await member.ended(job_id)
    assert (job["state"], job["attemptsMade"], job["result"]["partial"]) == ("completed", 0, False)
    await member.behave("consent-giro")
    since = died.date() - timedelta(days=90)  # the first run's; the second reads on where the first came to
    served = await read_bank(deployment.bank_url, "consent-giro", since.isoformat())
    assert sorted(deployment.transactions("giro"), key=str) == served.rows

    events = await member.events(job_id)
    began = [datetime.fromisoformat(e["timestamp"]) for e in events if e["name"] == "bank.job.started"]
    assert [event["name"] for event in events].count("bank.job.stalled") == 1, "it died in the middle"
    assert len(began) == 2
    assert began[1] - died < LEASE + timedelta(seconds=5)
