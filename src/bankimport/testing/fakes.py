"""Fakes of the ports for hosts' own tests: in memory, deterministic, keeping to the contracts of `bankimport.ports`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from bankimport.access import budget
from bankimport.events import EventData
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
from bankimport.ports import AccessHistory, AccessKey, Asks, CountedRead, Met
from bankimport.progress import IfFailed


@dataclass
class FakeRun:
    """A `JobRun` that notes what it is told. Set `error` to interrupt the run at its next check."""

    job_id: str = "job-1"
    org_id: str = "org-1"
    fence: int = 1
    psu: PsuContext | None = None
    error: Exception | None = None
    if_failed: IfFailed | None = None
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
        self.empty()

    def empty(self) -> None:
        """Forget everything, as a Redis without a disk does when it restarts."""
        self._reads: dict[AccessKey, list[CountedRead]] = {}
        self._closed: dict[AccessKey, datetime] = {}
        self._failures: dict[tuple[AccessKey, str], int] = {}
        self._met: dict[str, Met] = {}

    async def reserve(
        self, key: AccessKey, read: CountedRead, *, limit: int | None, zone: tzinfo | None, begins: bool
    ) -> datetime | None:
        """See `AccessLedger`."""
        reads = self._reads.setdefault(key, [])
        history = AccessHistory(tuple(reads), 0, self._closed.get(key))
        until = budget.slot(history, asks=read.asks, limit=limit, now=read.at, zone=zone)
        if until is None:
            reads.append(read)
            if begins:  # failed until it has ended well
                failures = self._failures.get((key, read.connection_id), 0)
                more = failures + 1 if read.asks is Asks.PLANNED else max(failures, 1)
                self._failures[key, read.connection_id] = more
        return until

    async def note_success(self, key: AccessKey, connection_id: str) -> None:
        """See `AccessLedger`."""
        self._failures.pop((key, connection_id), None)

    async def close(self, key: AccessKey, until: datetime) -> None:
        """See `AccessLedger`."""
        self._closed[key] = max(until, self._closed.get(key, until))

    async def history(self, key: AccessKey, connection_id: str, since: datetime) -> AccessHistory:
        """See `AccessLedger`."""
        reads = tuple(read for read in self._reads.get(key, ()) if read.at > since)
        return AccessHistory(reads, self._failures.get((key, connection_id), 0), self._closed.get(key))

    async def met(self, connection_id: str) -> Met | None:
        """See `AccessLedger`."""
        return self._met.get(connection_id)

    async def meet(self, connection_id: str, met: Met) -> None:
        """See `AccessLedger`."""
        self._met[connection_id] = met


class MemoryNotes:
    """`JobNotes` in memory."""

    def __init__(self) -> None:
        self._notes: dict[str, dict[str, str]] = {}

    async def load(self, job_id: str) -> Mapping[str, str]:
        """See `JobNotes`."""
        return dict(self._notes.get(job_id, {}))

    async def put(self, job_id: str, account_id: str, note: str) -> None:
        """See `JobNotes`."""
        self._notes.setdefault(job_id, {})[account_id] = note


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
