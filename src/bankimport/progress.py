"""How a job says how far it is, and what it may ask of its run. The queue implements it; jobs use it."""

from typing import Protocol

from bankimport.events import EventData
from bankimport.models import PsuContext, Stage


class JobRun(Protocol):
    """One run of a job, as the job sees it."""

    job_id: str
    org_id: str
    #: grows with every run of any job; goes with the store's writes
    fence: int
    #: the person who asks just now, if one does
    psu: PsuContext | None

    async def advance(
        self,
        stage: Stage,
        message: str,
        percent: int,
        *,
        accounts_processed: int | None = None,
        transactions_processed: int | None = None,
    ) -> None:
        """Tell how far the run is. Cheap to call often: writes are throttled, percent never falls.

        Raises:
            LeaseLost: the run is another worker's now.
            JobCancelled: somebody cancelled the job.
        """

    def ensure_owned(self) -> None:
        """Check, without I/O, that this run may still write; call it before each write of the store.

        Raises:
            LeaseLost: the lease ended without a renewal, or is another worker's.
            JobCancelled: somebody cancelled the job.
        """

    async def emit(self, event: EventData) -> None:
        """Put an event of the import into the stream (`bank.consents.expiring`, `bank.connection.reauth_required`)."""
