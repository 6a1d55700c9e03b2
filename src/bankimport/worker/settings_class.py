"""The class that `arq` is given: arq reads only its own `__dict__` (issue 472), so all of it stands there."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from arq.connections import RedisSettings
from arq.cron import CronJob
from arq.worker import Function

from bankimport.models import JobType
from bankimport.queue.adoption import Adoption
from bankimport.queue.gate import Gate
from bankimport.queue.payloads import deserialize, serialize
from bankimport.settings import Settings
from bankimport.worker.host_functions import HostFunctions
from bankimport.worker.lifecycle import Lifecycle
from bankimport.worker.runner import Runner

#: arq waits this long for running jobs after SIGTERM, then gives them back.
SHUTDOWN_WAIT = 30
#: The poll of arq between two reads; the gate's read itself waits while there is nothing to do. No read begins sooner
#: after another, so this bounds the jobs that a worker starts: at 2 ms it was idle for two fifths of its time.
POLL = 0.0003
#: arq is told of more places than there are, so that it always reads, and the gate, which claims for those there are,
#: says when there is something: where arq is full it doesn't read, and polls instead.
_MORE = 10
#: arq's own limit of tries is none: ours bites first.
_NO_LIMIT = 1_000_000
#: arq's payload lives this long beyond its due time (arq.md 7).
_EXPIRES_EXTRA_MS = 30 * 24 * 3600 * 1000


class WorkerSettingsBase:
    """What a generated settings class and its subclasses share."""

    redis_pool: Gate
    max_jobs: int
    functions: Sequence[Any]
    cron_jobs: Sequence[CronJob]
    max_tries: int
    job_timeout: float
    #: wraps functions and cron jobs of the host's own
    _host: Callable[[type["WorkerSettingsBase"], Any], Function]
    _host_cron: Callable[[CronJob], CronJob]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Copy into a subclass what it inherits, and give the gate as many places as `max_jobs` says."""
        super().__init_subclass__(**kwargs)
        if "max_jobs" in vars(cls):
            cls.redis_pool.hooks.slots = cls.max_jobs
            cls.max_jobs = 2 * cls.max_jobs + _MORE
        for parent in cls.__mro__[1:]:
            for name, value in vars(parent).items():
                if not name.startswith("_") and name not in vars(cls):
                    setattr(cls, name, value)
        cls.functions = [function if _is_ours(function) else cls._host(cls, function) for function in cls.functions]
        cls.cron_jobs = [cls._host_cron(cron) for cron in cls.cron_jobs or ()]


def _is_ours(function: object) -> bool:
    return isinstance(function, Function) and function.name in {kind.value for kind in JobType}


class _Hosts:
    """Takes in functions and cron jobs of the host's own, in a subclass of the settings."""

    def __init__(
        self, settings: Settings, gate: Gate, runner: Runner, adoption: Adoption, ours: Collection[str]
    ) -> None:
        self._limit = settings.job_timeout.total_seconds()
        self.backstop = self._limit + 60
        self._gate = gate
        self._adoption = adoption
        self._ours = ours
        self._wraps = HostFunctions(runner, settings.job_timeout)

    def function(self, cls: type[WorkerSettingsBase], function: Any) -> Function:
        """Return a function wrapped; what the subclass says of tries and time holds where the function says nothing."""
        tries, limit = cls.max_tries, cls.job_timeout
        wrapped = self._wraps.function(
            function,
            tries=None if tries == _NO_LIMIT else tries,
            limit=None if limit == self.backstop else float(limit),
        )
        self._adoption.functions.add(wrapped.name)
        self._gate.hooks.functions.add(wrapped.name)
        return wrapped

    def cron(self, job: CronJob) -> CronJob:
        """Return a cron job wrapped; ours are served by the gate."""
        if job.name in self._ours:
            return job
        self._gate.hooks.functions.add(job.name)
        self._gate.hooks.host_crons.add(job.name)
        limit = job.timeout_s or self._limit
        return replace(job, coroutine=self._wraps.coroutine(job.coroutine, tries=job.max_tries or 1, limit=limit))


def settings_class(
    settings: Settings,
    gate: Gate,
    runner: Runner,
    lifecycle: Lifecycle,
    cron_jobs: Sequence[CronJob],
    adoption: Adoption,
) -> type[WorkerSettingsBase]:
    """Return the settings class of a worker."""

    hosts = _Hosts(settings, gate, runner, adoption, {job.name for job in cron_jobs})
    return type(
        "WorkerSettings",
        (WorkerSettingsBase,),
        {
            "functions": runner.functions(),
            "cron_jobs": list(cron_jobs),
            "queue_name": settings.queue_name,
            "redis_pool": gate,
            "redis_settings": redis_settings(settings),
            "health_check_key": f"{settings.queue_name}:health-check",
            "health_check_interval": 30,
            "on_startup": lifecycle.start,
            "on_shutdown": lifecycle.stop,
            "max_jobs": settings.concurrency,
            "job_timeout": hosts.backstop,
            "job_completion_wait": SHUTDOWN_WAIT,
            "keep_result": 0,
            "max_tries": _NO_LIMIT,
            "poll_delay": POLL,
            "expires_extra_ms": _EXPIRES_EXTRA_MS,
            "job_serializer": serialize,
            "job_deserializer": deserialize,
            "timezone": settings.timezone,
            "log_results": False,
            "_host": staticmethod(hosts.function),
            "_host_cron": staticmethod(hosts.cron),
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
