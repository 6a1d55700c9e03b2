"""Fakes of the ports for hosts' own tests: in memory, deterministic, keeping to the contracts of `bankimport.ports`."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bankimport.events import EventData
from bankimport.imports import budget
from bankimport.models import (
    Balance,
    BankAccount,
    BankConnection,
    Capabilities,
    Consent,
    ConsentStatus,
    Delta,
    Page,
    PsuContext,
    ReportedTransaction,
    Scope,
    Stage,
    Window,
)
from bankimport.ports import AccessKey


@dataclass
class FakeRun:
    """A `JobRun` that notes what it is told. Set `error` to interrupt the run at its next check."""

    job_id: str = "job-1"
    org_id: str = "org-1"
    fence: int = 1
    psu: PsuContext | None = None
    error: Exception | None = None
    stages: list[tuple[Stage, str, int]] = field(default_factory=list)
    events: list[EventData] = field(default_factory=list)

    async def advance(
        self,
        stage: Stage,
        message: str,
        percent: int,
        *,
        accounts_processed: int | None = None,
        transactions_processed: int | None = None,
    ) -> None:
        """See `JobRun`."""
        self.ensure_owned()
        self.stages.append((stage, message, percent))

    def ensure_owned(self) -> None:
        """See `JobRun`."""
        if self.error is not None:
            raise self.error

    async def emit(self, event: EventData, *, org_id: str | None = None) -> None:
        """See `JobRun`."""
        self.events.append(event)


class MemoryLedger:
    """An `AccessLedger` in memory, by the same decision as the one in Redis."""

    def __init__(self) -> None:
        self._reads: dict[AccessKey, list[datetime]] = {}
        self._closed: dict[AccessKey, datetime] = {}
        self._failures: dict[AccessKey, int] = {}

    async def reserve(self, key: AccessKey, *, limit: int | None, now: datetime) -> datetime | None:
        """See `AccessLedger`."""
        reads = self._reads.setdefault(key, [])
        until = budget.slot(reads, limit=limit, closed_until=self._closed.get(key), now=now)
        if until is None:
            reads.append(now)
            self._failures[key] = self._failures.get(key, 0) + 1  # until it has ended well
        return until

    async def close(self, key: AccessKey, until: datetime) -> None:
        """See `AccessLedger`."""
        self._closed[key] = max(until, self._closed.get(key, until))

    async def reads(self, key: AccessKey, now: datetime) -> Sequence[datetime]:
        """See `AccessLedger`."""
        return budget.counted(self._reads.get(key, ()), now)

    async def note_outcome(self, key: AccessKey, *, success: bool, now: datetime) -> int:
        """See `AccessLedger`."""
        if success:
            self._failures.pop(key, None)
        return self._failures.get(key, 0)

    async def failures(self, key: AccessKey) -> int:
        """See `AccessLedger`."""
        return self._failures.get(key, 0)


#: What a scripted bank answers: a value, or an exception to raise.
Answer = Any


class FakeBank:
    """A scripted `BankProvider`. `pages` maps an account's `provider_id` to what its next reads answer; an exception
    among the pages is raised at that place."""

    def __init__(self, name: str = "bank", capabilities: Capabilities | None = None) -> None:
        self.name = name
        self.offers = capabilities or Capabilities()
        self.consent_answer: Answer = Consent(ConsentStatus.VALID)
        self.accounts_answer: Answer = ()
        self.balances_answer: Answer = ()
        self.pages: dict[str, Sequence[Answer]] = {}
        self.calls: list[tuple[Scope, str, Window | None, PsuContext | None]] = []

    def show(self, account: BankAccount, *rows: ReportedTransaction) -> None:
        """Let an account's reads answer these rows, in one page."""
        self.pages[account.provider_id] = [Page(rows)]

    async def capabilities(self, connection: BankConnection) -> Capabilities:
        """See `BankProvider`."""
        return self.offers

    async def consent(self, connection: BankConnection, psu: PsuContext | None) -> Consent:
        """See `BankProvider`."""
        self.calls.append((Scope.CONSENT, connection.id, None, psu))
        answer = self.consent_answer
        return _answered(answer(connection) if callable(answer) else answer)  # type: ignore[no-any-return]  # scripted

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        """See `BankProvider`."""
        self.calls.append((Scope.ACCOUNTS, connection.id, None, psu))
        return _answered(self.accounts_answer)  # type: ignore[no-any-return]  # scripted

    async def balances(
        self, connection: BankConnection, account: BankAccount, psu: PsuContext | None
    ) -> Sequence[Balance]:
        """See `BankProvider`."""
        self.calls.append((Scope.BALANCES, account.provider_id, None, psu))
        return _answered(self.balances_answer)  # type: ignore[no-any-return]  # scripted

    async def transactions(
        self,
        connection: BankConnection,
        account: BankAccount,
        window: Window,
        *,
        cursor: str | None,
        psu: PsuContext | None,
    ) -> AsyncIterator[Page | Delta]:
        """See `BankProvider`."""
        self.calls.append((Scope.TRANSACTIONS, account.provider_id, window, psu))
        answers: Any = self.pages.get(account.provider_id, [Page(())])
        for answer in answers(window, cursor) if callable(answers) else answers:
            yield _answered(answer)

    async def aclose(self) -> None:
        """See `BankProvider`."""


def _answered(answer: Answer) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer
