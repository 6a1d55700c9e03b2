"""Import one account: the rows, then the balances, whatever becomes of the other accounts."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from typing import Final

from bankimport.commands import SyncConnection
from bankimport.errors import (
    CredentialError,
    JobError,
    MalformedData,
    ReauthRequired,
    RunInterrupted,
    Transient,
    UnattendedRefused,
)
from bankimport.events import ReauthRequiredEvent
from bankimport.imports import Decision, plan_window
from bankimport.jobs.access import Access, Deferred
from bankimport.jobs.read_account import AccountRead, AccountReader
from bankimport.jobs.results import AccountOutcome, AccountResult, DeferredRead, ReadWindow
from bankimport.jobs.store_read import store_read
from bankimport.models import (
    AccountState,
    Balance,
    BankAccount,
    BankConnection,
    Consent,
    RowStatus,
    Scope,
    UnreadableBalance,
)
from bankimport.ports import BankStore, ChangeSet, Clock
from bankimport.progress import JobRun

#: the code of an error that nobody has classified
UNEXPECTED: Final = "unexpected"
#: An account has a handful, and each is compared with each.
MAX_BALANCES: Final = 100


@dataclass(frozen=True, slots=True)
class AccountSync:
    """How one account went. `error` is what the connection has to act on; `next_at` when the schedule reads next."""

    result: AccountResult
    error: Exception | None = None
    deferred: tuple[DeferredRead, ...] = ()
    next_at: datetime | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Ground:
    """What the accounts of one run have in common."""

    command: SyncConnection
    run: JobRun
    connection: BankConnection
    store: BankStore
    access: Access
    clock: Clock
    consent_answers: list[Consent | JobError] = field(default_factory=list)


async def not_now(ground: Ground, account: BankAccount) -> AccountSync | None:
    """Return how the account ends that isn't to be read now, and nothing is asked for; None if it is to be read."""
    access = ground.access
    if access.psu is None:
        state = await ground.store.account_state(account)
        if state.attended_only or not access.capabilities.unattended_allowed:
            return AccountSync(AccountResult(account_id=account.id, outcome=AccountOutcome.ATTENDED_ONLY))
    may = await access.may(account.stable_key, Scope.TRANSACTIONS)
    if may.at is None:
        return None
    if may.is_cut_off:
        why = "the read of the account was cut off, and may not be made again yet"
        result = AccountResult(account_id=account.id, outcome=AccountOutcome.FAILED)
        return failure(result, Transient(why, scope=Scope.TRANSACTIONS))
    if may.due_at is None:
        return _deferred(account, may.at)
    return AccountSync(AccountResult(account_id=account.id, outcome=AccountOutcome.NOT_DUE), next_at=may.at)


async def sync_account(ground: Ground, account: BankAccount) -> AccountSync:
    """Import one account, if the bank may be asked now.

    Raises:
        ReauthRequired, CredentialError: they concern all accounts of the connection.
        LeaseLost, JobCancelled: the run is over.
    """
    state = await ground.store.account_state(account)
    reader = AccountReader(ground.run, ground.access)
    read = await _read(ground, reader, account, state)
    try:
        if read.is_unasked and read.wait_until is not None:
            return _deferred(account, read.wait_until)
        return await _settle(ground, reader, account, state, read)
    finally:
        read.entries.close()


def _deferred(account: BankAccount, until: datetime) -> AccountSync:
    result = AccountResult(account_id=account.id, outcome=AccountOutcome.DEFERRED)
    deferred = DeferredRead(account_id=account.id, scope=Scope.TRANSACTIONS, until=until)
    return AccountSync(result, deferred=(deferred,), next_at=until)


async def _read(ground: Ground, reader: AccountReader, account: BankAccount, state: AccountState) -> AccountRead:
    command, today = ground.command, ground.clock().date()
    window = plan_window(
        state.memory,
        today=today,
        max_history=ground.access.capabilities.max_history,
        start_date=command.start_date,
        end_date=command.end_date,
        force_full_sync=command.force_full_sync,
    )
    cursor = None if command.force_full_sync or not ground.access.capabilities.delta else state.cursor
    return await reader.read(account, window, cursor=cursor, today=today)


async def _settle(
    ground: Ground, reader: AccountReader, account: BankAccount, state: AccountState, read: AccountRead
) -> AccountSync:
    """Write what was read, complete or not, and say how it ended."""
    is_new = state == AccountState(attended_only=state.attended_only)
    decision = Decision(ChangeSet())
    if read.pages or read.is_complete or read.window != read.asked:
        ask_rest = partial(reader.read_rest, read, account)
        decision = await store_read(read, account, state, ground.run, ground.store, ask_rest)
    result = _result(account, read, decision, is_new=is_new)
    if read.is_complete:
        await ground.access.read_succeeded(account)  # only now: what was read but not stored has to be read again
        if state.attended_only:
            await ground.store.set_attended_only(account, only=False)
        result, deferred = await _with_balances(ground, account, read, result)
        next_at = await ground.access.next_planned(account)
        return AccountSync(result, deferred=deferred, next_at=next_at, rows=read.rows)
    if read.wait_until is not None:
        waiting = _deferred(account, read.wait_until)
        result = result.model_copy(update={"outcome": AccountOutcome.DEFERRED})
        return replace(waiting, result=result, rows=read.rows)
    return await _failed(ground, account, state, result, read)


async def _failed(
    ground: Ground, account: BankAccount, state: AccountState, result: AccountResult, read: AccountRead
) -> AccountSync:
    error = read.failure
    if isinstance(error, ReauthRequired | CredentialError):
        raise error
    if isinstance(error, UnattendedRefused):
        if not state.attended_only and not await _is_told(ground):  # told first: a crash between repeats the event
            reason = UnattendedRefused.code
            await ground.run.emit(
                ReauthRequiredEvent(connection_id=ground.connection.id, reason=reason, timestamp=ground.clock())
            )
        await ground.store.set_attended_only(account)
        return AccountSync(result.model_copy(update={"outcome": AccountOutcome.ATTENDED_ONLY}), rows=read.rows)
    return failure(result, error or RuntimeError("a read ended without an outcome"), rows=read.rows)


async def _is_told(ground: Ground) -> bool:
    """Return whether the person has been asked for already, for another account: one visit serves all of them."""
    for account in await ground.store.accounts(ground.connection.id):
        if (await ground.store.account_state(account)).attended_only:
            return True
    return False


def failure(result: AccountResult, error: Exception, *, rows: int = 0) -> AccountSync:
    """Return the outcome of an account that failed. Only our own errors are worth quoting."""
    known = isinstance(error, JobError)
    update = {
        "outcome": AccountOutcome.FAILED,
        "error_code": error.code if isinstance(error, JobError) else UNEXPECTED,
        "error": str(error) if known else f"an unexpected error ({type(error).__name__})",
    }
    return AccountSync(result.model_copy(update=update), error=error, rows=rows)


def _result(account: BankAccount, read: AccountRead, decision: Decision, *, is_new: bool) -> AccountResult:
    change_set, cut = decision.change_set, decision.cut_before
    refused = cut if cut is not None and cut < date.max else None
    if refused is None and read.window != read.asked:
        refused = read.window.since
    return AccountResult(
        account_id=account.id,
        outcome=AccountOutcome.SYNCED,
        is_new=is_new,
        complete=read.is_complete,
        new_transactions=len(change_set.inserts),
        updated_transactions=len(change_set.updates),
        removed_transactions=sum(mark.status is RowStatus.REMOVED for mark in change_set.marks),
        quarantined=read.quarantined.total(),
        quarantine_reasons=dict(read.quarantined) or None,
        put_off=len(decision.memory.doubts) if read.is_complete else 0,
        window=ReadWindow(since=read.asked.since, until=read.asked.until, refused_before=refused),
    )


async def _with_balances(
    ground: Ground, account: BankAccount, read: AccountRead, result: AccountResult
) -> tuple[AccountResult, tuple[DeferredRead, ...]]:
    """Read the balances and check them against the rows. Whatever goes wrong here costs no transaction."""
    try:
        balances = await ground.access.balances(account)
        if len(balances) > MAX_BALANCES:
            raise MalformedData("the bank sent more balances than we accept", scope=Scope.BALANCES)
        ground.run.ensure_owned()
        readable = [balance for balance in balances if isinstance(balance, Balance)]
        await ground.store.put_balances(account, readable)
    except RunInterrupted:
        raise
    except Deferred as wait:
        deferred = DeferredRead(account_id=account.id, scope=Scope.BALANCES, until=wait.until)
        return result.model_copy(update={"balances": AccountOutcome.DEFERRED}), (deferred,)
    except Exception as error:  # unexpected ones too: the next sync reads the balances anew
        code = error.code if isinstance(error, JobError) else UNEXPECTED
        return result.model_copy(update={"balances": AccountOutcome.FAILED, "error_code": code}), ()
    check = await asyncio.to_thread(read.check, readable)  # of a long read it may take seconds
    refused = Counter(f"balance-{each.reason}" for each in balances if isinstance(each, UnreadableBalance))
    reasons = read.quarantined + refused
    update = {
        "quarantined": reasons.total(),
        "quarantine_reasons": dict(reasons) or None,
        "balances": AccountOutcome.SYNCED,
        "balance_check": check.verdict,
        "balance_difference": check.difference,
    }
    return result.model_copy(update=update), ()
