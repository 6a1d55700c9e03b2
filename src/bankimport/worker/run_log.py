"""What is said of each run: one line as it starts, one as it ends, and what every line in between carries."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, cast

import structlog

from bankimport.events import Event, ProgressAdvanced
from bankimport.ports import BankProvider, BankStore
from bankimport.queue.run import Run
from bankimport.status import ConnectionStatus
from bankimport.telemetry import BANK, rows_changed, run_ended, span

log = structlog.get_logger(__name__)

#: How loud the end of a run is: what an operator has to look at is an error, what mends itself a warning at most.
_LOUDNESS = {
    "completed": "info",
    "fanned-out": "info",
    "cancelled": "info",
    "given-back": "info",
    "retried": "warning",
    "lost": "warning",
    "failed": "error",
}


class RunLog:
    """The story of one run. `ended` is told once; whoever tells first is right."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._log = run.log
        self._began = time.monotonic()
        #: what `ended` was told
        self.outcome = ""

    def began(self) -> None:
        """Say that the run starts."""
        self._log.info("job.started")

    def ended(self, outcome: str, *, error_code: str | None = None, result: Mapping[str, Any] | None = None) -> None:
        """Say how the run ended, in the log and to the metrics."""
        if self.outcome:
            return
        self.outcome = outcome
        seconds, claim = time.monotonic() - self._began, self._run.claim
        rows = (result or {}).get("transactionsSynced")
        fields = {"error_code": error_code, "rows": rows if isinstance(rows, int) else None}
        say = getattr(self._log, _LOUDNESS[outcome])
        shown = {name: value for name, value in fields.items() if value is not None}
        if outcome == "lost":
            self._log.warning("job.lease_lost", worker=self._run.worker_id)
        say("job.finished", outcome=outcome, duration_ms=round(1000 * seconds), **shown)
        waited = max(0.0, time.time() - seconds - claim.queued_ms / 1000) if claim.attempts == 0 else None
        run_ended(claim.type, outcome, error_code or "", seconds, waited=waited, runs=claim.attempts + 1)
        rows_changed(result or {})


def story_of(run: Run) -> RunLog:
    """Begin a run's story, and bind what every line of it carries: its task has a context of its own."""
    claim = run.claim
    fields = {"job_id": run.job_id, "job_type": claim.type, "org_id": run.org_id, "attempt": claim.attempts + 1}
    connection = claim.data.get("connectionId")
    if isinstance(connection, str):
        fields["connection_id"] = connection
    structlog.contextvars.bind_contextvars(**{name: value for name, value in fields.items() if value != ""})
    story = RunLog(run)
    story.began()
    return story


def span_of(run: Run) -> AbstractContextManager[Any]:
    """Return the span of a run, a child of the request that asked for it."""
    parent = run.claim.data.get("traceParent")
    return span(f"job {run.claim.type}", kind="consumer", parent=parent if isinstance(parent, str) else None)


class NotedBanks(Mapping[str, BankProvider]):
    """The providers by name; who asks for one lets the lines and the numbers of its run name it."""

    def __init__(self, banks: Mapping[str, BankProvider]) -> None:
        self._banks = banks

    def __getitem__(self, name: str) -> BankProvider:
        bank = self._banks[name]
        BANK.set(name)
        structlog.contextvars.bind_contextvars(bank=name)
        return bank

    def __iter__(self) -> Iterator[str]:
        return iter(self._banks)

    def __len__(self) -> int:
        return len(self._banks)


def state_changed(event: Event) -> None:
    """Say what became of a job, the end of a batch among it, which no run of its own is there to tell."""
    if event.name != ProgressAdvanced.name:
        log.debug("job.state", event_name=event.name, job_id=event.job_id, org_id=event.org_id)


class _TracedStore:
    """A store whose writes of rows are spans, and whose connections' changes of state are told."""

    def __init__(self, store: BankStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def apply(self, *args: Any, **kwargs: Any) -> bool:
        """See `BankStore`."""
        with span("store apply"):
            return await self._store.apply(*args, **kwargs)

    async def set_connection_status(
        self,
        connection_id: str,
        from_: Iterable[ConnectionStatus],
        to: ConnectionStatus,
        reason: str | None = None,
    ) -> bool:
        """See `BankStore`."""
        changed = await self._store.set_connection_status(connection_id, from_, to, reason)
        if changed:
            log.debug("connection.status", connection_id=connection_id, status=to.value, reason=reason)
        return changed


def traced(store: BankStore) -> BankStore:
    """Return the store, its writes as spans and its connections' changes of state as lines."""
    return cast(BankStore, _TracedStore(store))
