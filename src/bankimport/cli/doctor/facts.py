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
from bankimport.cli.doctor import sentinel
from bankimport.cli.doctor.judging import BankFacts, Facts
from bankimport.errors import BankImportError, InvalidSettings
from bankimport.providers import EnableBankingOptions, GoCardlessOptions, providers_from_settings
from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from bankimport.watch.server import Server

_PATIENCE: Final = 5.0
#: where the APIs are whose entry needs no address
_PLACES: Final = {
    "enable-banking": EnableBankingOptions.model_fields["base_url"].default,
    "gocardless": GoCardlessOptions.model_fields["base_url"].default,
}


async def gathered(*, ask_banks: bool) -> Facts:
    """Return what was seen."""
    try:
        settings = Settings.load()
    except InvalidSettings as error:
        return Facts(settings=None, settings_error=str(error))
    redis, sentinels, database, banks = await asyncio.gather(
        _redis(settings),
        sentinel.asked(settings, _PATIENCE),
        _database(settings),
        _banks(settings, ask=ask_banks),
    )
    typos = unread_variables(os.environ)
    return Facts(settings=settings, unknown=typos, sentinels=sentinels, banks=banks, **redis, **database)


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
        "is_replica": info.get("role") == "slave",
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
    try:
        from bankimport.cli.doctor.database import looked_at
    except ModuleNotFoundError as error:
        return {"database_error": f"{error.name} is not installed: pip install 'bankimport[sql]'"}
    return await looked_at(settings, _PATIENCE)


async def _banks(settings: Settings, *, ask: bool) -> Mapping[str, BankFacts]:
    entries = {name: dict(options) for name, options in settings.banks.items()}
    looked = await asyncio.gather(*(_bank(name, options, ask=ask) for name, options in entries.items()))
    return dict(zip(entries, looked, strict=True))


async def _bank(name: str, options: Mapping[str, Any], *, ask: bool) -> BankFacts:
    try:
        certificate = _certificate(options.get("client_cert"))
    except (OSError, ValueError) as error:
        return BankFacts(trouble=f"client_cert can't be read ({type(error).__name__})")
    try:  # as a worker does: it reads the keys too, and sees whether one is its certificate's
        [provider] = providers_from_settings({name: options}).values()
    except InvalidSettings as error:
        return BankFacts(str(error), certificate)
    await provider.aclose()
    url = options.get("base_url") or _PLACES.get(str(options.get("type")))
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
