"""Looking at a set-up; nothing is changed by it."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError

from bankimport.app.starting import unread_variables
from bankimport.cli.doctor.judging import BankFacts, Facts
from bankimport.errors import BankImportError, InvalidSettings, SchemaOutdated
from bankimport.models import ConnectionFilter
from bankimport.queue.connection import connect
from bankimport.queue.keys import Keys
from bankimport.queue.server import Server
from bankimport.settings import Settings

_PATIENCE: Final = 5.0


async def gathered(*, ask_banks: bool) -> Facts:
    """Return what was seen."""
    try:
        settings = Settings.load()
    except InvalidSettings as error:
        return Facts(settings=None, settings_error=str(error))
    looking = (_redis(settings), _database(settings), _banks(settings, ask=ask_banks))
    redis, database, banks = await asyncio.gather(*looking)
    return Facts(settings=settings, unknown=unread_variables(os.environ), banks=banks, **redis, **database)


async def _redis(settings: Settings) -> dict[str, Any]:
    client = connect(settings, Redis)
    try:
        async with asyncio.timeout(_PATIENCE):
            return await _looked_at(client, settings)
    except NoPermissionError as error:
        return {"forbidden": str(error)[:200]}
    except (RedisError, OSError, TimeoutError, BankImportError) as error:
        return {"redis_error": f"it does not answer ({type(error).__name__})"}
    finally:
        await client.aclose()


async def _looked_at(client: Redis, settings: Settings) -> dict[str, Any]:
    before = datetime.now(UTC)
    seconds, micros = await client.time()
    here = before + (datetime.now(UTC) - before) / 2
    info = await client.info()
    keys = Keys(settings.queue_name)
    policy, persistent = await Server(client).facts(here)
    major, minor, *_ = (int(part) for part in str(info.get("redis_version", "0.0")).split("."))
    return {
        "version": (major, minor),
        "is_cluster": info.get("redis_mode") == "cluster",
        "policy": policy,
        "persistent": persistent,
        "maxmemory": int(info.get("maxmemory", 0)),
        "skew": datetime.fromtimestamp(seconds + micros / 1e6, UTC) - here,
        "forbidden": await _forbidden(client, keys),
        "workers": await client.zcount(keys.of("workers"), int(seconds * 1000), "+inf"),
    }


async def _forbidden(client: Redis, keys: Keys) -> str | None:
    """Return what our user may not do, of what every worker does; nothing is written."""
    asked: Sequence[tuple[str, Callable[[], Any]]] = (
        ("EVALSHA", lambda: client.script_exists("0" * 40)),
        ("EVAL", lambda: client.eval("return redis.call('EXISTS', KEYS[1])", 1, keys.of("meta"))),
        ("XRANGE", lambda: client.xrange(keys.of("events"), count=1)),
        ("BLPOP", lambda: client.llen(keys.of("wake"))),
    )
    for words, ask in asked:
        try:
            await ask()
        except NoPermissionError:
            return words
    return None


async def _database(settings: Settings) -> dict[str, Any]:
    from bankimport.stores import SqlStore

    key = settings.credentials_key
    try:
        store = SqlStore(
            settings.database_url.get_secret_value(),
            credentials_key=key.get_secret_value() if key else None,
            environment=settings.environment,
        )
    except BankImportError as error:
        return {"database_error": str(error)}
    try:
        async with asyncio.timeout(_PATIENCE):
            await store.check_schema()
            counts = await store.count_connections(ConnectionFilter(), now=datetime.now(UTC))
            organisations = [each async for each in store.syncable_organisations(datetime.now(UTC))]
            return {"connections": sum(counts.values()), "organisations": len(organisations)}
    except SchemaOutdated as error:
        return {"schema_error": str(error)}
    except (BankImportError, OSError, TimeoutError) as error:
        return {"database_error": f"it does not answer ({type(error).__name__})"}
    finally:
        await store.aclose()


async def _banks(settings: Settings, *, ask: bool) -> Mapping[str, BankFacts]:
    entries = {name: dict(options) for name, options in settings.banks.items()}
    looked = await asyncio.gather(*(_bank(options, ask=ask) for options in entries.values()))
    return dict(zip(entries, looked, strict=True))


async def _bank(options: Mapping[str, Any], *, ask: bool) -> BankFacts:
    try:
        certificate = _certificate(options.get("client_cert"))
    except (OSError, ValueError) as error:
        return BankFacts(trouble=f"client_cert can't be read ({type(error).__name__})")
    url = options.get("base_url")
    trouble = await _unreachable(str(url)) if ask and url else None
    return BankFacts(trouble, certificate)


def _certificate(path: Any) -> timedelta | None:
    """Return how long our certificate is valid."""
    if path is None:
        return None
    from cryptography.x509 import load_pem_x509_certificate

    found = load_pem_x509_certificate(Path(str(path)).read_bytes())
    return found.not_valid_after_utc - datetime.now(UTC)


async def _unreachable(url: str) -> str | None:
    """Open a connection to a bank's server, with TLS where it has it; say what goes wrong."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(_PATIENCE):
            tls = parts.scheme == "https"
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or (443 if tls else 80), ssl=tls)
            writer.close()
    except (OSError, TimeoutError, ValueError) as error:
        return f"{parts.hostname} can't be reached ({type(error).__name__})"
    return None
