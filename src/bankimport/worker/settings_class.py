"""The class that `arq` is given: arq reads only its own `__dict__` (issue 472), so all of it stands there."""

from collections.abc import Callable, Sequence
from typing import Any

from arq.connections import RedisSettings
from arq.cron import CronJob
from arq.worker import Function

from bankimport.models import JobType
from bankimport.queue.adoption import Adoption
from bankimport.queue.gate import Gate
from bankimport.queue.payloads import deserialize, serialize
from bankimport.settings import Settings
from bankimport.worker.lifecycle import Lifecycle
from bankimport.worker.runner import Runner

#: arq waits this long for running jobs after SIGTERM, then gives them back.
SHUTDOWN_WAIT = 30
#: The poll of arq between two reads; the gate's read itself waits while there is nothing to do.
POLL = 0.005
#: arq's payload lives this long beyond its due time (arq.md 7).
_EXPIRES_EXTRA_MS = 30 * 24 * 3600 * 1000


class WorkerSettingsBase:
    """What a generated settings class and its subclasses share."""

    redis_pool: Gate
    max_jobs: int
    functions: Sequence[Any]
    #: wraps a function of the host's own
    _host: Callable[[Any], Function]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Copy into a subclass what it inherits, and give the gate as many places as the subclass has."""
        super().__init_subclass__(**kwargs)
        for parent in cls.__mro__[1:]:
            for name, value in vars(parent).items():
                if not name.startswith("_") and name not in vars(cls):
                    setattr(cls, name, value)
        cls.redis_pool.slots = cls.max_jobs
        cls.functions = [function if _is_ours(function) else cls._host(function) for function in cls.functions]


def _is_ours(function: object) -> bool:
    return isinstance(function, Function) and function.name in {kind.value for kind in JobType}


def settings_class(
    settings: Settings,
    gate: Gate,
    runner: Runner,
    lifecycle: Lifecycle,
    cron_jobs: Sequence[CronJob],
    adoption: Adoption,
) -> type[WorkerSettingsBase]:
    """Return the settings class of a worker."""

    def host(function: Any) -> Function:
        wrapped = runner.host_function(function)
        adoption.functions.add(wrapped.name)
        return wrapped

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
            "job_timeout": settings.job_timeout.total_seconds() + 60,
            "job_completion_wait": SHUTDOWN_WAIT,
            "keep_result": 0,
            "max_tries": 1_000_000,
            "poll_delay": POLL,
            "expires_extra_ms": _EXPIRES_EXTRA_MS,
            "job_serializer": serialize,
            "job_deserializer": deserialize,
            "timezone": settings.timezone,
            "log_results": False,
            "_host": staticmethod(host),
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
