"""What each job type does: the plain functions of `bankimport.jobs`, given their ports, and their outcome."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from bankimport.access.budget import TICK
from bankimport.access.consents import REVOKED
from bankimport.commands import Command, PlanSyncs, RefreshConsents, SyncAllOrg, SyncConnection
from bankimport.errors import ReauthRequired
from bankimport.events import SyncCompleted
from bankimport.jobs import DEFERRED, SyncResult, refresh_consents, sync_all_org, sync_connection
from bankimport.models import BankConnection, JobType, Stage
from bankimport.ports import AccessLedger, Banks, BankStore, Clock, JobNotes
from bankimport.progress import JobRun
from bankimport.queue.filters import JobFilter
from bankimport.queue.queue import Enqueue, Queue
from bankimport.queue.run import Run
from bankimport.worker.outcome import CountsAs, Handlers, Outcome, PlanOrganisations


@dataclass(frozen=True, slots=True)
class Ports:
    """What the jobs work with."""

    banks: Banks
    store: BankStore
    ledger: AccessLedger
    notes: JobNotes
    clock: Clock


class JobHandlers:
    """The handlers of one worker."""

    def __init__(self, queue: Queue, ports: Ports, plan: PlanOrganisations) -> None:
        self._queue = queue
        self._ports = ports
        self._plan = plan

    def all(self) -> Handlers:
        """Return the handler of every job type."""
        return {
            JobType.SYNC_CONNECTION: self._sync_connection,
            JobType.SYNC_ALL_ORG: self._sync_all_org,
            JobType.REFRESH_CONSENTS: self._refresh_consents,
            JobType.CLEANUP: self._cleanup,
            JobType.PLAN_SYNCS: self._plan_syncs,
        }

    async def _sync_connection(self, command: Command, run: Run) -> Outcome:
        asked = cast(SyncConnection, command)
        try:
            return await self._synced(asked, run)
        except ReauthRequired as error:
            if error.reason == REVOKED:  # whatever waits would be refused as well
                wanted = JobFilter(org_id=run.org_id, connection_id=asked.connection_id)
                await self._queue.cancel_all(wanted, but=run.job_id)
            raise

    async def _synced(self, asked: SyncConnection, run: Run) -> Outcome:
        ports = self._ports
        result = await sync_connection(
            asked,
            run,
            banks=ports.banks,
            store=ports.store,
            ledger=ports.ledger,
            clock=ports.clock,
            notes=ports.notes,
        )
        counts = {"accountsSynced": result.accounts_synced, "transactionsSynced": result.transactions_synced}
        event = SyncCompleted(
            connection_id=asked.connection_id,
            accounts_synced=result.accounts_synced,
            transactions_synced=result.transactions_synced,
            timestamp=ports.clock(),
        )
        return Outcome(
            result=result.model_dump(mode="json", exclude_none=True),
            counts=counts,
            counts_as=_counts_as(result),
            events=[event],
            follow_ups=_follow_ups(asked, run, result, ports.clock()),
        )

    async def _sync_all_org(self, command: Command, run: Run) -> Outcome:
        await run.advance(Stage.STARTING, "listing the connections", 0)
        children = await sync_all_org(cast(SyncAllOrg, command), run, store=self._ports.store, clock=self._ports.clock)
        return Outcome(children=children)

    async def _refresh_consents(self, command: Command, run: Run) -> Outcome:
        ports = self._ports
        result = await refresh_consents(
            cast(RefreshConsents, command),
            run,
            banks=ports.banks,
            store=ports.store,
            ledger=ports.ledger,
            clock=ports.clock,
            warning=self._queue.settings.consent_warning,
            stop=self._stop,
        )
        return Outcome(result=result.model_dump(mode="json", exclude_none=True))

    async def _stop(self, connection: BankConnection) -> None:
        await self._queue.cancel_all(JobFilter(org_id=connection.org_id, connection_id=connection.id))

    async def _cleanup(self, command: Command, run: Run) -> Outcome:
        """Remove the records whose time is over, a slice at a time."""
        removed = 0
        async for slice_ in self._queue.clean():
            run.ensure_owned()
            removed += slice_
        return Outcome(result={"removed": removed})

    async def _plan_syncs(self, command: Command, run: Run) -> Outcome:
        planned = await self._plan(cast(PlanSyncs, command), cast(JobRun, run))
        return Outcome(result={"organisations": planned})


def _counts_as(result: SyncResult) -> CountsAs:
    """Return what a sync is in its batch: nothing that was deferred or not due is called synced (design §5)."""
    if not result.success:
        return "bad"
    return "deferred" if result.deferred and not result.accounts_synced else "ok"


def _follow_ups(command: SyncConnection, run: Run, result: SyncResult, now: datetime) -> list[Enqueue]:
    """Return the sync that comes back when a deferred read is allowed, for the accounts that wait. The schedule's own
    ticks come anyway, so a tick comes back only for a read that is allowed before the next. What comes back goes on
    waiting only for accounts whose time had not come: one that the bank refused once more is left to the ticks, or a
    single wish would ask for ever."""
    waiting = [deferred for deferred in result.deferred if deferred.until > now]
    if command.triggered_by == DEFERRED:
        untried = {account.account_id for account in result.accounts if account.window is None}
        waiting = [deferred for deferred in waiting if deferred.account_id in untried]
    elif command.scheduled:
        soon = [deferred.until for deferred in waiting if deferred.until - now < TICK]
        return [Enqueue(command, due=min(soon))] if soon else []
    if not waiting:
        return []
    ids = {deferred.account_id for deferred in waiting if deferred.account_id is not None}
    all_wait = len(ids) in (0, len(result.accounts))
    again = command.model_copy(
        update={
            "scheduled": True,
            "triggered_by": DEFERRED,
            "org_id": run.org_id,
            "account_ids": command.account_ids if all_wait else tuple(sorted(ids)),
        }
    )
    return [Enqueue(again, due=min(deferred.until for deferred in waiting))]
