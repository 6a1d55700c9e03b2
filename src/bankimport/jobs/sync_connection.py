"""The `sync-connection` job: import every account of one connection."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Final

from bankimport.access.attendance import attended
from bankimport.commands import SyncConnection
from bankimport.errors import (
    AccountUnavailable,
    BankRejected,
    ConnectionDisconnected,
    CredentialError,
    PeriodRejected,
    Permanent,
    ReauthRequired,
    Retryable,
    RunInterrupted,
    Transient,
    UnattendedRefused,
    UnknownConnection,
    Unsupported,
)
from bankimport.jobs.access import Access, Deferred
from bankimport.jobs.concluding import conclude
from bankimport.jobs.listing import Listing
from bankimport.jobs.refusals import confirmed, is_renewed, mark_reauth, with_valid_consent
from bankimport.jobs.results import AccountOutcome, AccountResult, DeferredRead, SyncResult, summed
from bankimport.jobs.retrying import Earlier, bounded, if_failed
from bankimport.jobs.sync_account import AccountSync, Ground, failure, not_now, sync_account
from bankimport.models import BankAccount, BankConnection, Scope, Stage
from bankimport.ports import AccessLedger, Asks, BankProvider, Banks, BankStore, Clock, JobNotes
from bankimport.progress import JobRun
from bankimport.status import ConnectionStatus

#: Who triggers the sync that comes back for a deferred read: it was asked for, so no planned distance is kept.
DEFERRED: Final = "deferred read"
_S: Final = ConnectionStatus


async def sync_connection(
    command: SyncConnection,
    run: JobRun,
    *,
    banks: Banks,
    store: BankStore,
    ledger: AccessLedger,
    clock: Clock,
    notes: JobNotes | None = None,
) -> SyncResult:
    """Read the connection's accounts, then each account's rows and balances; one account's failure costs no other.

    A planned sync before its time asks nothing of the bank. A run that begins anew reads no account again that an
    earlier run of the job has finished, and its result is that of all runs; without `notes` it reads all again. The
    connection's status follows the outcome (design §5).

    Raises:
        UnknownConnection, ConnectionDisconnected: there is nothing to sync.
        ReauthRequired: the person has to authorise again; the connection says so.
        CredentialError: our own key or certificate is refused; no connection is marked.
        UnattendedRefused: the bank answers only while the person is present (a planned sync just does nothing).
        Retryable, or what nobody classified: some accounts failed, and a retry may help; `run.if_failed` says what was
            done, and whether the budget allows a retry.
        Permanent: nothing could be imported, and a retry can't help; the connection is in `ERROR`, unless what was
            asked for isn't there.
    """
    connection = await _connection(command, store)
    try:
        provider = banks.get(connection.bank)
        if provider is None:
            raise Unsupported(f"no bank named {connection.bank!r} is configured")
        ground = await _ground(command, run, connection, provider, store, ledger, clock)
        return await _sync(ground, notes)
    except CredentialError:
        raise
    except ReauthRequired as error:
        if await is_renewed(connection, store):
            raise Transient("the consent was renewed while the old one was used") from None
        await mark_reauth(connection, error, run, store, clock)
        raise
    except UnattendedRefused:
        raise  # it says nothing about the connection: the person may come any time
    except Permanent as error:
        if _is_of_the_request(error, command):
            raise
        run.ensure_owned()
        await store.set_connection_status(connection.id, (_S.ACTIVE, _S.ERROR), _S.ERROR, "sync-failed")
        raise


async def _connection(command: SyncConnection, store: BankStore) -> BankConnection:
    connection = await store.connection(command.connection_id)
    if connection is None or (command.org_id and command.org_id != connection.org_id):
        raise UnknownConnection(command.connection_id)
    if connection.status is _S.DISCONNECTED:
        raise ConnectionDisconnected(connection.id)
    return connection


async def _ground(
    command: SyncConnection,
    run: JobRun,
    connection: BankConnection,
    provider: BankProvider,
    store: BankStore,
    ledger: AccessLedger,
    clock: Clock,
) -> Ground:
    psu = attended(run.psu, clock())
    asks = Asks.WHOLE
    if command.start_date is not None or command.end_date is not None:
        asks = Asks.DAYS
    elif command.scheduled and command.triggered_by != DEFERRED and psu is None:
        asks = Asks.PLANNED  # a person who comes to a job that the schedule has made asks as well
    capabilities = await provider.capabilities(connection)
    access = Access(provider, connection, capabilities, ledger, psu, asks, run.job_id, clock, store.note_asked)
    return Ground(command, run, connection, store, access, clock)


def _is_of_the_request(error: Permanent, command: SyncConnection) -> bool:
    """Return whether the error is of what was asked for and says nothing about the connection: accounts that aren't
    there, days that the bank never serves."""
    dates = command.start_date is not None or command.end_date is not None
    if dates and isinstance(error, PeriodRejected | BankRejected):
        return True
    return command.account_ids is not None and isinstance(error, Unsupported | AccountUnavailable)


async def _sync(ground: Ground, notes: JobNotes | None) -> SyncResult:
    run = ground.run
    await run.advance(Stage.STARTING, "Preparing the access to the bank", 1)
    earlier = await Earlier.load(notes, run)
    listing = await Listing.of(ground)
    idle = {account.id: await _idle(ground, account, earlier) for account in _chosen(ground, listing.accounts)}
    if idle and None not in idle.values():  # nothing is asked of the bank
        return await conclude(ground, [*_unknown(ground, idle), *(sync for sync in idle.values() if sync is not None)])
    try:
        if ground.access.psu is None and not ground.access.capabilities.unattended_allowed:
            raise UnattendedRefused
        ground = replace(ground, connection=await with_valid_consent(ground))
        await run.advance(Stage.SYNCING_ACCOUNTS, "Reading the list of accounts", 3)
        await listing.read_if_due()
    except Deferred as wait:
        deferred = DeferredRead(account_id=None, scope=wait.scope, until=wait.until)
        return await conclude(ground, [], (deferred,))
    except UnattendedRefused:
        return await _refused(ground, listing)
    except ReauthRequired as error:
        raise await confirmed(error, ground) from None
    except Retryable as error:
        result = summed(ground.connection.id, earlier.results(), ())
        run.if_failed = await if_failed(ground.access, result, [(ground.connection.id, Scope.ACCOUNTS)])
        raise bounded(error, ground.access) from None
    return await _sync_accounts(ground, listing, earlier, idle)


async def _refused(ground: Ground, listing: Listing) -> SyncResult:
    """End a sync that the bank allows only while the person is present: a request fails, a tick does nothing."""
    if ground.access.asks is not Asks.PLANNED:
        raise UnattendedRefused
    outcome = AccountOutcome.ATTENDED_ONLY
    accounts = tuple(AccountResult(account_id=account.id, outcome=outcome) for account in listing.accounts)
    await ground.run.advance(Stage.COMPLETED, "The bank answers only while the person is present", 100)
    return summed(ground.connection.id, accounts, ()).model_copy(update={"success": False})


def _chosen(ground: Ground, accounts: Sequence[BankAccount]) -> list[BankAccount]:
    wanted = ground.command.account_ids
    return [account for account in accounts if wanted is None or account.id in wanted]


async def _idle(ground: Ground, account: BankAccount, earlier: Earlier) -> AccountSync | None:
    """Return how an account ends for which nothing is asked: finished by an earlier run, or not to be read now."""
    return earlier.finished(account) or earlier.still(account, await not_now(ground, account))


async def _sync_accounts(
    ground: Ground, listing: Listing, earlier: Earlier, idle: Mapping[str, AccountSync | None]
) -> SyncResult:
    chosen = _chosen(ground, listing.accounts)
    syncs = _unknown(ground, {account.id for account in chosen})
    rows = 0
    for number, account in enumerate(chosen):
        await ground.run.advance(
            Stage.SYNCING_TRANSACTIONS,
            f"Importing account {number + 1} of {len(chosen)}",
            5 + 90 * number // len(chosen),
            accounts_processed=number,
            transactions_processed=rows,
        )
        sync = idle[account.id] if account.id in idle else await _idle(ground, account, earlier)
        if sync is None:
            sync = await earlier.add(account, await _one(ground, listing, account))
        sync = replace(sync, result=sync.result.model_copy(update={"undecided": account.undecided}))
        rows += sync.rows
        syncs.append(sync)
    await ground.run.advance(
        Stage.FINALIZING, "Noting the outcome", 96, accounts_processed=len(chosen), transactions_processed=rows
    )
    return await conclude(ground, syncs, rows=rows)


def _unknown(ground: Ground, known: Container[str]) -> list[AccountSync]:
    return [
        AccountSync(
            AccountResult(
                account_id=account_id,
                outcome=AccountOutcome.UNKNOWN,
                error_code="unknown-account",
                error="the connection has no such account",
            )
        )
        for account_id in dict.fromkeys(ground.command.account_ids or ())
        if account_id not in known
    ]


async def _one(ground: Ground, listing: Listing, account: BankAccount) -> AccountSync:
    """Import one account; what concerns it alone becomes its outcome, what concerns the connection is raised."""
    try:
        sync = await sync_account(ground, account)
        if isinstance(sync.error, AccountUnavailable):
            moved = await listing.look_again(account)
            sync = sync if moved is None else await sync_account(ground, moved)
    except (RunInterrupted, CredentialError):
        raise
    except ReauthRequired as error:
        told = await confirmed(error, ground)
        if isinstance(told, ReauthRequired | CredentialError):
            raise told from None
        sync = failure(AccountResult(account_id=account.id, outcome=AccountOutcome.FAILED), told)
    except Exception as error:  # the other accounts first; it is raised again when all had their turn
        sync = failure(AccountResult(account_id=account.id, outcome=AccountOutcome.FAILED), error)
    if sync.error is None:
        return sync
    return replace(sync, next_at=await ground.access.next_planned(account))
