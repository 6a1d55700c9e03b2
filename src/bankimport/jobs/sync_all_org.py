"""The `sync-all-org` job: which connections of an organisation are to be synced; the queue makes a batch of it."""

from collections.abc import Sequence

from bankimport.access.consents import is_syncable
from bankimport.commands import SyncAllOrg, SyncConnection
from bankimport.errors import ConnectionDisconnected, UnknownConnection
from bankimport.models import BankConnection
from bankimport.ports import BankStore, Clock
from bankimport.progress import JobRun
from bankimport.status import ConnectionStatus


async def sync_all_org(command: SyncAllOrg, run: JobRun, *, store: BankStore, clock: Clock) -> Sequence[SyncConnection]:
    """Return a `sync-connection` for each syncable connection of the organisation, or for each of those named.

    Raises:
        UnknownConnection: one that was named doesn't exist, or is another organisation's; which is not said.
        ConnectionDisconnected: one that was named has been cut by its user.
    """
    run.ensure_owned()
    connections = await store.connections(command.org_id)
    if command.connection_ids is None:
        today = clock().date()
        chosen = [connection for connection in connections if is_syncable(connection, today)]
    else:
        chosen = _named(connections, command.connection_ids)
    return [
        SyncConnection(
            org_id=command.org_id,
            connection_id=connection.id,
            triggered_by=command.triggered_by,
            trace_parent=command.trace_parent,
            scheduled=command.scheduled,
        )
        for connection in chosen
    ]


def _named(connections: Sequence[BankConnection], ids: Sequence[str]) -> list[BankConnection]:
    by_id = {connection.id: connection for connection in connections}
    for connection_id in ids:
        connection = by_id.get(connection_id)
        if connection is None:
            raise UnknownConnection(connection_id)
        if connection.status is ConnectionStatus.DISCONNECTED:
            raise ConnectionDisconnected(connection_id)
    return [by_id[connection_id] for connection_id in dict.fromkeys(ids)]
