"""`bankimport connections …`: the accesses to banks that the SQL store holds."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from bankimport.acting import acting_as
from bankimport.cli.operating import As, Output, said_on_standard_error, show, with_bank_import
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

    typer.echo(_with_store(settings, work, "connection.add"))


@connections.command()
def renew(connection_id: ConnectionId, consent_id: ConsentId, valid_until: ValidUntil) -> None:
    """Give a connection its new consent: it is ACTIVE again, with the same accounts and rows."""
    _check_day(valid_until)

    async def work(store: "SqlStore") -> str:
        await store.renew_consent(connection_id, consent_id, valid_until.date())
        return connection_id

    _with_store(Settings.load(), work, "connection.set-consent")


@connections.command()
def disconnect(connection_id: ConnectionId) -> None:
    """Cut a connection: it is never synced again; its rows stay."""

    async def work(store: "SqlStore") -> str:
        await store.disconnect(connection_id)
        return connection_id

    _with_store(Settings.load(), work, "connection.disconnect")


@connections.command()
def institutions(
    bank: Annotated[str, typer.Argument(help="A name in BANK_SYNC_BANKS.")],
    country: Annotated[str | None, typer.Option(help="Two letters: only banks of this country.")] = None,
    output: As = Output.TEXT,
) -> None:
    """List the banks that a provider of many can connect: what `connect --institution` takes."""
    found = with_bank_import(lambda bank_import: bank_import.connections.institutions(bank, country=country))
    rows: list[dict[str, object]] = [
        {
            "institution": each.id,
            "name": each.name,
            "country": each.country,
            "longest_consent_days": each.longest_consent and each.longest_consent.days,
            "required_headers": " ".join(each.required_headers),
            "methods": " ".join(each.methods),
        }
        for each in found
    ]
    show(rows, ("institution", "name", "longest_consent_days", "methods"), output)


@connections.command()
def accounts(connection_id: ConnectionId, output: As = Output.TEXT) -> None:
    """Show the accounts of a connection, and those about which somebody has to decide."""
    details = with_bank_import(lambda bank_import: bank_import.get_connection(connection_id))
    rows: list[dict[str, object]] = [
        {
            "account": each.id,
            "name": each.name,
            "currency": each.currency,
            "number_ends_in": each.iban_end,
            "listed": "yes" if each.listed else "no",
            "undecided": each.undecided,
            "could_be": " ".join(each.could_be),
        }
        for each in details.accounts
    ]
    show(rows, ("account", "name", "currency", "number_ends_in", "listed", "undecided", "could_be"), output)


@connections.command()
def decide(
    connection_id: ConnectionId,
    account: Annotated[str, typer.Argument(help="The undecided account's id.")],
    same_as: Annotated[str | None, typer.Option(help="The stored account that it is.")] = None,
    another: Annotated[bool, typer.Option("--another", help="It is one of its own.")] = False,
) -> None:
    """End the doubt about an account: it is a stored one that the bank lists no more, or one of its own."""
    if (same_as is None) is not another:
        raise typer.BadParameter("say --same-as ACCOUNT, or --another")
    decided = with_bank_import(
        lambda bank_import: bank_import.connections.decide_account(connection_id, account, same_as=same_as)
    )
    typer.echo(decided.id)


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


def _with_store(settings: Settings, work: Callable[["SqlStore"], Awaitable[T]], action: str | None = None) -> T:
    """Return what `work` returns of the SQL store of the environment, its schema checked and its pool closed; an action
    on the connection that it returns is written to the audit log."""
    from bankimport.service import Audit, Bounds
    from bankimport.stores import SqlStore

    said_on_standard_error()

    async def run() -> T:
        key = settings.credentials_key.get_secret_value() if settings.credentials_key else None
        url = settings.database_url.get_secret_value()
        store = SqlStore(url, credentials_key=key, environment=settings.environment)
        try:
            await store.check_schema()
            done = await work(store)
            if action is not None:
                connection = await store.connection(str(done))
                about = {} if connection is None else {"org_id": connection.org_id, "bank": connection.bank}
                audit = Audit(store, lambda: datetime.now(UTC), Bounds(opened=True))
                with acting_as(getpass.getuser(), via="cli"):
                    await audit.note(action, subject=f"connection:{done}", **about)
            return done
        finally:
            await store.aclose()

    return asyncio.run(run())
