"""An organisation is erased: its accesses are withdrawn, its jobs stopped, its data removed, and a report made."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from bankimport.errors import BankImportError, NotOffered
from bankimport.models import BankConnection, ErasureReport, NotRevoked
from bankimport.ports import BankStore, ErasingStore
from bankimport.service.banking import Banking
from bankimport.service.bounds import unhurried
from bankimport.service.core import Core
from bankimport.service.purging import Erasing
from bankimport.status import ConnectionStatus

#: a run stops at its next step, which may be the end of a request to a slow bank
_PATIENCE: Final = timedelta(seconds=60)
_LEFT: Final = (
    "backups and replicas of the database and of Redis, until they are overwritten",
    "lines of your logs from before, until they are rotated",
    "PostgreSQL's dead rows, until VACUUM has removed them",
)


class Erasure:
    """Erases organisations. Nothing here says in a log whose data it was."""

    def __init__(self, banking: Banking, queue: Erasing) -> None:
        self._banking, self._queue = banking, queue

    async def erase(self, org_id: str, *, legal_hold: bool) -> ErasureReport:
        """See `erase_organisation`."""
        store = self._banking.store
        if not isinstance(store, ErasingStore):
            raise NotOffered(type(store).__name__, "erase organisations")
        async with self._queue.turn():
            connections = await self._banking.within(store.connections(org_id))
            await self._cut(store, connections)
            jobs = await self._queue.stop(org_id, _PATIENCE)
            refused = [each for each in [await self._tell_bank(one) for one in connections] if each is not None]
            purged = await self._queue.purge(org_id, [each.id for each in connections])
            entries = await store.erase_organisation(org_id, keep_rows=legal_hold)
            rewritten = await self._queue.rewrite_disk()
        report = ErasureReport(
            at=self._banking.clock(),
            legal_hold=legal_hold,
            revoked=sum(each.consent_id is not None for each in connections) - len(refused),
            not_revoked=tuple(refused),
            jobs=max(jobs, purged.jobs),
            events=purged.events,
            keys=purged.keys,
            entries=entries,
            disk_rewritten=rewritten,
            left=_LEFT,
        )
        await self._note(org_id, report)
        return report

    @staticmethod
    async def _cut(store: BankStore, connections: Sequence[BankConnection]) -> None:
        """See that nothing of it is read from now on, whatever happens next."""
        for each in connections:
            await store.set_connection_status(each.id, tuple(ConnectionStatus), ConnectionStatus.DISCONNECTED, None)

    async def _tell_bank(self, connection: BankConnection) -> NotRevoked | None:
        """Withdraw an access at its bank. A bank that is away holds up nobody's erasure."""
        if connection.consent_id is None:
            return None
        try:
            flow = self._banking.flow(connection.bank)
            await self._banking.asked(flow.revoke(connection))
        except BankImportError as error:
            return NotRevoked(bank=connection.bank, error_code=error.code)
        return None

    async def _note(self, org_id: str, report: ErasureReport) -> None:
        """Keep that it was done, by a digest of the organisation's id: who knows the id can prove it, and nobody else
        learns it."""
        digest = hashlib.sha256(org_id.encode()).hexdigest()[:16]
        await self._banking.audit.note(
            "organisation.erase",
            subject=f"organisation-digest:{digest}",
            legal_hold=report.legal_hold,
            not_revoked=len(report.not_revoked),
            rows=report.entries.get("transactions", 0),
        )


class Erasures(Core):
    """What a host asks when a customer leaves."""

    @unhurried
    async def erase_organisation(self, org_id: str, *, legal_hold: bool = False) -> ErasureReport:
        """Erase an organisation: withdraw its accesses at the banks, stop its jobs, remove what is kept of it in the
        store and in Redis; return what was removed, and what only you can remove.

        Stop asking for syncs of it first. It may be called again, and must be where it raises: it goes on. Under a
        legal hold accounts, rows, balances and what people did stay, unread by anybody, until you call it without.

        Raises:
            Conflict: a run of it does not stop, or another organisation is being erased.
            NotOffered: the store can't; `SqlStore` can.
            Unavailable, StoreUnavailable
        """
        return await Erasure(self.connections.banking, Erasing(self.queue)).erase(org_id, legal_hold=legal_hold)
