"""What a job leaves behind: the `result` of its record (design §8)."""

from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from bankimport.models import Model, Scope, Undecided
from bankimport.reading import BalanceVerdict


class AccountOutcome(StrEnum):
    """How the import of one account ended."""

    SYNCED = "synced"
    #: the planned read is not due yet; nothing was asked of the bank
    NOT_DUE = "notDue"
    #: the bank's quota allows the read later
    DEFERRED = "deferred"
    #: the bank answers only while the person is present
    ATTENDED_ONLY = "attendedOnly"
    FAILED = "failed"
    #: asked for by id, but the connection has no such account (any more)
    UNKNOWN = "unknown"


class ReadWindow(Model):
    """The days that were read; `until` None is without an end. `refused_before` is set where the bank doesn't serve
    all the days that were asked for: what it says is the first day asked."""

    since: date
    until: date | None = None
    refused_before: date | None = None


class DeferredRead(Model):
    """A read that is allowed from `until` on; `account_id` None is the list of accounts itself."""

    account_id: str | None
    scope: Scope
    until: datetime


class AccountResult(Model):
    """One account's part. `error` is our own sentence, never the bank's; `balance_difference` a diagnosis; `undecided`
    why it is an account of its own although it may be one that was stored before. `put_off` entries were left to the
    next read: they may repeat another, or be a row from just outside of the days that were asked for."""

    account_id: str
    outcome: AccountOutcome
    is_new: bool = False
    complete: bool = False
    new_transactions: int = 0
    updated_transactions: int = 0
    removed_transactions: int = 0
    quarantined: int = 0
    quarantine_reasons: dict[str, int] | None = None
    put_off: int = 0
    window: ReadWindow | None = None
    balances: AccountOutcome | None = None
    balance_check: BalanceVerdict = BalanceVerdict.UNKNOWN
    balance_difference: Decimal | None = None
    error_code: str | None = None
    error: str | None = None
    undecided: Undecided | None = None


class AccountNote(Model):
    """What the runs of a job keep of an account: what they brought together, and whether it need not be read again."""

    result: AccountResult
    is_finished: bool


class SyncResult(Model):
    """The result of a `sync-connection` job, over all its runs. `success`: all that was asked for was imported;
    `partial`: some of it was. What was not due was not asked for. `undecided` counts the accounts that may have been
    stored before under another id."""

    connection_id: str
    success: bool
    partial: bool
    accounts_synced: int
    transactions_synced: int
    new_accounts: int
    new_transactions: int
    updated_transactions: int
    removed_transactions: int
    quarantined: int
    put_off: int
    undecided: int
    accounts: tuple[AccountResult, ...]
    balance_check: BalanceVerdict
    deferred: tuple[DeferredRead, ...]
    window: ReadWindow | None


class ConsentsResult(Model):
    """The result of a `refresh-consents` job: how many consents were looked at, and what became of them."""

    checked: int = 0
    ending: int = 0
    ended: int = 0
    renewed: int = 0
    unreadable: int = 0
    organisations_told: int = 0


#: outcomes that leave nothing of what was asked for undone
_DONE: Final = frozenset({AccountOutcome.SYNCED, AccountOutcome.NOT_DUE})


def summed(connection_id: str, accounts: tuple[AccountResult, ...], deferred: tuple[DeferredRead, ...]) -> SyncResult:
    """Return the connection's result of its accounts' results."""
    synced = [account for account in accounts if account.outcome is AccountOutcome.SYNCED]
    success = all(a.outcome in _DONE for a in accounts) and all(read.account_id is not None for read in deferred)
    new = sum(account.new_transactions for account in accounts)
    updated = sum(account.updated_transactions for account in accounts)
    windows = [account.window for account in accounts if account.window is not None]
    return SyncResult(
        connection_id=connection_id,
        success=success,
        partial=bool(synced) and not success,
        accounts_synced=len(synced),
        transactions_synced=new + updated,
        new_accounts=sum(account.is_new for account in accounts),
        new_transactions=new,
        updated_transactions=updated,
        removed_transactions=sum(account.removed_transactions for account in accounts),
        quarantined=sum(account.quarantined for account in accounts),
        put_off=sum(account.put_off for account in accounts),
        undecided=sum(account.undecided is not None for account in accounts),
        accounts=accounts,
        balance_check=_worst({account.balance_check for account in accounts}),
        deferred=deferred,
        window=_widest(windows),
    )


def added(earlier: AccountResult, later: AccountResult) -> AccountResult:
    """Return one account's result over two runs of a job: what they wrote adds up, all else is the later one's."""
    return later.model_copy(
        update={
            "is_new": earlier.is_new or later.is_new,
            "new_transactions": earlier.new_transactions + later.new_transactions,
            "updated_transactions": earlier.updated_transactions + later.updated_transactions,
            "removed_transactions": earlier.removed_transactions + later.removed_transactions,
            "window": later.window or earlier.window,
        }
    )


def last_word(result: SyncResult) -> str:
    """Return the sentence that ends a sync: what came, and what did not."""
    counts = Counter(account.outcome for account in result.accounts)
    left = (
        (counts[AccountOutcome.FAILED] + counts[AccountOutcome.UNKNOWN], "failed"),
        (counts[AccountOutcome.DEFERRED], "deferred"),
        (counts[AccountOutcome.ATTENDED_ONLY], "answered only while the person is present"),
        (counts[AccountOutcome.NOT_DUE], "not due yet"),
    )
    told = [f"{_accounts(count)} {said}" for count, said in left if count]
    if any(read.account_id is None for read in result.deferred):
        told.append("the list of accounts deferred")
    if not result.accounts_synced and told:
        return f"Nothing was imported: {', '.join(told)}"
    some = "transaction" if result.new_transactions == 1 else "transactions"
    done = f"Sync completed: {result.new_transactions} new {some}"
    return f"{done}; {', '.join(told)}" if told else done


def _accounts(count: int) -> str:
    return "1 account" if count == 1 else f"{count} accounts"


def _worst(verdicts: set[BalanceVerdict]) -> BalanceVerdict:
    for verdict in (BalanceVerdict.DIFFERS, BalanceVerdict.OK):
        if verdict in verdicts:
            return verdict
    return BalanceVerdict.UNKNOWN


def _widest(windows: list[ReadWindow]) -> ReadWindow | None:
    if not windows:
        return None
    untils = [window.until for window in windows]
    refused = [window.refused_before for window in windows if window.refused_before is not None]
    return ReadWindow(
        since=min(window.since for window in windows),
        until=None if None in untils else max(until for until in untils if until is not None),
        refused_before=max(refused, default=None),
    )
