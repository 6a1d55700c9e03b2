"""May the bank be asked now? Between the job and each read that a bank counts (banking.md §5)."""

from dataclasses import dataclass
from datetime import date, datetime

from bankimport.errors import RateLimited
from bankimport.imports import budget
from bankimport.models import AccountState, Capabilities, PsuContext, Quota, Scope
from bankimport.ports import AccessKey, AccessLedger, Clock


@dataclass(frozen=True, slots=True)
class Access:
    """The access of one run to one bank. `psu` present: attended, never counted. `planned`: a tick of the schedule
    asks, which keeps a distance between reads."""

    ledger: AccessLedger
    bank: str
    capabilities: Capabilities
    psu: PsuContext | None
    planned: bool
    clock: Clock

    def _key(self, stable_key: str, scope: Scope) -> AccessKey:
        return AccessKey(self.bank, stable_key, scope)

    def _counts(self, scope: Scope) -> bool:
        return self.psu is None and scope in self.capabilities.quota_scopes

    async def not_due(self, stable_key: str, scope: Scope, state: AccountState) -> datetime | None:
        """Return when the schedule reads this next; None if it may now. Counts nothing."""
        if not self.planned or not self._counts(scope):
            return None
        now = self.clock()
        key, limit = self._key(stable_key, scope), self.capabilities.unattended_limit
        reads, failures = await self.ledger.reads(key, now), await self.ledger.failures(key)
        covered_until = max((interval.until for interval in state.coverage), default=date.min)
        if self.capabilities.delta:  # it tells no days
            covered_until = date.max
        return budget.planned(reads, failures=failures, limit=limit, now=now, covered_until=covered_until)

    def next_planned(self) -> datetime | None:
        """Return when the schedule has a reason to come again after a read just now; None for its next tick."""
        counted = self.psu is None and self.capabilities.unattended_limit is not None
        return self.clock() + budget.PLANNED_GAP if counted else None

    async def reserve(self, stable_key: str, scope: Scope) -> datetime | None:
        """Count a read that is about to be made; None if it is allowed, else when it will be.

        What the bank doesn't count has no limit, but may have been closed by a 429.
        """
        if self.psu is not None:
            return None
        limit = self.capabilities.unattended_limit if self._counts(scope) else None
        return await self.ledger.reserve(self._key(stable_key, scope), limit=limit, now=self.clock())

    async def ended(self, stable_key: str, scope: Scope, *, success: bool) -> None:
        """Note how a read ended; it counts as failed until this says otherwise."""
        if self._counts(scope):
            await self.ledger.note_outcome(self._key(stable_key, scope), success=success, now=self.clock())

    async def close(self, stable_key: str, scope: Scope) -> None:
        """Ask no more than once a day without the person: the bank has refused what no account remembers."""
        if self.psu is None:
            await self.ledger.close(self._key(stable_key, scope), self.clock() + budget.CIRCUIT_GAP)

    async def learn(self, stable_key: str, scope: Scope, quota: Quota | None) -> None:
        """Believe a bank that says itself that nothing is left; what it says only ever makes the budget smaller."""
        if quota is not None and quota.remaining <= 0:
            await self._close_until(stable_key, scope, quota.resets_at)

    async def quota(self, stable_key: str, scope: Scope, error: RateLimited) -> datetime | None:
        """Return until when a 429 closes the scope; None for a brake of seconds, which a retry waits for."""
        until = error.retry_at
        if until is None and error.retry_after is not None:
            until = self.clock() + error.retry_after
        return None if until is None else await self._close_until(stable_key, scope, until)

    async def _close_until(self, stable_key: str, scope: Scope, until: datetime) -> datetime | None:
        """Close the scope for reads without the person, if it is a quota, and return until when."""
        now = self.clock()
        if not budget.is_quota(until, now):
            return None
        until = min(until, now + budget.LONGEST)
        if self.psu is None:
            await self.ledger.close(self._key(stable_key, scope), until)
        return until
