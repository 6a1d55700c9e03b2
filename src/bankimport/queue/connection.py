"""Connections to Redis with time limits, keepalive and bounded retries.

arq's own `RedisSettings` has no socket timeout or keepalive, so a half-open link hangs for ever, and a one-second
restart of the server ends the worker (arq.md 1); it checks no host name either (arq.md 24).
"""

from typing import Any, TypeVar, cast

from redis.asyncio import Redis, Sentinel
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bankimport.settings import Settings

Client = TypeVar("Client", bound=Redis)

#: A read that takes longer is a dead link; longer than every blocking read of ours.
SOCKET_TIMEOUT = 8.0
#: The longest blocking read.
BLOCK = 4
#: 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 2 + 2 s: under ten seconds, then the caller hears of it (arq.md 25).
RETRIES = 7

#: What a lost or refusing server looks like; `ReadOnlyError` is a primary demoted under us (arq.md 19).
LOST = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OSError)


def connect(settings: Settings, client: type[Client], *, retries: int = RETRIES, **kwargs: Any) -> Client:
    """Return a client of `client`'s class with a pool of its own; opens no connection yet.

    `kwargs` go to the client's constructor beside the connection options.
    """
    options: dict[str, Any] = {
        "db": settings.redis_db,
        "username": settings.redis_username,
        "password": settings.redis_password.get_secret_value() if settings.redis_password else None,
        "ssl": settings.redis_ssl,
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": 5.0,
        "socket_keepalive": True,
        "health_check_interval": 30,
        "retry": Retry(ExponentialBackoff(cap=2, base=0.1), retries),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError],
        "max_connections": settings.redis_max_connections,
        **kwargs,
    }
    if settings.redis_ssl:
        options |= {"ssl_check_hostname": True, "ssl_ca_certs": settings.redis_ssl_ca_certs}
    if settings.redis_sentinels:
        hosts = list(settings.redis_sentinels)
        sentinel = Sentinel(hosts, socket_timeout=SOCKET_TIMEOUT)
        return cast(Client, sentinel.master_for(settings.redis_sentinel_master, redis_class=client, **options))
    return client(host=settings.redis_host, port=settings.redis_port, **options)
