"""Where connections, accounts and rows live: the port of a store."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Protocol, runtime_checkable

from bankimport.models import (
    AccountState,
    Balance,
    BankAccount,
    BankConnection,
    BankId,
    Consent,
    Memory,
    StoredTransaction,
    Window,
)
from bankimport.ports.changes import ChangeSet
from bankimport.status import ConnectionStatus


@runtime_checkable
class BankStore(Protocol):
    """Where connections, accounts and rows live. It decides nothing about transactions.

    `fence` is a number that grows with every run of any job. A write with a smaller fence than the connection has
    already seen is refused with `LeaseLost`: two runs of one connection never write at the same time.
    """

    def syncable_organisations(self, now: datetime) -> AsyncIterator[str]:
        """Yield the id of each organisation with a syncable connection, once, in a stable order, as a stream."""

    async def connections(self, org_id: str) -> Sequence[BankConnection]:
        """Return the organisation's connections, in a stable order."""

    async def connection(self, connection_id: str) -> BankConnection | None:
        """Return a connection, or None."""

    def consents_ending(self, before: date) -> AsyncIterator[BankConnection]:
        """Yield every connection that is not disconnected and whose consent's last day is before `before`, grouped
        by organisation."""

    async def set_connection_status(
        self,
        connection_id: str,
        from_: Iterable[ConnectionStatus],
        to: ConnectionStatus,
        reason: str | None = None,
    ) -> bool:
        """Set the status if it is one of `from_` now; return whether it was changed (status or reason)."""

    async def set_consent(self, connection_id: str, consent: Consent) -> None:
        """Note the consent's last day as the bank told it."""

    async def note_sync(self, connection_id: str, at: datetime | None, next_at: datetime | None = None) -> None:
        """Note when the connection was last synced with success (None: leave it as it is), and when the schedule asks
        the bank next (None: at its next tick)."""

    async def note_asked(self, connection_id: str, at: datetime) -> None:
        """Note that the bank is about to be asked without the person: when the ledger was emptied, this is what is left
        of it."""

    async def upsert_accounts(
        self, connection: BankConnection, accounts: Sequence[BankAccount], *, fence: int
    ) -> Sequence[BankAccount]:
        """Store a bank's list as `bankimport.imports.accounts` decides who is whom; return the listed accounts, once
        each and in the same order, as they are stored, each with `id` and `stable_key`.

        An account that isn't listed stays, with `is_listed` false. `stable_key` never changes, and no two accounts of
        a connection share one; in another connection the same account at the same bank has the same. From then on
        every write with a smaller fence is refused.

        Raises:
            LeaseLost: a later run has written already.
        """

    async def accounts(self, connection_id: str) -> Sequence[BankAccount]:
        """Return all stored accounts of a connection, listed or not, each with its `id`, in a stable order."""

    async def account_state(self, account: BankAccount) -> AccountState:
        """Return version, memory and cursor of an account; the defaults for a new one."""

    async def set_attended_only(self, account: BankAccount, *, only: bool = True) -> bool:
        """Note that the bank reads this account only while the person is present, or that it is to be tried without
        once more; return whether that is new."""

    async def load_rows(
        self, account: BankAccount, window: Window, ids: Collection[BankId]
    ) -> tuple[Sequence[StoredTransaction], int]:
        """Return the rows whose date is in `window` and, wherever they are, the rows that one of `ids` names; and
        the account's version. Removed and user-deleted rows are included."""

    async def apply(
        self,
        account: BankAccount,
        version: int,
        change_set: ChangeSet,
        memory: Memory | None,
        cursor: str | None,
        fence: int,
    ) -> bool:
        """Write rows, what the reads have taught, and the cursor in one transaction; return False, having written
        nothing, if the account's version is no longer `version`. A change advances the version by one. `memory`
        None leaves it as it is.

        Raises:
            LeaseLost: a later run has written already.
        """

    async def put_balances(self, account: BankAccount, balances: Sequence[Balance]) -> None:
        """Replace the account's balances of the same types."""

    async def aclose(self) -> None:
        """Close what the store holds open."""
