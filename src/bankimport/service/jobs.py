"""Looking at jobs, and doing something to one or to all that are meant."""

from bankimport.errors import InvalidRequest, NotFound
from bankimport.models import JobPage, JobStatus, JobType
from bankimport.queue.filters import JobFilter
from bankimport.service.audit import facts_of
from bankimport.service.bounds import bounded, unhurried
from bankimport.service.core import Core
from bankimport.status import JobState


class Jobs(Core):
    """Jobs by id or by filter; with `org_id`, another organisation's is not found."""

    @bounded
    async def get_job_status(self, job_id: str, org_id: str | None = None) -> JobStatus | None:
        """Return a job's record; None if there is no such job, or it is not `org_id`'s."""
        job = await self.queue.get(job_id)
        return job if job is not None and org_id in (None, job.org_id) else None

    @bounded
    async def list_jobs(
        self,
        org_id: str | None,
        *,
        state: JobState | None = None,
        connection_id: str | None = None,
        type: JobType | None = None,  # noqa: A002  # the contract's name
        error_code: str | None = None,
        bank: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> JobPage:
        """Return a page of an organisation's jobs, or of all (None), newest first; `limit` 1 to 200.

        Raises:
            InvalidRequest: the cursor or the limit is wrong, or a bank is named and not the state of failed jobs.
        """
        if not 1 <= limit <= 200:
            raise InvalidRequest("/limit", "must be 1 to 200")
        if bank is not None and state is not JobState.FAILED:
            raise InvalidRequest("/bank", "jobs are found by their bank once they have failed: name that state")
        wanted = JobFilter(
            org_id=org_id, state=state, connection_id=connection_id, type=type, error_code=error_code, bank=bank
        )
        return await self.queue.page(wanted, cursor=cursor, limit=limit)

    @bounded
    async def cancel_job(self, job_id: str, org_id: str | None = None) -> None:
        """Cancel a job: one that waits ends there; one that runs stops at its next step, a batch with its children.

        Raises:
            NotFound: no such job, or not `org_id`'s.
            IllegalTransition: it has ended.
        """
        owner = await self._owner(job_id, org_id)
        await self.queue.cancel(job_id)
        await self.audit.note("jobs.cancel", org_id=owner, subject=f"job:{job_id}")

    @bounded
    async def retry_job(self, job_id: str, org_id: str | None = None) -> None:
        """Try a failed job again, with all its retries.

        Raises:
            NotFound: no such job, or not `org_id`'s.
            IllegalTransition: it has not failed.
            Conflict: another job is doing the same.
        """
        owner = await self._owner(job_id, org_id)
        await self.queue.retry(job_id)
        await self.audit.note("jobs.retry", org_id=owner, subject=f"job:{job_id}")

    @unhurried
    async def retry_failed(
        self,
        org_id: str | None = None,
        *,
        type: JobType | None = None,  # noqa: A002  # the contract's name
        error_code: str | None = None,
    ) -> int:
        """Try all failed jobs again that match; return how many there are. What was cancelled is not among them."""
        return await self.retry_jobs(JobFilter(org_id=org_id, type=type, error_code=error_code))

    @unhurried
    async def retry_jobs(self, wanted: JobFilter) -> int:
        """Try all failed jobs again that a filter means; return how many there are.

        Raises:
            InvalidRequest: the filter names another state.
        """
        jobs = await self.queue.retry_failed(wanted)
        await self.audit.note("jobs.retry", **facts_of(wanted), jobs=jobs)
        return jobs

    @bounded
    async def discard_job(self, job_id: str) -> None:
        """Remove the record of a job that has ended, or cancel one that waits.

        Raises:
            NotFound: no such job.
            IllegalTransition: it runs: cancel it.
        """
        owner = await self._owner(job_id, None)
        await self.queue.discard_one(job_id)
        await self.audit.note("jobs.discard", org_id=owner, subject=f"job:{job_id}")

    @unhurried
    async def discard_jobs(self, wanted: JobFilter) -> int:
        """Remove the records of jobs that have ended (the failed ones unless a state is named), or cancel those that
        wait; return how many they are.

        Raises:
            InvalidRequest: jobs of that state can't be discarded.
        """
        jobs = await self.queue.discard(wanted)
        await self.audit.note("jobs.discard", **facts_of(wanted), jobs=jobs)
        return jobs

    @unhurried
    async def count_jobs(self, wanted: JobFilter) -> int:
        """Return how many jobs a filter means; counting ends at 10,000."""
        return await self.queue.count(wanted)

    async def _owner(self, job_id: str, org_id: str | None) -> str | None:
        job = await self.get_job_status(job_id, org_id)
        if job is None:
            raise NotFound("job")
        return job.org_id
