"""How a sync ends: what it notes of the connection, and whether its job is done, is retried or has failed."""

from collections.abc import Sequence
from typing import Final

from bankimport.access.consents import after_success
from bankimport.errors import JobError, Unsupported
from bankimport.jobs.results import AccountOutcome, DeferredRead, SyncResult, last_word, summed
from bankimport.jobs.retrying import bounded, if_failed
from bankimport.jobs.sync_account import AccountSync, Ground
from bankimport.models import Scope, Stage
from bankimport.ports import Asks
from bankimport.progress import IfFailed
from bankimport.retry import is_retryable

_NEVER_PLANNED: Final = (AccountOutcome.ATTENDED_ONLY, AccountOutcome.UNKNOWN)
_LOST: Final = (AccountOutcome.FAILED, AccountOutcome.UNKNOWN)


async def conclude(
    ground: Ground, syncs: Sequence[AccountSync], deferred: Sequence[DeferredRead] = (), *, rows: int = 0
) -> SyncResult:
    """Note what was done; raise if a retry may help, or if nothing could be imported; else return the result."""
    waiting = (*deferred, *(read for sync in syncs for read in sync.deferred))
    result = summed(ground.connection.id, tuple(sync.result for sync in syncs), waiting)
    await _note(ground, syncs, result)
    again = [error for sync in syncs if (error := sync.error) is not None and is_retryable(error)]
    if again:
        failed = {sync.result.account_id for sync in syncs if sync.error in again}
        stored = await ground.store.accounts(ground.connection.id)
        keys = [(account.stable_key, Scope.TRANSACTIONS) for account in stored if account.id in failed]
        ground.run.if_failed = await if_failed(ground.access, result, keys)
        unexpected = [error for error in again if not isinstance(error, JobError)]  # logged with its trace
        raise bounded((unexpected or again)[0], ground.access)
    if syncs and all(sync.result.outcome in _LOST for sync in syncs):
        ground.run.if_failed = IfFailed(result.model_dump(mode="json", exclude_none=True), retry_in=None)
        errors = [sync.error for sync in syncs if sync.error is not None]
        raise errors[0] if errors else Unsupported("the connection has none of the accounts asked for")
    await ground.run.advance(
        Stage.COMPLETED, last_word(result), 100, accounts_processed=len(syncs), transactions_processed=rows
    )
    return result


async def _note(ground: Ground, syncs: Sequence[AccountSync], result: SyncResult) -> None:
    """Note in the store when the connection was synced, and when the schedule asks next; what was deferred, not due or
    refused is neither a success nor a failure."""
    command, connection = ground.command, ground.connection
    chosen = command.account_ids is not None
    synced = result.accounts_synced > 0 or not (syncs or chosen or result.deferred)
    if not synced and all(sync.error is None for sync in syncs):
        return
    ground.run.ensure_owned()
    waits = [sync.next_at for sync in syncs if sync.result.outcome not in _NEVER_PLANNED]
    unsure = None in waits or (synced and (chosen or ground.access.asks is Asks.DAYS))  # the next tick comes to see
    next_at = None if unsure else min((at for at in waits if at is not None), default=None)
    await ground.store.note_sync(connection.id, ground.clock() if synced else None, next_at)
    standing = after_success(connection) if synced else None
    if standing is not None:
        await ground.store.set_connection_status(connection.id, (connection.status,), standing.status, standing.reason)
