"""Functions and cron jobs of a host's own, beside ours in the same worker, are run as arq would run them."""

from collections import Counter

from arq.connections import ArqRedis

from bankimport.models import JobStatus
from bankimport.status import JobState
from tests.faults.field import Field
from tests.waiting import wait_until

HOST = "tests.queue.host_lab.WorkerSettings"


async def _marks(field: Field) -> list[str]:
    return [row.decode() for row in await field.redis.lrange("lab:host", 0, -1)]


async def test_timeouts_tries_and_cron_jobs(field: Field) -> None:
    """A timeout is final, after one run; `max_tries` is honoured and `job_try` counts them; a cron job runs once a due
    time over both workers; and no worker ends."""
    workers = [field.processes.worker(field.environment(), HOST) for _ in range(2)]
    for worker in workers:
        await worker.line("worker.started")
    stranger = ArqRedis(field.redis.connection_pool, default_queue_name=field.settings.queue_name)
    jobs = {}
    for function in ("slow", "again"):
        job = await stranger.enqueue_job(function)
        assert job is not None
        jobs[function] = job.job_id

    async def ended(job_id: str) -> JobStatus | None:
        status = await field.queue.get(job_id)
        return status if status is not None and status.state.is_terminal else None

    found = {name: await wait_until(lambda job_id=job_id: ended(job_id)) for name, job_id in jobs.items()}
    assert {name: (job.state, job.error_code) for name, job in found.items() if job} == {
        "slow": (JobState.FAILED, "timeout"),
        "again": (JobState.FAILED, "max-tries"),
    }

    async def ticked() -> bool:
        return (await _marks(field)).count("tick 1") >= 3

    await wait_until(ticked, what="three ticks")
    marks = Counter(await _marks(field))
    assert (marks["slow 1"], marks["again 1"], marks["again 2"], marks["again 3"]) == (1, 1, 1, 1)
    starts = [job_id for name, job_id in await field.events("bank.job.started") if job_id.startswith("cron:")]
    assert len(starts) == len(set(starts)), "each due time once"
    assert not any(worker.ended for worker in workers)
    await field.redis.delete("lab:host")
