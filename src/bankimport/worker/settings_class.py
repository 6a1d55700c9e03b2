"""The class that `arq` is given: arq reads only its own `__dict__` (issue 472), so all of it stands there."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from arq.connections import RedisSettings
from arq.cron import CronJob
from arq.utils import to_seconds
from arq.worker import func

from bankimport.commands import COMMANDS
from bankimport.queue.adoption import Adoption
from bankimport.queue.gate import Gate, never
from bankimport.settings import Settings
from bankimport.worker.host_functions import HostFunctions
from bankimport.worker.job_hooks import NAMES, Hook
from bankimport.worker.lifecycle import Lifecycle
from bankimport.worker.runner import Runner

#: A worker waits this long for running jobs after SIGTERM, then gives them back.
SHUTDOWN_WAIT = 30


class WorkerSettingsBase:
    """What a generated settings class and its subclasses share."""

    redis_pool: Gate
    max_jobs: int
    functions: Sequence[Any]
    cron_jobs: Sequence[CronJob]
    job_completion_wait: float
    #: a plain function in a class body is a method to a type checker, and arq calls it without the class
    on_startup: Any
    on_shutdown: Any
    #: takes in what a subclass adds
    _take_in: Callable[[type["WorkerSettingsBase"]], None]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Copy into a subclass what it inherits, and take in what it adds."""
        super().__init_subclass__(**kwargs)
        for parent in cls.__mro__[1:]:
            for name, value in vars(parent).items():
                if not name.startswith("_") and name not in vars(cls):
                    setattr(cls, name, value)
        cls._take_in(cls)


class _Hosts:
    """Takes in what a host adds in a subclass of the settings: functions, cron jobs and hooks, and numbers."""

    def __init__(
        self,
        settings: Settings,
        gate: Gate,
        runner: Runner,
        lifecycle: Lifecycle,
        adoption: Adoption,
        ours: Collection[str],
    ) -> None:
        self._gate_hooks = gate.hooks
        self._runner = runner
        self._lifecycle = lifecycle
        self._adoption = adoption
        self._ours = ours
        self._functions = HostFunctions(runner, settings.job_timeout)
        #: a host's `on_startup` or `on_shutdown`, by that of ours which calls it
        self._theirs: dict[Hook, Hook | None] = {}

    def take_in(self, cls: type[WorkerSettingsBase]) -> None:
        """Serve what a class adds; what it says of tries and time holds where a function says nothing."""
        said = vars(cls)
        self._read(cls)
        cls.on_startup, cls.on_shutdown = self._starts(cls), self._stops(cls)
        for function in map(func, cls.functions):
            if function.name not in COMMANDS:
                self._functions.add(function, tries=said.get("max_tries"), limit=to_seconds(said.get("job_timeout")))
                self._adoption.functions.add(function.name)
        for job in cls.cron_jobs or ():
            if job.name not in self._ours:
                self._functions.add_cron(job)
                self._gate_hooks.host_crons.add(job.name)

    def _read(self, cls: type[WorkerSettingsBase]) -> None:
        self._gate_hooks.slots, self._gate_hooks.grace = cls.max_jobs, cls.job_completion_wait
        hooks = {name: getattr(cls, name, None) for name in NAMES}
        self._runner.job_hooks.hooks = {name: hook for name, hook in hooks.items() if hook is not None}

    def _starts(self, cls: type[WorkerSettingsBase]) -> Hook:
        """Return `on_startup`: a host's, which may make what its jobs need, and then ours."""
        theirs = self._of_host(cls, "on_startup")

        async def start(ctx: dict[Any, Any]) -> None:
            if theirs is not None:
                await theirs(ctx)
            self._read(cls)
            self._runner.job_hooks.context = ctx
            await self._lifecycle.start(ctx)

        self._theirs[start] = theirs
        return start

    def _stops(self, cls: type[WorkerSettingsBase]) -> Hook:
        """Return `on_shutdown`: ours, which ends the jobs, and then a host's."""
        theirs = self._of_host(cls, "on_shutdown")

        async def stop(ctx: dict[Any, Any]) -> None:
            await self._lifecycle.stop(ctx)
            if theirs is not None:
                await theirs(ctx)

        self._theirs[stop] = theirs
        return stop

    def _of_host(self, cls: type[WorkerSettingsBase], name: str) -> Hook | None:
        """Return a host's own, though its class has it from a parent, in which it was taken in."""
        hook: Hook | None = getattr(cls, name, None)
        return self._theirs.get(hook, hook) if hook is not None else None


def settings_class(
    settings: Settings,
    gate: Gate,
    runner: Runner,
    lifecycle: Lifecycle,
    cron_jobs: Sequence[CronJob],
    adoption: Adoption,
) -> type[WorkerSettingsBase]:
    """Return the settings class of a worker."""
    hosts = _Hosts(settings, gate, runner, lifecycle, adoption, {job.name for job in cron_jobs})
    return type(
        "WorkerSettings",
        (WorkerSettingsBase,),
        {
            "functions": [func(never, name=name) for name in sorted(COMMANDS)],
            "cron_jobs": list(cron_jobs),
            "queue_name": settings.queue_name,
            "redis_pool": gate,
            "redis_settings": redis_settings(settings),
            "health_check_key": f"{settings.queue_name}:health-check",
            "health_check_interval": 30,
            "max_jobs": settings.concurrency,
            "job_completion_wait": SHUTDOWN_WAIT,
            "timezone": settings.timezone,
            "_take_in": staticmethod(hosts.take_in),
        },
    )


def redis_settings(settings: Settings) -> RedisSettings:
    """Return arq's own settings, for `arq --check`, which opens a pool of its own (arq.md 24)."""
    password = settings.redis_password.get_secret_value() if settings.redis_password else None
    sentinels = list(settings.redis_sentinels)
    return RedisSettings(
        host=sentinels or settings.redis_host,
        port=settings.redis_port,
        database=settings.redis_db,
        username=settings.redis_username,
        password=password,
        ssl=settings.redis_ssl,
        ssl_ca_certs=settings.redis_ssl_ca_certs,
        ssl_check_hostname=settings.redis_ssl,
        sentinel=bool(sentinels),
        sentinel_master=settings.redis_sentinel_master,
    )
