"""`bankimport connections …`: the accesses to banks that the SQL store holds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from bankimport.models import BankConnection
from bankimport.settings import Settings

if TYPE_CHECKING:
    from bankimport.stores import SqlStore

T = TypeVar("T")

#: So wide that no column is ever cut; a table is no wider than what stands in it.
_UNCUT = 10_000

connections = typer.Typer(help="Accesses to banks, one for each consent.", no_args_is_help=True, rich_markup_mode=None)

ConsentId = Annotated[str, typer.Option(help="The consent's id at the bank.")]
ValidUntil = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The consent's last day.")]
ConnectionId = Annotated[str, typer.Argument(help="The connection's id.")]


@connections.command()
def add(
    org: Annotated[str, typer.Option(help="The organisation it belongs to.")],
    bank: Annotated[str, typer.Option(help="A name in BANK_SYNC_BANKS.")],
    consent_id: ConsentId,
    valid_until: ValidUntil,
    id: Annotated[str | None, typer.Option(help="Its id here; one is made if none is given.")] = None,  # noqa: A002  # the option's name
) -> None:
    """Add a connection and print its id."""
    settings = Settings.load()
    if settings.banks and bank not in settings.banks:
        raise typer.BadParameter(f"{bank!r} is not one of BANK_SYNC_BANKS: {', '.join(settings.banks)}")
    _check_day(valid_until)

    async def work(store: "SqlStore") -> str:
        return await store.add_connection(
            org_id=org, bank=bank, consent_id=consent_id, valid_until=valid_until.date(), id=id
        )

    typer.echo(_with_store(settings, work))


@connections.command()
def renew(connection_id: ConnectionId, consent_id: ConsentId, valid_until: ValidUntil) -> None:
    """Give a connection its new consent: it is ACTIVE again, with the same accounts and rows."""
    _check_day(valid_until)
    _with_store(Settings.load(), lambda store: store.renew_consent(connection_id, consent_id, valid_until.date()))


@connections.command()
def disconnect(connection_id: ConnectionId) -> None:
    """Cut a connection: it is never synced again; its rows stay."""
    _with_store(Settings.load(), lambda store: store.disconnect(connection_id))


@connections.command("list")
def list_(org: Annotated[str | None, typer.Option(help="Of this organisation alone.")] = None) -> None:
    """Show the connections with their status."""
    table = Table("id", "organisation", "bank", "status", "consent until", "last sync")

    async def work(store: "SqlStore") -> Sequence[BankConnection]:
        return await (store.connections(org) if org is not None else store.all_connections())

    for each in _with_store(Settings.load(), work):
        status = f"{each.status} ({each.status_reason})" if each.status_reason else each.status
        last = each.last_sync_at.strftime("%Y-%m-%d %H:%M UTC") if each.last_sync_at else ""
        table.add_row(each.id, each.org_id, each.bank, status, str(each.consent_valid_until or ""), last)
    Console(width=_UNCUT).print(table)


def _check_day(valid_until: datetime) -> None:
    if valid_until.date() < datetime.now(UTC).date():
        raise typer.BadParameter(f"--valid-until {valid_until.date()} is in the past: this consent has ended")


def _with_store(settings: Settings, work: Callable[["SqlStore"], Awaitable[T]]) -> T:
    """Return what `work` returns of the SQL store of the environment, its schema checked and its pool closed."""
    from bankimport.stores import SqlStore

    async def run() -> T:
        key = settings.credentials_key.get_secret_value() if settings.credentials_key else None
        url = settings.database_url.get_secret_value()
        store = SqlStore(url, credentials_key=key, environment=settings.environment)
        try:
            await store.check_schema()
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(run())
