"""Stopping all jobs of one connection: its access was withdrawn."""

from contextlib import suppress

from bankimport.errors import IllegalTransition, NotFound
from bankimport.queue.filters import JobFilter
from bankimport.queue.queue import Queue
from bankimport.status import JobState


async def stop_jobs(queue: Queue, org_id: str, connection_id: str, *, but: str = "") -> None:
    """Cancel the jobs of a connection that wait, at once, and those that run, at their next step; but for one."""
    for state in (JobState.WAITING, JobState.DELAYED, JobState.ACTIVE):
        page = await queue.page(JobFilter(org_id=org_id, state=state, connection_id=connection_id), limit=200)
        for job in page.jobs:
            if job.id != but:
                with suppress(IllegalTransition, NotFound):  # it has ended meanwhile
                    await queue.cancel(job.id)
