"""`BankImport`, the one object a host constructs: the service's calls, started, mounted and put to work."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from difflib import get_close_matches
from fnmatch import fnmatchcase
from types import TracebackType
from typing import TYPE_CHECKING, Self

from bankimport.app.starting import check_redis, check_store, ending_in_one_line, name_unknown_variables
from bankimport.events import EVENTS, Event
from bankimport.ports import BankProvider, BankStore, Clock
from bankimport.queue.adoption import Adoption
from bankimport.queue.claims import Hooks
from bankimport.queue.gate import Gate
from bankimport.redis.connection import connect
from bankimport.schedules.planner import Planner
from bankimport.service import Service
from bankimport.service.core import utc_now
from bankimport.settings import Settings
from bankimport.stores.redis.ledger import RedisLedger
from bankimport.stores.redis.notes import RedisNotes
from bankimport.telemetry import serve, telemetry, watch_loop
from bankimport.worker.handlers import JobHandlers, Ports
from bankimport.worker.lifecycle import Lifecycle, new_worker_id
from bankimport.worker.listeners import EventHandler, Listeners
from bankimport.worker.run_log import NotedBanks, state_changed, traced
from bankimport.worker.runner import Runner
from bankimport.worker.settings_class import WorkerSettingsBase, settings_class
from bankimport.worker.stopping import working
from bankimport.worker.telling import tellers, watching

if TYPE_CHECKING:
    from aiohttp import web

    from bankimport.web import Authorize, Person, User


class BankImport(Service):
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
        super().__init__(settings, banks=banks, store=store, clock=clock)
        self._listeners = Listeners()
        self._end_serving: Callable[[], None] | None = None
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    def from_env(cls) -> Self:
        """Return an instance configured by the environment alone: the SQL store and the providers of `BANK_SYNC_BANKS`.

        Raises:
            InvalidSettings: naming the variable that is wrong.
            MissingExtra: the SQL store's extra is not installed.
        """
        from bankimport.providers import providers_from_settings
        from bankimport.stores import SqlStore

        with ending_in_one_line():
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
        with ending_in_one_line():
            await check_redis(self.queue.client, self.settings)
            await check_store(self.store)
        self.bounds.state = "open"
        telemetry.enable()
        self._watching = asyncio.create_task(watch_loop())

    async def aclose(self) -> None:
        """Close all connections, those of the store and the providers too."""
        if self._watching is not None:
            self._watching.cancel()
        await self._close()

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
                Without it that is the same browser, by a cookie of ours. It and `person` have a second each.
            followers_per_organisation: more live followers than this are refused with 429.

        Raises:
            TypeError: `authorize` is None, or no async function.
            ValueError: another option is wrong.
        """
        from bankimport.web import RedisAnswers, web_app

        return web_app(
            self,
            authorize=authorize,
            events=self.stream,
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

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Run a worker in this process, on this event loop, for as long as the context is open.

        For tests and small deployments; a job's own code shares the loop with the host's. On leaving, running jobs are
        given back.
        """
        async with working(self.worker_settings(closing=False)):
            yield

    def worker_settings(self, *, closing: bool = True) -> type[WorkerSettingsBase]:
        """Return the class for the `arq` command; its own `__dict__` is complete.

        The worker closes this object as it stops, and has its process for itself, unless `closing` is false.
        """
        planner = Planner(self.queue, self.store, self._clock)
        gate = connect(self.settings, Gate)
        gate.attach(self.queue, Hooks(new_worker_id(), self.settings.concurrency, serve_tick=planner.serve))
        banks, ledger = NotedBanks(self.banks), RedisLedger(self.queue, self.figures.deferred)
        ports = Ports(banks, traced(self.store), ledger, RedisNotes(self.queue), self._clock)
        runner = Runner(self.queue, gate, JobHandlers(self.queue, ports, planner.plan).all())
        adoption = Adoption(self.queue, self._org_of)
        deliverers = tellers(self.store, self.audit, self.settings, self._clock)
        lifecycle = Lifecycle(
            self.queue,
            gate,
            adoption,
            prepare=self._prepare_alone if closing else self._prepare,
            dispose=self._dispose if closing else self._listeners.drain,
            on_start=[planner.catch_up],
            beside=deliverers,
            alone=closing,
            trouble=runner.trouble,
            watch=watching(deliverers),
        )
        return settings_class(self.settings, gate, runner, lifecycle, planner.cron_jobs(), adoption)

    async def _org_of(self, connection_id: str) -> str | None:
        connection = await self.store.connection(connection_id)
        return connection.org_id if connection else None

    async def _prepare(self) -> None:
        if self._listeners or self.settings.log_level == "DEBUG":
            self.queue.scripts.listener = self._tell
        if self.bounds.state != "open":
            await self.start()

    def _tell(self, event: Event) -> None:
        state_changed(event)
        self._listeners.tell(event)

    async def _prepare_alone(self) -> None:
        await self._prepare()
        if self.settings.metrics_port:
            self._end_serving = serve(self.settings.metrics_port, self.settings.metrics_address)

    async def _dispose(self) -> None:
        if self._end_serving is not None:
            self._end_serving()
        await self._listeners.drain()
        await self.aclose()
