"""The schema's migrations, inside the package; `bankimport db upgrade` applies them."""

import asyncio
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bankimport.errors import MissingExtra, SchemaOutdated
from bankimport.stores.sql.engine import open_engine

VERSION_TABLE = "bankimport_schema"
_LOCATION = "bankimport:stores/sql/migrations"
#: An advisory lock of PostgreSQL: two deployments that upgrade at once take turns.
_LOCK = 7_244_106_331


def upgrade(url: str) -> str:
    """Bring a database to the schema of this version; return its revision. Not to be called from a running loop.

    Raises:
        InvalidSettings, MissingExtra: as for `SqlStore`.
    """
    return asyncio.run(upgrade_async(url))


async def upgrade_async(url: str) -> str:
    """Do the same from a running loop."""
    engine = open_engine(url)
    try:
        async with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            await connection.run_sync(_upgrade)
            return await connection.run_sync(_found) or ""
    finally:
        await engine.dispose()


async def check(connection: AsyncConnection) -> None:
    """Check that the database has the schema of this version.

    Raises:
        SchemaOutdated: it has an older or a newer one, or none.
    """
    found, expected = await connection.run_sync(_found), head()
    if found != expected:
        raise SchemaOutdated(found, expected)


def head() -> str:
    """Return the revision of this version's schema."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _found(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608  # a constant
    return found


def _upgrade(connection: Connection) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Any:
    try:
        from alembic.config import Config
    except ModuleNotFoundError:
        raise MissingExtra("sql", "the SQL store's schema") from None
    config = Config()
    config.set_main_option("script_location", _LOCATION)
    return config
