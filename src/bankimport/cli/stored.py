"""What the commands about connections do with the SQL store alone: Redis isn't needed for it."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import typer

from bankimport.acting import acting_as
from bankimport.cli.operating import Output, said_on_standard_error, show
from bankimport.errors import NotFound
from bankimport.models import BankConnection
from bankimport.settings import Settings

if TYPE_CHECKING:
    from bankimport.stores import SqlStore

T = TypeVar("T")


def row_of(connection: BankConnection) -> dict[str, object]:
    """Return a connection as it is listed."""
    return {
        "id": connection.id,
        "org_id": connection.org_id,
        "bank": connection.bank,
        "status": connection.status.value,
        "reason": connection.status_reason,
        "consent_until": connection.consent_valid_until and str(connection.consent_valid_until),
        "last_sync_at": connection.last_sync_at and connection.last_sync_at.isoformat(),
        "next_sync_at": connection.next_sync_at and connection.next_sync_at.isoformat(),
    }


def print_changed(connection: BankConnection, output: Output) -> None:
    """Print what was changed: its id alone, for scripts, or all of it."""
    if output is Output.TEXT:
        typer.echo(connection.id)
    else:
        show([row_of(connection)], (), output)


def named(connection: BankConnection) -> str:
    """Return words for a connection."""
    return f"{connection.id} of {connection.org_id} at {connection.bank}, {connection.status.value}"


async def connection_of(store: "SqlStore", connection_id: str) -> BankConnection:
    """Return a connection.

    Raises:
        NotFound: there is none.
    """
    found = await store.connection(connection_id)
    if found is None:
        raise NotFound("connection")
    return found


def with_store(
    settings: Settings, work: Callable[["SqlStore"], Awaitable[T]], action: str | None = None, reason: str | None = None
) -> T:
    """Return what `work` returns of the SQL store of the environment, its schema checked and its pool closed; an action
    on the connection that it returns is written to the audit log."""
    from bankimport.service import Audit, Bounds
    from bankimport.stores import SqlStore

    said_on_standard_error()

    async def run() -> T:
        key = settings.credentials_key.get_secret_value() if settings.credentials_key else None
        store = SqlStore(
            settings.database_url.get_secret_value(), credentials_key=key, environment=settings.environment
        )
        try:
            await store.check_schema()
            done = await work(store)
            if action is not None and isinstance(done, BankConnection):
                audit = Audit(store, lambda: datetime.now(UTC), Bounds(opened=True))
                with acting_as(getpass.getuser(), via="cli", reason=reason):
                    await audit.note(action, org_id=done.org_id, subject=f"connection:{done.id}", bank=done.bank)
            return done
        finally:
            await store.aclose()

    return asyncio.run(run())
