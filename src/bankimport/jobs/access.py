"""The one gate to a bank: every request of a job goes through it, and is counted before it is sent (banking.md §5)."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from bankimport.access import budget
from bankimport.errors import RateLimited, UnattendedRefused
from bankimport.models import (
    Balance,
    BankAccount,
    BankConnection,
    Capabilities,
    Consent,
    Delta,
    Page,
    PsuContext,
    Quota,
    Scope,
    UnreadableBalance,
    Window,
)
from bankimport.ports import AccessHistory, AccessKey, AccessLedger, Asks, BankProvider, Clock, CountedRead, Met

T = TypeVar("T")


class Deferred(Exception):
    """The bank may not be asked before `until`: neither a success nor an error of the job. `is_refused` if the bank has
    said so just now, else it wasn't asked."""

    def __init__(self, scope: Scope, until: datetime, *, is_refused: bool = False) -> None:
        super().__init__(f"the bank may be asked for {scope.value} from {until.isoformat()} on")
        self.scope = scope
        self.until = until
        self.is_refused = is_refused


@dataclass(frozen=True, slots=True)
class Access:
    """The access of one job to one bank through one connection. `psu` present: attended, never counted."""

    provider: BankProvider
    connection: BankConnection
    capabilities: Capabilities
    ledger: AccessLedger
    psu: PsuContext | None
    asks: Asks
    job_id: str
    clock: Clock
    #: the store's `note_asked`: what is left of the ledger when Redis is emptied
    note_asked: Callable[[str, datetime], Awaitable[None]]
    _noted: list[datetime] = field(default_factory=list, init=False)

    # Asking ------------------------------------------------------------------------------------------------------
    # Each raises Deferred, having sent nothing or having been refused for hours, and whatever the provider raises.

    async def accounts(self) -> Sequence[BankAccount]:
        """Return the bank's list of accounts. Who is refused it without the person doesn't ask again for a day."""
        key = self._key(self.connection.id, Scope.ACCOUNTS)
        try:
            return await self._ask(key, lambda: self.provider.accounts(self.connection, self.psu))
        except UnattendedRefused:
            if self.psu is None:
                await self.ledger.close(key, self.clock() + budget.CIRCUIT_GAP)
            raise

    async def consent(self) -> Consent:
        """Return the consent as the bank sees it."""
        key = self._key(self.connection.id, Scope.CONSENT)
        return await self._ask(key, lambda: self.provider.consent(self.connection, self.psu))

    async def balances(self, account: BankAccount) -> Sequence[Balance | UnreadableBalance]:
        """Return the balances of an account."""
        key = self._key(account.stable_key, Scope.BALANCES)
        return await self._ask(key, lambda: self.provider.balances(self.connection, account, self.psu))

    async def transactions(
        self, account: BankAccount, window: Window, *, cursor: str | None, begins: bool = True
    ) -> AsyncGenerator[Page | Delta]:
        """Yield the pages of a window; `begins` is false where the same read was refused with another window before.

        The read has failed until `read_succeeded` is called: what was read but not stored has to be read again.
        """
        key = self._key(account.stable_key, Scope.TRANSACTIONS)
        await self._reserve(key, begins=begins)
        pages = self.provider.transactions(self.connection, account, window, cursor=cursor, psu=self.psu)
        try:
            async for page in pages:
                await self._learn(key, page.quota)
                yield page
                more = page.has_more if isinstance(page, Delta) else page.cursor is not None
                if more and self.capabilities.pages_count:
                    await self._reserve(key, begins=False)
        except RateLimited as error:
            raise await self._refused(key, error) from None
        finally:
            close = getattr(pages, "aclose", None)  # a generator holds its response open until it is closed
            if close is not None:
                await close()

    async def read_succeeded(self, account: BankAccount) -> None:
        """Note that the account's transactions were read and stored; with the person there, that the bank works."""
        await self.ledger.note_success(self._key(account.stable_key, Scope.TRANSACTIONS), self.connection.id)

    async def _ask(self, key: AccessKey, ask: Callable[[], Awaitable[T]]) -> T:
        await self._reserve(key)
        try:
            answer = await ask()
        except RateLimited as error:
            raise await self._refused(key, error) from None
        if self.psu is None:
            await self.ledger.note_success(key, self.connection.id)
        return answer

    # When the bank may be asked; nothing is counted by these ----------------------------------------------------------

    async def may(self, stable_key: str, scope: Scope) -> "May":
        """Return when this job may ask: a tick when it is due, everybody when there is a place in the budget."""
        if self.psu is not None:
            return May()
        history = await self._history(self._key(stable_key, scope))
        planned = self.asks is Asks.PLANNED and self._counts(scope)
        due_at = self._due(history, self.job_id) if planned else None
        return May(due_at, self._slot(history, self.asks, scope), self._is_cut_off(history))

    async def next_planned(self, account: BankAccount) -> datetime | None:
        """Return when the schedule reads an account that was asked for just now; None for its next tick."""
        if self.psu is not None or self.capabilities.unattended_limit is None:
            return None
        history = await self._history(self._key(account.stable_key, Scope.TRANSACTIONS))
        waits = (self._due(history, job_id=""), self._slot(history, Asks.PLANNED, Scope.TRANSACTIONS))
        return max((at for at in waits if at is not None), default=None)

    def _due(self, history: AccessHistory, job_id: str) -> datetime | None:
        limit = self.capabilities.unattended_limit
        return budget.due(history, connection_id=self.connection.id, job_id=job_id, limit=limit, now=self.clock())

    def _slot(self, history: AccessHistory, asks: Asks, scope: Scope) -> datetime | None:
        zone = self.capabilities.quota_zone
        return budget.slot(history, asks=asks, limit=self._limit(scope), now=self.clock(), zone=zone)

    def _is_cut_off(self, history: AccessHistory) -> bool:
        closed = history.closed_until is not None and history.closed_until > self.clock()  # refused: that is no failure
        return (
            history.failures > 0 and not closed and history.reads[-1:] != () and history.reads[-1].job_id == self.job_id
        )

    async def _history(self, key: AccessKey) -> AccessHistory:
        since = budget.horizon(self.clock(), self.capabilities.quota_zone)
        return await self.ledger.history(key, self.connection.id, since)

    # The list of accounts -------------------------------------------------------------------------------------------

    async def listed_at(self, stored: Sequence[BankAccount]) -> datetime | None:
        """Return when the list of accounts was read, as far as is known.

        A ledger that was emptied doesn't know the connection: what the store says was read counts as used up then.
        """
        met = await self.ledger.met(self.connection.id)
        if met is None:
            await self._recall(stored)
        return None if met is None else met.listed_at

    async def note_listed(self) -> None:
        """Note that the list was read just now."""
        await self.ledger.meet(self.connection.id, Met(self.clock()))

    async def _recall(self, stored: Sequence[BankAccount]) -> None:
        until = budget.forgotten(self.connection.last_sync_at, self.connection.asked_at, self.clock())
        if until is not None and self.capabilities.unattended_limit is not None:
            names = [(self.connection.id, Scope.ACCOUNTS), (self.connection.id, Scope.CONSENT)]
            names += [(each.stable_key, scope) for each in stored for scope in (Scope.BALANCES, Scope.TRANSACTIONS)]
            for stable_key, scope in names:
                if self._counts(scope):
                    await self.ledger.close(self._key(stable_key, scope), until)
        await self.ledger.meet(self.connection.id, Met())  # last: a crash before this recalls once more

    # Counting -------------------------------------------------------------------------------------------------------

    def _key(self, stable_key: str, scope: Scope) -> AccessKey:
        return AccessKey(self.connection.bank, stable_key, scope)

    def _counts(self, scope: Scope) -> bool:
        return scope in self.capabilities.quota_scopes

    def _limit(self, scope: Scope) -> int | None:
        return self.capabilities.unattended_limit if self._counts(scope) else None

    async def _reserve(self, key: AccessKey, *, begins: bool = True) -> None:
        """Count a request that is about to be made. What the bank doesn't count may have been closed by a 429."""
        if self.psu is not None:
            return
        read = CountedRead(self.clock(), self.asks, self.connection.id, self.job_id)
        until = await self.ledger.reserve(
            key, read, limit=self._limit(key.scope), zone=self.capabilities.quota_zone, begins=begins
        )
        if until is not None:
            raise Deferred(key.scope, until)
        if not self._noted and key.scope is not Scope.CONSENT:
            await self.note_asked(self.connection.id, read.at)
            self._noted.append(read.at)

    async def _learn(self, key: AccessKey, quota: Quota | None) -> None:
        """Believe a bank that says itself that nothing is left; what it says only ever makes the budget smaller."""
        if quota is not None and quota.remaining <= 0:
            await self._close_until(key, quota.resets_at)

    async def _refused(self, key: AccessKey, error: RateLimited) -> Exception:
        """Return what a 429 means: hours are a quota, which defers; seconds are a brake, which a retry waits for."""
        until = error.retry_at
        if until is None and error.retry_after is not None:
            until = self.clock() + error.retry_after
        if until is None:
            return error
        closed = await self._close_until(key, until)
        if closed is not None:
            return Deferred(key.scope, closed, is_refused=True)
        return RateLimited(scope=error.scope, retry_at=error.retry_at, retry_after=until - self.clock())

    async def _close_until(self, key: AccessKey, until: datetime) -> datetime | None:
        """Close a key for requests without the person, if it is a quota, and return until when."""
        now = self.clock()
        if not budget.is_quota(until, now):
            return None
        until = min(until, now + budget.LONGEST)
        if self.psu is None:
            await self.ledger.close(key, until)
        return until


@dataclass(frozen=True, slots=True)
class May:
    """When a job may ask: it is due at `due_at`, and has a place in the budget at `free_at`; None is now. `is_cut_off`
    if the last read was this job's own and failed."""

    due_at: datetime | None = None
    free_at: datetime | None = None
    is_cut_off: bool = False

    @property
    def at(self) -> datetime | None:
        """Both."""
        return max((at for at in (self.due_at, self.free_at) if at is not None), default=None)


def longest_wait(asks: Asks) -> timedelta:
    """Return how long a job waits at most because a bank says so: the schedule comes again at its next tick."""
    return budget.TICK if asks is Asks.PLANNED else budget.LONGEST
