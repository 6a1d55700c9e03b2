"""Asking for imports: of one connection, or of an organisation's."""

from collections.abc import Sequence
from datetime import date

import structlog
from pydantic import ValidationError

from bankimport.commands import SyncAllOrg, SyncConnection
from bankimport.errors import NotFound
from bankimport.models import PsuContext
from bankimport.queue.queue import Enqueue
from bankimport.service.bounds import bounded
from bankimport.service.checks import check_period, check_usable, invalid
from bankimport.service.core import Core
from bankimport.telemetry import trace_parent

_log = structlog.get_logger(__name__)


class Syncs(Core):
    """What is asked for is decided here, and done by a worker."""

    @bounded
    async def schedule_immediate_sync(
        self,
        connection_id: str,
        *,
        org_id: str | None = None,
        force_full_sync: bool = False,
        account_ids: Sequence[str] | None = None,
        start_date: date | None = None,
        end_date: date | None = None,
        triggered_by: str | None = None,
        psu: PsuContext | None = None,
    ) -> str:
        """Ask for the import of one connection now; return the job's id.

        While the same question is being answered its job's id is returned. `psu` is the person who asks, if one does:
        then banks don't count the access (RTS (EU) 2018/389 Art. 36(5)(b)).

        Raises:
            NotFound: no such connection, or not of `org_id`.
            ConnectionUnusable: it is disconnected, or its consent has ended.
            InvalidRequest: a field is wrong.
            TooManyPending: the organisation has `BANK_SYNC_ORG_MAX_PENDING` unfinished jobs.
            Unavailable: Redis or the store can't be reached.
        """
        connection = await self.connections.get(connection_id, org_id=org_id)
        if connection is None:
            raise NotFound("connection")
        check_usable(connection, self._clock())
        check_period(start_date, end_date, self._clock())
        try:
            command = SyncConnection(
                org_id=connection.org_id,
                connection_id=connection.id,
                force_full_sync=force_full_sync,
                account_ids=tuple(account_ids) if account_ids is not None else None,
                start_date=start_date,
                end_date=end_date,
                triggered_by=triggered_by,
                trace_parent=trace_parent(),
            )
        except ValidationError as error:
            raise invalid(error) from None
        return await self._enqueue(Enqueue(command, psu=psu, limit=self.settings.org_max_pending))

    @bounded
    async def schedule_org_sync(
        self,
        org_id: str,
        *,
        connection_ids: Sequence[str] | None = None,
        triggered_by: str | None = None,
    ) -> str:
        """Ask for the import of an organisation's syncable connections, or of those named; return the batch's id.

        Raises:
            NotFound: one of the connections is not the organisation's.
            InvalidRequest, TooManyPending, Unavailable: as for one connection.
        """
        if connection_ids:
            await self.connections.owned(org_id, connection_ids)
        ids = tuple(connection_ids) if connection_ids is not None else None
        try:
            command = SyncAllOrg(
                org_id=org_id, connection_ids=ids, triggered_by=triggered_by, trace_parent=trace_parent()
            )
        except ValidationError as error:
            raise invalid(error) from None
        return await self._enqueue(Enqueue(command, limit=self.settings.org_max_pending))

    async def _enqueue(self, wanted: Enqueue) -> str:
        job_id = await self.queue.enqueue(wanted)
        command = wanted.command
        _log.info("job.scheduled", job_id=job_id, job_type=command.type.value, org_id=command.org_id)
        return job_id
