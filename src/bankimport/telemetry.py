"""What a process tells of itself: numbers for Prometheus, spans for OpenTelemetry; nothing where neither is installed.

Labels are bounded: types, outcomes, error codes, banks by their configured names, scopes, classes of a status. Never an
organisation, a connection or an id.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from bankimport.errors import InvalidSettings, MissingExtra

if TYPE_CHECKING:
    pass

#: The bank that is being asked, by its configured name.
BANK: ContextVar[str] = ContextVar("bankimport.bank", default="")
#: W3C Trace Context; what travels with a job from the request to the worker.
TRACE_PARENT: Final = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_SECONDS = (0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 3600)
_ATTEMPTS = (1, 2, 3, 4)
_CHANGES = (("new", "newTransactions"), ("changed", "updatedTransactions"), ("quarantined", "quarantined"))


class Numbers:
    """The counters and histograms of this process; it needs the extra `metrics`."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry: CollectorRegistry = CollectorRegistry()
        more: dict[str, Any] = {"registry": self.registry, "namespace": "bankimport"}
        of_job = ("type", "bank")
        self.runs = Counter(
            "job_runs", "runs of jobs that ended in this process", (*of_job, "outcome", "error_code"), **more
        )
        self.duration = Histogram("job_duration_seconds", "how long runs took", of_job, buckets=_SECONDS, **more)
        self.waited = Histogram(
            "job_wait_seconds", "from queued to the first run's start", ("type",), buckets=_SECONDS, **more
        )
        self.attempts = Histogram("job_attempts", "runs of a job up to its end", ("type",), buckets=_ATTEMPTS, **more)
        self.rows = Counter("rows", "transactions by what became of them", ("bank", "change"), **more)
        self.deferred = Counter("reads_deferred", "reads that the bank's quota allows later", ("bank",), **more)
        self.requests = Histogram(
            "bank_request_seconds", "requests to banks", ("bank", "scope", "status"), buckets=_SECONDS, **more
        )
        self.leases = Gauge("leases", "runs under way in this worker, each under a lease", **more)
        self.starts_refused = Counter("starts_refused", "claims that the limit of starts cut short", **more)
        self.reads_refused = Counter(
            "reads_refused", "requests to banks that weren't allowed yet", ("bank", "scope", "why"), **more
        )
        self.event_lag = Histogram(
            "event_lag_seconds", "from an event to the process that hands it on", buckets=_SECONDS, **more
        )
        self.refused = Counter("requests_refused", "requests of clients refused by a limit", ("limit",), **more)
        self.loop_lag = Gauge("event_loop_lag_seconds", "how late a timer was served, the worst of 10 s", **more)


class _Telemetry:
    """This process's numbers, made when somebody will read them."""

    def __init__(self) -> None:
        self.numbers: Numbers | None = None

    def enable(self) -> Numbers | None:
        """Begin to count, if the extra `metrics` is installed."""
        if self.numbers is None:
            with contextlib.suppress(ModuleNotFoundError):
                self.numbers = Numbers()
        return self.numbers


telemetry = _Telemetry()


def serve(port: int, address: str) -> Callable[[], None]:
    """Serve this process's numbers on a port of its own, from a thread, so that nothing holds it up; return its end.

    Raises:
        MissingExtra: the extra `metrics` is not installed.
        InvalidSettings: the port is taken.
    """
    numbers = telemetry.enable()
    if numbers is None:
        raise MissingExtra("metrics", "BANK_SYNC_METRICS_PORT")
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, address, numbers.registry)
    except OSError as error:
        raise InvalidSettings(f"BANK_SYNC_METRICS_PORT: {address}:{port} can't be listened on") from error

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join(2)

    return end


@contextlib.contextmanager
def bank_request(scope: str) -> Iterator[Callable[[int], None]]:
    """Time a request to a bank as a span and a number; what is yielded is told the status of its answer."""
    began = time.monotonic()
    seen: list[int] = []
    try:
        with span(f"bank {scope}", kind="client", bank=BANK.get()) as current:

            def answered(status: int) -> None:
                seen.append(status)
                if current is not None:
                    current.set_attribute("http.response.status_code", status)

            yield answered
    finally:
        if (numbers := telemetry.numbers) is not None:
            kind = f"{seen[0] // 100}xx" if seen else "none"
            numbers.requests.labels(BANK.get(), scope, kind).observe(time.monotonic() - began)


def refused(limit: str) -> None:
    """Count a request that a limit refused."""
    if (numbers := telemetry.numbers) is not None:
        numbers.refused.labels(limit).inc()


def start_refused() -> None:
    """Count a claim after which jobs are left in line because of the limit of starts."""
    if (numbers := telemetry.numbers) is not None:
        numbers.starts_refused.inc()


def read_refused(bank: str, scope: str, why: str) -> None:
    """Count a request to a bank that the ledger doesn't allow yet: for the bank's `quota`, or as it is `closed`."""
    if (numbers := telemetry.numbers) is not None:
        numbers.reads_refused.labels(bank, scope, why).inc()


def lease_held() -> contextlib.AbstractContextManager[object]:
    """Return a context in which this worker holds one lease more."""
    numbers = telemetry.numbers
    return contextlib.nullcontext() if numbers is None else numbers.leases.track_inprogress()


def events_read(seconds: float) -> None:
    """Note how old the oldest event was that was read just now for those who follow."""
    if (numbers := telemetry.numbers) is not None:
        numbers.event_lag.observe(seconds)


def run_ended(kind: str, outcome: str, error_code: str, seconds: float, *, waited: float | None, runs: int) -> None:
    """Count a run; `waited` is of its first run, `runs` all of the job's so far."""
    if (numbers := telemetry.numbers) is None:
        return
    bank = BANK.get()
    numbers.runs.labels(kind, bank, outcome, error_code).inc()
    numbers.duration.labels(kind, bank).observe(seconds)
    if waited is not None:
        numbers.waited.labels(kind).observe(waited)
    if outcome in ("completed", "failed", "cancelled"):
        numbers.attempts.labels(kind).observe(runs)


def rows_changed(result: Mapping[str, Any]) -> None:
    """Count what a sync's result says of rows and of reads that were put off."""
    if (numbers := telemetry.numbers) is None:
        return
    bank = BANK.get()
    for change, name in _CHANGES:
        if isinstance(number := result.get(name), int) and number > 0:
            numbers.rows.labels(bank, change).inc(number)
    if deferred := result.get("deferred"):
        numbers.deferred.labels(bank).inc(len(deferred))


async def watch_loop() -> None:
    """Measure how late the event loop comes to its timers, until cancelled."""
    worst: list[float] = []
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.25)
        worst = [*worst[-39:], max(0.0, time.monotonic() - before - 0.25)]
        if (numbers := telemetry.numbers) is not None:
            numbers.loop_lag.set(max(worst))


# Traces ------------------------------------------------------------------------------------------------------------


def span(
    name: str, *, kind: str = "internal", parent: str | None = None, **attributes: str | int
) -> contextlib.AbstractContextManager[Any]:
    """Run what is inside as a span, where the OpenTelemetry API is installed; `parent` is a `traceparent`.

    An exception marks the span by its kind; its text, which may hold anything, stays out.
    """
    api = _opentelemetry()
    if api is None or (parent is None and isinstance(api[0].get_tracer_provider(), api[0].ProxyTracerProvider)):
        return _NO_SPAN  # nobody has set up traces: a span would be its parent's context again
    return _span(api, name, kind, parent, attributes)


_NO_SPAN: Final = contextlib.nullcontext()


@contextlib.contextmanager
def _span(
    api: tuple[Any, Any], name: str, kind: str, parent: str | None, attributes: Mapping[str, str | int]
) -> Iterator[Any]:
    trace, propagate = api
    context = propagate.extract({"traceparent": parent}) if parent and TRACE_PARENT.fullmatch(parent) else None
    with trace.get_tracer("bankimport").start_as_current_span(
        name,
        context=context,
        kind=trace.SpanKind[kind.upper()],
        attributes={f"bankimport.{key}": value for key, value in attributes.items()},
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_status(trace.Status(trace.StatusCode.ERROR, type(error).__name__))
            raise


def trace_parent() -> str | None:
    """Return the `traceparent` of the current span, for what goes on elsewhere; None if there is none."""
    api = _opentelemetry()
    if api is None:
        return None
    api[1].inject(carrier := dict[str, str]())
    found = carrier.get("traceparent")
    return found if found and TRACE_PARENT.fullmatch(found) else None


@cache
def _opentelemetry() -> tuple[Any, Any] | None:
    """Return the API's modules. Looked for once: an import that fails searches the whole path each time."""
    try:
        from opentelemetry import propagate, trace
    except ModuleNotFoundError:
        return None
    return trace, propagate
