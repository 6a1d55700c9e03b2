"""`bankimport connections …`: the accesses to banks that the SQL store holds."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bankimport.cli.operating import (
    As,
    DryRun,
    Output,
    Reason,
    Yes,
    say,
    show,
    sure,
    with_bank_import,
)
from bankimport.cli.stored import connection_of, named, print_changed, row_of, with_store
from bankimport.errors import Conflict, NotFound
from bankimport.models import BankConnection
from bankimport.settings import Settings

if TYPE_CHECKING:
    from bankimport.stores import SqlStore

_COLUMNS = ("id", "org_id", "bank", "status", "reason", "consent_until", "last_sync_at")

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
    dry_run: DryRun = False,
    reason: Reason = None,
    output: As = Output.TEXT,
) -> None:
    """Add a connection and print its id."""
    settings = Settings.load()
    if settings.banks and bank not in settings.banks:
        raise typer.BadParameter(f"{bank!r} is not one of BANK_SYNC_BANKS: {', '.join(settings.banks)}")
    _check_day(valid_until)

    async def look(store: "SqlStore") -> BankConnection | None:
        return await store.connection(id) if id is not None else None

    async def work(store: "SqlStore") -> BankConnection:
        made = await store.add_connection(
            org_id=org, bank=bank, consent_id=consent_id, valid_until=valid_until.date(), id=id
        )
        return await connection_of(store, made)

    if dry_run:
        if with_store(settings, look) is not None:
            raise Conflict(f"there is a connection {id} already")
        say(f"would add a connection of {org} to {bank}, until {valid_until.date()}")
        return
    print_changed(with_store(settings, work, "connection.add", reason), output)


@connections.command()
def renew(
    connection_id: ConnectionId, consent_id: ConsentId, valid_until: ValidUntil,
    dry_run: DryRun = False, reason: Reason = None, output: As = Output.TEXT,
) -> None:  # fmt: skip
    """Give a connection its new consent: it is ACTIVE again, with the same accounts and rows. Prints its id."""
    settings = Settings.load()
    _check_day(valid_until)

    async def work(store: "SqlStore") -> BankConnection:
        await store.renew_consent(connection_id, consent_id, valid_until.date())
        return await connection_of(store, connection_id)

    if dry_run:
        found = with_store(settings, lambda store: connection_of(store, connection_id))
        say(f"would renew the consent of {named(found)}, until {valid_until.date()}")
        return
    print_changed(with_store(settings, work, "connection.set-consent", reason), output)


@connections.command()
def disconnect(
    connection_id: ConnectionId, dry_run: DryRun = False, yes: Yes = False, reason: Reason = None,
    output: As = Output.TEXT,
) -> None:  # fmt: skip
    """Cut a connection here, without telling the bank: it is never synced again; its rows stay. Prints its id."""
    settings = Settings.load()
    found = with_store(settings, lambda store: connection_of(store, connection_id))
    say(named(found))
    if dry_run:
        return
    sure(f"cut {connection_id} for good?", yes=yes)

    async def work(store: "SqlStore") -> BankConnection:
        await store.disconnect(connection_id)
        return await connection_of(store, connection_id)

    print_changed(with_store(settings, work, "connection.disconnect", reason), output)


@connections.command()
def revoke(
    connection_id: ConnectionId, dry_run: DryRun = False, yes: Yes = False, reason: Reason = None,
) -> None:  # fmt: skip
    """Withdraw an access: the bank is told, the credentials are forgotten, the rows stay. Prints its id."""
    found = with_bank_import(lambda bank_import: bank_import.connections.get(connection_id))
    if found is None:
        raise NotFound("connection")
    say(named(found))
    if dry_run:
        return
    sure(f"withdraw {connection_id} for good?", yes=yes)
    with_bank_import(lambda bank_import: bank_import.connections.revoke(connection_id), reason=reason)
    typer.echo(connection_id)


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
    dry_run: DryRun = False,
    reason: Reason = None,
) -> None:
    """End the doubt about an account: it is a stored one that the bank lists no more, or one of its own. Prints the id
    of the one that goes on."""
    if (same_as is None) is not another:
        raise typer.BadParameter("say --same-as ACCOUNT, or --another")
    if dry_run:
        details = with_bank_import(lambda bank_import: bank_import.get_connection(connection_id))
        if account not in {each.id for each in details.accounts if each.undecided}:
            raise NotFound("undecided account")
        say(f"{account} would be " + (f"joined with {same_as}" if same_as else "an account of its own"))
        return
    decided = with_bank_import(
        lambda bank_import: bank_import.connections.decide_account(connection_id, account, same_as=same_as),
        reason=reason,
    )
    typer.echo(decided.id)


@connections.command("show")
def show_(connection_id: ConnectionId, output: As = Output.TEXT) -> None:
    """Show one connection with all that is known of it; ends with 5 where a person has to renew the consent."""
    details = with_bank_import(lambda bank_import: bank_import.get_connection(connection_id))
    row = details.model_dump(mode="json", by_alias=False, exclude_none=True)
    if output is Output.TEXT:
        lines = {**row, "accounts": " ".join(str(each.id) for each in details.accounts)}
        show([{"field": name, "value": value} for name, value in lines.items()], ("field", "value"), output)
    else:
        show([row], (), output)
    if not details.syncable:
        say(details.explanation)
        raise typer.Exit(5)


@connections.command("list")
def list_(
    org: Annotated[str | None, typer.Option(help="Of this organisation alone.")] = None, output: As = Output.TEXT
) -> None:
    """Show the connections with their status."""

    async def work(store: "SqlStore") -> Sequence[BankConnection]:
        return await (store.connections(org) if org is not None else store.all_connections())

    show([row_of(each) for each in with_store(Settings.load(), work)], _COLUMNS, output)


def _check_day(valid_until: datetime) -> None:
    if valid_until.date() < datetime.now(UTC).date():
        raise typer.BadParameter(f"--valid-until {valid_until.date()} is in the past: this consent has ended")
