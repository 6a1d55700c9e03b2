"""Looking at the database: does it answer, has it our schema, has it room for our pools, can its secrets be read?"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bankimport.errors import BankImportError, InvalidSettings, SchemaOutdated
from bankimport.models import ConnectionFilter
from bankimport.settings import Settings
from bankimport.stores import SqlStore
from bankimport.stores.sql.credentials import Vault
from bankimport.stores.sql.engine import POOL, open_engine
from bankimport.stores.sql.transacting import transact

#: What the server lets a user like ours open, whichever limit is the lowest; -1 is none.
_ROOM: Final = text(
    "SELECT current_setting('max_connections')::int "
    "- current_setting('superuser_reserved_connections')::int AS server, "
    "(SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role, "
    "(SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS base"
)
#: Looking at some is enough to see that a key is missing.
_STORED: Final = text("SELECT id, credentials FROM bank_connections WHERE credentials IS NOT NULL ORDER BY id LIMIT 50")


async def looked_at(settings: Settings, patience: float) -> dict[str, Any]:
    """Return what was seen."""
    key = settings.credentials_key.get_secret_value() if settings.credentials_key else None
    try:
        engine = open_engine(settings.database_url.get_secret_value())
        vault, store = Vault(key, settings.environment), SqlStore(engine, credentials_key=key)
    except BankImportError as error:
        return {"database_error": str(error)}
    if _is_missing(engine):  # looking would make it
        return {"schema_error": "there is no such file yet"}
    try:
        async with asyncio.timeout(patience):
            await store.check_schema()
            return {
                **await _counted(store),
                "pool": POOL,
                "room": await _room(engine),
                "unreadable": await _unreadable(engine, vault),
                "lost_webhooks": [each.id for each in await store.webhook_endpoints() if not each.secret_readable],
                "silenced_webhooks": list(await store.silenced_webhooks()),
            }
    except SchemaOutdated as error:
        return {"schema_error": str(error)}
    except (BankImportError, OSError, TimeoutError) as error:
        return {"database_error": f"it does not answer ({type(error).__name__})"}
    finally:
        await engine.dispose()


def _is_missing(engine: AsyncEngine) -> bool:
    file = engine.url.database
    return engine.dialect.name == "sqlite" and file not in (None, "", ":memory:") and not Path(str(file)).exists()


async def _counted(store: SqlStore) -> dict[str, int]:
    now = datetime.now(UTC)
    counts = await store.count_connections(ConnectionFilter(), now=now)
    organisations = [each async for each in store.syncable_organisations(now)]
    return {"connections": sum(counts.values()), "organisations": len(organisations)}


async def _room(engine: AsyncEngine) -> int | None:
    """Return how many connections the server lets us open; None where that is no question."""
    if engine.dialect.name != "postgresql":
        return None

    async def work(db: AsyncConnection) -> int:
        limits: list[int | None] = list((await db.execute(_ROOM)).one())
        return min(limit for limit in limits if limit is not None and limit >= 0)

    return await transact(engine, work)


async def _unreadable(engine: AsyncEngine, vault: Vault) -> int:
    """Return how many of some connections' credentials can't be decrypted."""

    async def work(db: AsyncConnection) -> list[str]:
        return [row.credentials for row in await db.execute(_STORED)]

    return sum(not _opens(vault, stored) for stored in await transact(engine, work))


def _opens(vault: Vault, stored: str) -> bool:
    try:
        vault.open(stored)
    except InvalidSettings:
        return False
    return True
