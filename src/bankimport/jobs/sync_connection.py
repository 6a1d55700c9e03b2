"""The `sync-connection` job: import every account of one connection."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bankimport.commands import SyncConnection
from bankimport.errors import (
    ConnectionDisconnected,
    CredentialError,
    JobError,
    MalformedData,
    PeriodRejected,
    Permanent,
    RateLimited,
    ReauthRequired,
    Retryable,
    RunInterrupted,
    Transient,
    UnattendedRefused,
    UnknownConnection,
    Unsupported,
)
from bankimport.imports import attended
from bankimport.imports.consents import after_success
from bankimport.jobs.access import Access
from bankimport.jobs.refusals import confirmed, is_renewed, mark_reauth, with_valid_consent
from bankimport.jobs.results import AccountOutcome, AccountResult, DeferredRead, SyncResult, summed
from bankimport.jobs.sync_account import AccountSync, Ground, failure, sync_account
from bankimport.models import BankAccount, BankConnection, Scope, Stage
from bankimport.ports import AccessLedger, BankProvider, Banks, BankStore, Clock
from bankimport.progress import JobRun
from bankimport.status import ConnectionStatus

#: Who triggers the sync that comes back for a deferred read: it was asked for, so no planned distance is kept.
DEFERRED: Final = "deferred read"
#: A bank that lists more for one connection is not believed: each is an outcome in the job's record.
MAX_ACCOUNTS: Final = 1000
_S: Final = ConnectionStatus


async def sync_connection(
    command: SyncConnection, run: JobRun, *, banks: Banks, store: BankStore, ledger: AccessLedger, clock: Clock
) -> SyncResult:
    """Read the connection's accounts, then each account's rows and balances; one account's failure costs no other.

    A planned sync before its time asks nothing of the bank. The connection's status follows the outcome (design §5).

    Raises:
        UnknownConnection, ConnectionDisconnected: there is nothing to sync.
        ReauthRequired: the person has to authorise again; the connection says so.
        CredentialError: our own key or certificate is refused; no connection is marked.
        UnattendedRefused: the bank answers only while the person is present (a planned sync just does nothing).
        Retryable: nothing could be imported now, but a retry may.
        Permanent: nothing could be imported, and a retry can't help; the connection is in `ERROR`, unless what was
            asked for isn't there.
    """
    connection = await _connection(command, store)
    planned = _is_planned(command, run, clock)
    if planned and connection.next_sync_at is not None and clock() < connection.next_sync_at:
        await run.advance(Stage.COMPLETED, "Nothing is due yet", 100)
        return summed(connection.id, (), ())
    try:
        provider = banks.get(connection.bank)
        if provider is None:
            raise Unsupported(f"no bank named {connection.bank!r} is configured")
        return await _sync(command, run, connection, provider, store, ledger, clock, planned=planned)
    except UnattendedRefused:
        if not planned:
            raise
        await run.advance(Stage.COMPLETED, "The bank answers only while the person is present", 100)
        return summed(connection.id, (), ())
    except CredentialError:
        raise
    except ReauthRequired as error:
        if await is_renewed(connection, store):
            raise Transient("the consent was renewed while the old one was used") from None
        await mark_reauth(connection, error, run, store, clock)
        raise
    except Permanent as error:
        if _is_of_the_request(error, command):
            raise
        run.ensure_owned()
        await store.set_connection_status(connection.id, (_S.ACTIVE, _S.ERROR), _S.ERROR, "sync-failed")
        raise


def _is_planned(command: SyncConnection, run: JobRun, clock: Clock) -> bool:
    """Return whether only the schedule asks; a person who comes to a job that the schedule has made asks as well."""
    return command.scheduled and command.triggered_by != DEFERRED and attended(run.psu, clock()) is None


def _is_of_the_request(error: Permanent, command: SyncConnection) -> bool:
    """Return whether accounts that aren't there, or days that the bank never serves, were asked for: that says nothing
    about the connection."""
    chosen = command.account_ids is not None and isinstance(error, Unsupported)
    return chosen or (command.start_date is not None and isinstance(error, PeriodRejected))


async def _connection(command: SyncConnection, store: BankStore) -> BankConnection:
    connection = await store.connection(command.connection_id)
    if connection is None or (command.org_id and command.org_id != connection.org_id):
        raise UnknownConnection(command.connection_id)
    if connection.status is _S.DISCONNECTED:
        raise ConnectionDisconnected(connection.id)
    return connection


async def _sync(
    command: SyncConnection,
    run: JobRun,
    connection: BankConnection,
    provider: BankProvider,
    store: BankStore,
    ledger: AccessLedger,
    clock: Clock,
    *,
    planned: bool,
) -> SyncResult:
    psu = attended(run.psu, clock())
    await run.advance(Stage.STARTING, "Preparing the access to the bank", 1)
    capabilities = await provider.capabilities(connection)
    access = Access(ledger, connection.bank, capabilities, psu, planned, clock)
    if planned and not capabilities.unattended_allowed:
        raise UnattendedRefused
    ground = Ground(command, run, connection, provider, store, access, psu, clock)
    ground = replace(ground, connection=await with_valid_consent(ground))
    await run.advance(Stage.SYNCING_ACCOUNTS, "Reading the list of accounts", 3)
    try:
        until = await access.reserve(connection.id, Scope.ACCOUNTS)
        accounts = () if until is not None else await _accounts(ground)
    except RateLimited as error:
        until = await access.quota(connection.id, Scope.ACCOUNTS, error)
        if until is None:
            raise _with_wait(error, clock) from None
        accounts = ()
    except ReauthRequired as error:
        raise await confirmed(error, ground) from None
    except UnattendedRefused:
        await access.close(connection.id, Scope.ACCOUNTS)
        raise
    if until is not None:
        return summed(connection.id, (), (DeferredRead(account_id=None, scope=Scope.ACCOUNTS, until=until),))
    return await _sync_accounts(ground, accounts)


async def _accounts(ground: Ground) -> Sequence[BankAccount]:
    """Return the connection's accounts, stored and with our ids, in the bank's order, each once."""
    reported = await ground.provider.accounts(ground.connection, ground.psu)
    if len(reported) > MAX_ACCOUNTS:
        raise MalformedData("the bank lists more accounts than we accept", scope=Scope.ACCOUNTS)
    ground.run.ensure_owned()
    return await ground.store.upsert_accounts(ground.connection, reported, fence=ground.run.fence)


async def _sync_accounts(ground: Ground, accounts: Sequence[BankAccount]) -> SyncResult:
    wanted = None if ground.command.account_ids is None else set(ground.command.account_ids)
    chosen = [account for account in accounts if wanted is None or account.id in wanted]
    syncs: list[AccountSync] = []
    for unknown in sorted((wanted or set()) - {account.id for account in chosen}):
        result = AccountResult(
            account_id=unknown,
            outcome=AccountOutcome.UNKNOWN,
            error_code="unknown-account",
            error="the connection has no such account",
        )
        syncs.append(AccountSync(result))
    rows = 0
    for number, account in enumerate(chosen):
        await ground.run.advance(
            Stage.SYNCING_TRANSACTIONS,
            f"Importing account {number + 1} of {len(chosen)}",
            5 + 90 * number // len(chosen),
            accounts_processed=number,
            transactions_processed=rows,
        )
        sync = await _one(ground, account)
        sync = replace(sync, result=sync.result.model_copy(update={"undecided": account.undecided}))
        rows += sync.rows
        syncs.append(sync)
    await ground.run.advance(
        Stage.FINALIZING, "Noting the outcome", 96, accounts_processed=len(chosen), transactions_processed=rows
    )
    return await _conclude(ground, syncs, rows)


async def _one(ground: Ground, account: BankAccount) -> AccountSync:
    """Import one account; what concerns it alone becomes its outcome, what concerns the connection is raised."""
    try:
        return await sync_account(ground, account)
    except (RunInterrupted, CredentialError):
        raise
    except ReauthRequired as error:
        told = await confirmed(error, ground)
        if isinstance(told, ReauthRequired | CredentialError):
            raise told from None
        found: Exception = told
    except Exception as error:  # the other accounts first; it is raised again when nothing could be imported
        found = error
    return failure(AccountResult(account_id=account.id, outcome=AccountOutcome.FAILED), found)


async def _conclude(ground: Ground, syncs: Sequence[AccountSync], rows: int) -> SyncResult:
    """Raise if nothing could be imported; else note the success and return the result."""
    errors = [sync.error for sync in syncs if sync.error is not None]
    lost = [s for s in syncs if s.result.outcome in (AccountOutcome.FAILED, AccountOutcome.UNKNOWN)]
    unexpected = [error for error in errors if not isinstance(error, JobError)]
    if unexpected:  # nobody classified it: raised, so that it is logged with its trace and retried
        raise unexpected[0]
    if syncs and len(lost) == len(syncs):
        retryable = [error for error in errors if isinstance(error, Retryable)]
        if not errors:
            raise Unsupported("the connection has none of the accounts asked for")
        raise _with_wait(retryable[0] if retryable else errors[0], ground.clock)
    deferred = tuple(read for sync in syncs for read in sync.deferred)
    result = summed(ground.connection.id, tuple(sync.result for sync in syncs), deferred)
    await _note_success(ground, syncs, result)
    await ground.run.advance(
        Stage.COMPLETED,
        f"{result.accounts_synced} accounts imported, {result.transactions_synced} new or changed transactions",
        100,
        accounts_processed=len(syncs),
        transactions_processed=rows,
    )
    return result


async def _note_success(ground: Ground, syncs: Sequence[AccountSync], result: SyncResult) -> None:
    command = ground.command
    chosen = command.account_ids is not None
    if (syncs or chosen) and result.accounts_synced == 0:
        return  # deferred, not due, or refused: neither success nor failure
    connection, ground_run = ground.connection, ground.run
    ground_run.ensure_owned()
    waits = [sync.next_at for sync in syncs]
    chosen = chosen or command.start_date is not None or command.end_date is not None
    unsure = chosen or result.partial or None in waits  # the schedule comes to see: something may be due before
    next_at = None if unsure else min((at for at in waits if at is not None), default=None)
    await ground.store.note_sync(connection.id, ground.clock(), next_at)
    standing = after_success(connection)
    if standing is not None:
        await ground.store.set_connection_status(connection.id, (connection.status,), standing.status, standing.reason)


def _with_wait(error: Exception, clock: Clock) -> Exception:
    """Return a rate limit with the wait that its instant means, for the retry policy."""
    if isinstance(error, RateLimited) and error.retry_after is None and error.retry_at is not None:
        return RateLimited(scope=error.scope, retry_at=error.retry_at, retry_after=error.retry_at - clock())
    return error
