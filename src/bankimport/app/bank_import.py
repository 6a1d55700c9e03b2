"""`BankImport`: the one object a host constructs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import structlog
from arq.worker import create_worker
from pydantic import ValidationError
from redis.asyncio import Redis

from bankimport.acting import actor, because
from bankimport.app.audit import Audit, facts_of
from bankimport.app.bounds import Bounds, bounded
from bankimport.app.checks import check_period, check_usable, invalid
from bankimport.app.connection_jobs import ConnectionJobs
from bankimport.app.connections import Connections
from bankimport.app.overview import Overview
from bankimport.app.starting import check_redis, check_store, name_unknown_variables
from bankimport.app.subscription import Subscription
from bankimport.app.timetable import timetable
from bankimport.commands import SyncAllOrg, SyncConnection
from bankimport.errors import InvalidRequest, NotFound, Unavailable
from bankimport.events import EVENTS, Event
from bankimport.models import (
    ConnectionDetails,
    ConnectionFilter,
    ConnectionHealth,
    ConnectionPage,
    JobPage,
    JobStatus,
    JobType,
    PsuContext,
    QueueHealth,
    QueueStats,
    ScheduleStatus,
)
from bankimport.ports import BankProvider, BankStore, Clock, RotatesCredentials, SharesTokens
from bankimport.queue.adoption import Adoption
from bankimport.queue.claims import Hooks
from bankimport.queue.connection import connect
from bankimport.queue.filters import JobFilter
from bankimport.queue.gate import Gate
from bankimport.queue.ledger import RedisLedger
from bankimport.queue.notes import RedisNotes
from bankimport.queue.queue import Enqueue, Queue
from bankimport.queue.shelf import RedisShelf
from bankimport.schedules.planner import Planner
from bankimport.settings import Settings
from bankimport.status import JobState
from bankimport.stream import EventStream, behind
from bankimport.telemetry import serve, telemetry, trace_parent, watch_loop
from bankimport.worker.handlers import JobHandlers, Ports
from bankimport.worker.lifecycle import Lifecycle, new_worker_id, stop
from bankimport.worker.listeners import EventHandler, Listeners
from bankimport.worker.run_log import NotedBanks, traced
from bankimport.worker.runner import Runner
from bankimport.worker.settings_class import WorkerSettingsBase, settings_class

if TYPE_CHECKING:
    from aiohttp import web

    from bankimport.web import Authorize, Person, User


_log = structlog.get_logger(__name__)


def utc_now() -> datetime:
    """Return the present instant, aware and in UTC."""
    return datetime.now(UTC)


class BankImport:
    """Imports bank transactions in the background for many organisations.

    Args:
        settings: the environment if None.
        banks: providers by the name that connections carry in `bank`.
        store: where connections, accounts and transactions live.
        clock: the present instant, aware and in UTC.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        banks: Mapping[str, BankProvider],
        store: BankStore,
        clock: Clock = utc_now,
    ) -> None:
        self.settings = settings or Settings.load()
        self.banks = banks
        self.store = store
        self._clock = clock
        self._listeners = Listeners()
        self.bounds = Bounds()
        self._end_serving: Callable[[], None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self.queue = Queue(connect(self.settings, Redis), self.settings)
        jobs = ConnectionJobs(self.queue)
        self.audit = Audit(store, clock, self.bounds)
        self.connections = Connections(store, banks, jobs, self.settings, clock, self.bounds, self.audit)
        self._stream = EventStream(self.queue.client, self.queue.keys)
        ledger = RedisLedger(self.queue)
        self._overview = Overview(self.connections, store, ledger, clock, self.settings.timezone)
        for bank in banks.values():
            if isinstance(bank, RotatesCredentials):
                bank.keep_credentials_with(self.connections.update_credentials)
            if isinstance(bank, SharesTokens):
                bank.share_tokens(RedisShelf(self.queue))

    @classmethod
    def from_env(cls) -> Self:
        """Return an instance configured by the environment alone: the SQL store and the providers of `BANK_SYNC_BANKS`.

        Raises:
            InvalidSettings: naming the variable that is wrong.
            MissingExtra: the SQL store's extra is not installed.
        """
        from bankimport.providers import providers_from_settings
        from bankimport.stores import SqlStore

        settings = Settings.load()
        key = settings.credentials_key
        store = SqlStore(
            settings.database_url.get_secret_value(),
            credentials_key=key.get_secret_value() if key else None,
            environment=settings.environment,
        )
        return cls(settings, banks=providers_from_settings(settings.banks), store=store)

    async def start(self) -> None:
        """Check what we stand on, and begin to serve.

        Raises:
            StartFailed: Redis or the database does not answer; the message says how to mend it.
            SchemaOutdated: the database has another schema than this version's.
        """
        name_unknown_variables()
        await check_redis(self.queue.client, self.settings)
        await check_store(self.store)
        self.bounds.state = "open"
        telemetry.enable()
        self._watching = asyncio.create_task(watch_loop())

    async def aclose(self) -> None:
        """Close all connections, those of the store and the providers too."""
        self.bounds.state = "closed"
        if self._watching is not None:
            self._watching.cancel()
        await self._stream.aclose()
        await self.queue.client.aclose()
        for bank in self.banks.values():
            await bank.aclose()
        await self.store.aclose()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # Asking for work -------------------------------------------------------------------------------------------

    @bounded
    async def schedule_immediate_sync(
        self,
        connection_id: str,
        *,
        org_id: str | None = None,
        force_full_sync: bool = False,
        account_ids: Sequence[str] | None = None,
        start_date: date | None = None,
        end_date: date | None = None,
        triggered_by: str | None = None,
        psu: PsuContext | None = None,
    ) -> str:
        """Ask for the import of one connection now; return the job's id.

        While the same question is being answered its job's id is returned. `psu` is the person who asks, if one does:
        then banks don't count the access (RTS (EU) 2018/389 Art. 36(5)(b)).

        Raises:
            NotFound: no such connection, or not of `org_id`.
            ConnectionUnusable: it is disconnected, or its consent has ended.
            InvalidRequest: a field is wrong.
            TooManyPending: the organisation has `BANK_SYNC_ORG_MAX_PENDING` unfinished jobs.
            Unavailable: Redis or the store can't be reached.
        """
        connection = await self.connections.get(connection_id, org_id=org_id)
        if connection is None:
            raise NotFound("connection")
        check_usable(connection, self._clock())
        check_period(start_date, end_date, self._clock())
        try:
            command = SyncConnection(
                org_id=connection.org_id,
                connection_id=connection.id,
                force_full_sync=force_full_sync,
                account_ids=tuple(account_ids) if account_ids is not None else None,
                start_date=start_date,
                end_date=end_date,
                triggered_by=triggered_by,
                trace_parent=trace_parent(),
            )
        except ValidationError as error:
            raise invalid(error) from None
        return await self._enqueue(Enqueue(command, psu=psu, limit=self.settings.org_max_pending))

    @bounded
    async def schedule_org_sync(
        self,
        org_id: str,
        *,
        connection_ids: Sequence[str] | None = None,
        triggered_by: str | None = None,
    ) -> str:
        """Ask for the import of an organisation's syncable connections, or of those named; return the batch's id.

        Raises:
            NotFound: one of the connections is not the organisation's.
            InvalidRequest, TooManyPending, Unavailable: as for one connection.
        """
        if connection_ids:
            await self.connections.owned(org_id, connection_ids)
        ids = tuple(connection_ids) if connection_ids is not None else None
        try:
            command = SyncAllOrg(
                org_id=org_id, connection_ids=ids, triggered_by=triggered_by, trace_parent=trace_parent()
            )
        except ValidationError as error:
            raise invalid(error) from None
        return await self._enqueue(Enqueue(command, limit=self.settings.org_max_pending))

    async def _enqueue(self, wanted: Enqueue) -> str:
        job_id = await self.queue.enqueue(wanted)
        command = wanted.command
        _log.info("job.scheduled", job_id=job_id, job_type=command.type.value, org_id=command.org_id)
        return job_id

    # Looking at connections ------------------------------------------------------------------------------------

    @bounded
    async def list_connections(self, org_id: str, *, cursor: str | None = None, limit: int = 50) -> ConnectionPage:
        """Return how an organisation's connections stand, in the order of their ids; `limit` 1 to 200.

        Raises:
            InvalidRequest: the limit is wrong.
            Unavailable: the store can't be reached.
        """
        if not 1 <= limit <= 200:
            raise InvalidRequest("/limit", "must be 1 to 200")
        return await self._overview.page(org_id, cursor, limit)

    @bounded
    async def get_connection(self, connection_id: str, org_id: str | None = None) -> ConnectionDetails:
        """Return how a connection stands, with its accounts and their reads.

        Raises:
            NotFound: no such connection, or not `org_id`'s.
            Unavailable: Redis or the store can't be reached.
        """
        connection = await self.connections.get(connection_id, org_id=org_id)
        bank = self.banks.get(connection.bank) if connection is not None else None
        return await self._overview.details(connection_id, org_id, bank)

    @bounded
    async def find_connections(
        self, wanted: ConnectionFilter, *, cursor: str | None = None, limit: int = 50
    ) -> ConnectionPage:
        """Return a page of the connections of all organisations, for operators; `limit` 1 to 200.

        Raises:
            InvalidRequest: the cursor or the limit is wrong.
            NotOffered: the store can't look for them; `SqlStore` can.
            Unavailable: the store can't be reached.
        """
        if not 1 <= limit <= 200:
            raise InvalidRequest("/limit", "must be 1 to 200")
        return await self._overview.search(wanted, cursor, limit)

    @bounded
    async def count_connections(self, wanted: ConnectionFilter) -> Mapping[ConnectionHealth, int]:
        """Return how many connections of all organisations have each health, for operators.

        Raises:
            NotOffered, Unavailable: as for the page.
        """
        return await self._overview.count(wanted)

    # Looking at jobs -------------------------------------------------------------------------------------------

    @bounded
    async def get_job_status(self, job_id: str, org_id: str | None = None) -> JobStatus | None:
        """Return a job's record; None if there is no such job, or it is not `org_id`'s."""
        job = await self.queue.get(job_id)
        return job if job is not None and org_id in (None, job.org_id) else None

    @bounded
    async def list_jobs(
        self,
        org_id: str | None,
        *,
        state: JobState | None = None,
        connection_id: str | None = None,
        type: JobType | None = None,  # noqa: A002  # the contract's name
        error_code: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> JobPage:
        """Return a page of an organisation's jobs, or of all (None), newest first; `limit` 1 to 200.

        Raises:
            InvalidRequest: the cursor or the limit is wrong.
        """
        if not 1 <= limit <= 200:
            raise InvalidRequest("/limit", "must be 1 to 200")
        wanted = JobFilter(org_id=org_id, state=state, connection_id=connection_id, type=type, error_code=error_code)
        return await self.queue.page(wanted, cursor=cursor, limit=limit)

    @bounded
    async def cancel_job(self, job_id: str, org_id: str | None = None) -> None:
        """Cancel a job: one that waits ends there; one that runs stops at its next step, a batch with its children.

        Raises:
            NotFound: no such job, or not `org_id`'s.
            IllegalTransition: it has ended.
        """
        owner = await self._owner(job_id, org_id)
        await self.queue.cancel(job_id)
        await self.audit.note("jobs.cancel", org_id=owner, subject=f"job:{job_id}")

    @bounded
    async def retry_job(self, job_id: str, org_id: str | None = None) -> None:
        """Try a failed job again, with all its retries.

        Raises:
            NotFound: no such job, or not `org_id`'s.
            IllegalTransition: it has not failed.
            Conflict: another job is doing the same.
        """
        owner = await self._owner(job_id, org_id)
        await self.queue.retry(job_id)
        await self.audit.note("jobs.retry", org_id=owner, subject=f"job:{job_id}")

    async def retry_failed(
        self,
        org_id: str | None = None,
        *,
        type: JobType | None = None,  # noqa: A002  # the contract's name
        error_code: str | None = None,
    ) -> int:
        """Try all failed jobs again that match; return how many there are. What was cancelled is not among them."""
        return await self.retry_jobs(JobFilter(org_id=org_id, type=type, error_code=error_code))

    async def retry_jobs(self, wanted: JobFilter) -> int:
        """Try all failed jobs again that a filter means; return how many there are.

        Raises:
            InvalidRequest: the filter names another state.
        """
        jobs = await self.queue.retry_failed(wanted)
        await self.audit.note("jobs.retry", **facts_of(wanted), jobs=jobs)
        return jobs

    @bounded
    async def discard_job(self, job_id: str) -> None:
        """Remove the record of a job that has ended, or cancel one that waits.

        Raises:
            NotFound: no such job.
            IllegalTransition: it runs: cancel it.
        """
        owner = await self._owner(job_id, None)
        await self.queue.discard_one(job_id)
        await self.audit.note("jobs.discard", org_id=owner, subject=f"job:{job_id}")

    async def discard_jobs(self, wanted: JobFilter) -> int:
        """Remove the records of jobs that have ended (the failed ones unless a state is named), or cancel those that
        wait; return how many they are.

        Raises:
            InvalidRequest: jobs of that state can't be discarded.
        """
        jobs = await self.queue.discard(wanted)
        await self.audit.note("jobs.discard", **facts_of(wanted), jobs=jobs)
        return jobs

    async def count_jobs(self, wanted: JobFilter) -> int:
        """Return how many jobs a filter means; counting ends at 10,000."""
        return await self.queue.count(wanted)

    async def _owner(self, job_id: str, org_id: str | None) -> str | None:
        job = await self.get_job_status(job_id, org_id)
        if job is None:
            raise NotFound("job")
        return job.org_id

    # The whole queue -------------------------------------------------------------------------------------------

    @bounded
    async def pause_queue(self, *, until: datetime | None = None, reason: str | None = None) -> None:
        """Let nothing start, in no process, until an instant or until resumed; running jobs finish."""
        if until is not None and (until.tzinfo is None or until <= self._clock()):
            raise InvalidRequest("/until", "must be an instant in the future, with its time zone")
        await self.queue.pause(until, reason)
        with because(reason or actor().reason):
            await self.audit.note("queue.pause", until=until.isoformat() if until else None)

    @bounded
    async def resume_queue(self) -> None:
        """Let jobs start again."""
        await self.queue.resume()
        await self.audit.note("queue.resume")

    @bounded
    async def get_schedules(self) -> Sequence[ScheduleStatus]:
        """Return when the schedules were due and are due next, and what became of the last due time."""
        return await timetable(self.queue, self._clock())

    @bounded
    async def get_queue_stats(self) -> QueueStats:
        """Return how many jobs are in each state."""
        return await self.queue.stats()

    async def get_queue_health(self) -> QueueHealth:
        """Return the queue's health: ill exactly while there is an alert. Redis being away is one."""
        return await self.queue.health()  # bounded by itself, so that it can say why

    async def count_consents_ending(self) -> Mapping[int, int]:
        """Return how many consents end within 1, 3, 7 and 14 days, those that have ended left out; nothing while the
        store is away. It is counted once a minute."""
        try:
            return await self.bounds.within(self._overview.consents_ending())
        except Unavailable:
            return {}

    # Being told ------------------------------------------------------------------------------------------------

    def on(self, pattern: str, handler: EventHandler) -> None:
        """Call `handler` in the worker that emits an event whose name matches (`bank.sync.*`); async or plain.

        Raises:
            ValueError: no event has such a name.
            TypeError: the handler can't be called.
        """
        if not any(fnmatchcase(name, pattern) for name in EVENTS):
            nearest = get_close_matches(pattern, EVENTS, 1, 0)
            raise ValueError(
                f"no event is called {pattern!r}; did you mean {nearest[0]!r}? See docs/reference/events.md"
            )
        if not callable(handler):
            raise TypeError(f"the handler of {pattern!r} must be a function of the event, not {handler!r}")
        self._listeners.on(pattern, handler)

    def follow(self, job_id: str, *, org_id: str | None = None, after: str | None = None) -> AsyncIterator[Event]:
        """Yield a job's events from its beginning, or after an event's id; end after the terminal one.

        Raises:
            NotFound: there is no such job.
            InvalidRequest: `after` is no id.
            Unavailable: Redis can't be reached.
        """
        return self._stream.follow(job_id, after, org_id=org_id, record=self.queue.get)

    def events(
        self, *, org_id: str | None = None, job_id: str | None = None, after: str | None = None
    ) -> AsyncIterator[Event]:
        """Yield events as they happen, of one organisation or of all; first those after an id, without a gap unless a
        `bank.stream.gap` says so.

        Raises:
            InvalidRequest, Unavailable: as `follow`.
        """
        return self._stream.events(org_id=org_id, job_id=job_id, after=after)

    async def subscribe(
        self,
        *,
        org_id: str | None = None,
        job_id: str | None = None,
        after: str | None = None,
        heartbeat: timedelta = timedelta(seconds=10),
    ) -> Subscription:
        """Return events for a stream of the host's own: of an organisation, of one job, or of all.

        What is wrong is raised here, before the first byte of an answer. With `job_id` and no `after` it begins with
        the job's first event; else now, or after the id of an event.

        Raises:
            NotFound: there is no such job, or it is not `org_id`'s.
            InvalidRequest: `after` is no id.
            Unavailable: Redis can't be reached.
        """
        if job_id is not None:
            job = await self.get_job_status(job_id, org_id)
            if job is None:
                raise NotFound("job")
            after = str(behind(after, job))
        follower = await self.bounds.within(self._stream.subscribe(org_id=org_id, job_id=job_id, after=after))
        return Subscription(follower, heartbeat)

    def consume(
        self, group: str, consumer: str, names: Sequence[str] = ("*",), *, start: str = "$"
    ) -> AsyncIterator[Event]:
        """Yield events to one consumer of a group, at least once each: asking for the next acknowledges the last.

        What a consumer held that died is given to another. `start` is where a new group begins: `$` now, `0` all that
        is held, or an event's id.
        """
        return self._stream.consume(group, consumer, names, start=start)

    # Being asked over HTTP -------------------------------------------------------------------------------------

    def web_app(
        self,
        *,
        authorize: "Authorize",
        person: "Person | None" = None,
        trusted_proxies: Sequence[str] = (),
        allowed_origins: Sequence[str] = (),
        host_parameters: Sequence[str] = (),
        public_url: str | None = None,
        user: "User | None" = None,
        followers_per_organisation: int = 1000,
    ) -> "web.Application":
        """Return the routes of docs/reference/http.md, for a host's `add_subapp`.

        Args:
            authorize: `async (request, action, org_id) -> bool`; action is `read`, `sync` or `operate`, which is asked
                with `org_id` None. Only `True` lets in.
            person: `async (request) -> PsuContext | None` says who asks for a sync just now; without it the request's
                own public address and browser do.
            trusted_proxies: addresses or networks whose `X-Forwarded-For` is believed.
            allowed_origins: pages of these origins may use the routes too (`https://app.example`).
            host_parameters: parameters of the query that are the host's own, such as the token of a WebSocket.
            public_url: what clients see before the host's own paths, where a proxy adds a prefix.
            user: `async (request) -> str | None` says who is signed in: only who began to connect a bank can end it.
                Without it that is the same browser, by a cookie of ours.
            followers_per_organisation: more live followers than this are refused with 429.

        Raises:
            TypeError: `authorize` is None, or no async function.
            ValueError: another option is wrong.
        """
        from bankimport.web import RedisAnswers, web_app

        return web_app(
            self,
            authorize=authorize,
            events=self._stream,
            answers=RedisAnswers(self.queue.client, self.queue.keys),
            person=person,
            trusted_proxies=trusted_proxies,
            allowed_origins=allowed_origins,
            host_parameters=host_parameters,
            public_url=public_url,
            user=user,
            requests_per_minute=self.settings.org_requests_per_minute,
            followers_per_organisation=followers_per_organisation,
        )

    # Working ---------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Run a worker in this process, on this event loop, for as long as the context is open.

        For tests and small deployments; a job's own code shares the loop with the host's. On leaving, running jobs are
        given back.
        """
        settings: Any = self.worker_settings(closing=False)
        worker = create_worker(settings, handle_signals=False)
        working = asyncio.create_task(worker.async_run())
        try:
            yield
        finally:
            await stop(worker, working)

    def worker_settings(self, *, closing: bool = True) -> type[WorkerSettingsBase]:
        """Return the class for the `arq` command; its own `__dict__` is complete.

        The worker closes this object as it stops, and has its process for itself, unless `closing` is false.
        """
        planner = Planner(self.queue, self.store, self._clock)
        gate = connect(self.settings, Gate)
        gate.attach(self.queue, Hooks(new_worker_id(), self.settings.concurrency, serve_tick=planner.serve))
        banks, ledger = NotedBanks(self.banks), RedisLedger(self.queue)
        ports = Ports(banks, traced(self.store), ledger, RedisNotes(self.queue), self._clock)
        runner = Runner(self.queue, gate, JobHandlers(self.queue, ports, planner.plan).all())
        adoption = Adoption(self.queue, self._org_of)
        lifecycle = Lifecycle(
            self.queue,
            gate,
            adoption,
            prepare=self._prepare_alone if closing else self._prepare,
            dispose=self._dispose if closing else self._listeners.drain,
            on_start=[planner.catch_up],
            alone=closing,
            trouble=runner.trouble,
        )
        return settings_class(self.settings, gate, runner, lifecycle, planner.cron_jobs(), adoption)

    async def _org_of(self, connection_id: str) -> str | None:
        connection = await self.store.connection(connection_id)
        return connection.org_id if connection else None

    async def _prepare(self) -> None:
        if self._listeners:
            self.queue.scripts.listener = self._listeners.tell
        if self.bounds.state != "open":
            await self.start()

    async def _prepare_alone(self) -> None:
        await self._prepare()
        if self.settings.metrics_port:
            self._end_serving = serve(self.settings.metrics_port, self.settings.metrics_address)

    async def _dispose(self) -> None:
        if self._end_serving is not None:
            self._end_serving()
        await self._listeners.drain()
        await self.aclose()
