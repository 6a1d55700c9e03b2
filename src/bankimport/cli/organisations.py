"""What is known of organisations and their accounts: coverage, budget, an export, the erasure, the keys."""

import sys
from collections.abc import AsyncIterator
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bankimport.cli.operating import As, DryRun, Output, Yes, say, show, sure, with_bank_import, write_csv
from bankimport.errors import NotFound, NotOffered

if TYPE_CHECKING:
    from bankimport.app import BankImport
    from bankimport.models import ConnectionDetails
    from bankimport.stores import SqlStore

keys = typer.Typer(help="The keys that credentials are encrypted with.", no_args_is_help=True, rich_markup_mode=None)
Connection = Annotated[str, typer.Argument(help="The connection's id.")]
Organisation = Annotated[str, typer.Argument(help="The organisation's id.")]


class Format(StrEnum):
    """How rows are written."""

    JSONL = "jsonl"
    CSV = "csv"


def _details(connection: str) -> "ConnectionDetails":
    return with_bank_import(lambda bank_import: bank_import.get_connection(connection))


def coverage(connection: Connection, output: As = Output.TEXT) -> None:
    """Show which days of each account are surely complete; ends with 5 where the consent has ended."""
    details = _details(connection)
    rows: list[dict[str, Any]] = []
    for account in details.accounts:
        days = [(each, "complete") for each in account.coverage] + [(each, "read once") for each in account.read_once]
        rows += [{"account": account.id, "since": str(d.since), "until": str(d.until), "state": how} for d, how in days]
    show(rows, ("account", "since", "until", "state"), output)
    if not details.syncable:
        say(details.explanation)
        raise typer.Exit(5)


def budget(connection: Connection, output: As = Output.TEXT) -> None:
    """Show the unattended reads of each account in the last 24 hours, and when one frees up."""
    rows = []
    for account in _details(connection).accounts:
        reads = account.reads_today
        free = str(reads.frees_at[0]) if reads.frees_at else None
        rows.append({"account": account.id, "used": reads.used, "allowed": reads.allowed, "frees_at": free})
    show(rows, ("account", "used", "allowed", "frees_at"), output)


def export(
    organisation: Organisation,
    format: Annotated[Format, typer.Option(help="An object a line, or a table.")] = Format.JSONL,  # noqa: A002  # the option's name
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="From this day on.")] = None,
) -> None:
    """Write an organisation's transactions to standard output, as they are read from the database."""
    from bankimport.stores.sql.exporting import EXPORTED

    async def work(bank_import: "BankImport") -> None:
        rows = _sql(bank_import).exported_rows(organisation, since.date() if since else None)
        await _write(rows, EXPORTED, format)

    with_bank_import(work)


async def _write(rows: AsyncIterator[dict[str, Any]], columns: tuple[str, ...], form: Format) -> None:
    if form is Format.CSV:
        write_csv([], columns)
    async for row in rows:
        if form is Format.CSV:
            write_csv([row], columns, header=False)
        else:
            show([row], (), Output.JSONL)
    sys.stdout.flush()


def _sql(bank_import: "BankImport") -> "SqlStore":
    from bankimport.stores import SqlStore

    if not isinstance(bank_import.store, SqlStore):
        raise NotOffered(type(bank_import.store).__name__, "export rows")
    return bank_import.store


def erase(
    organisation: Organisation,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the audit log, without the organisation's id.")],
    legal_hold: Annotated[bool, typer.Option("--legal-hold", help="Keep what the law orders to be kept.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Erase an organisation: withdrawn at its banks, its jobs stopped, its data removed. Prints a report."""
    found = with_bank_import(lambda bank_import: bank_import.connections.list(organisation))
    say(f"{len(found)} connections")
    if dry_run:
        return
    sure(f"erase {organisation} for good?", yes=yes)
    report = with_bank_import(
        lambda bank_import: bank_import.erase_organisation(organisation, legal_hold=legal_hold), reason=reason
    )
    show([report.model_dump(mode="json", by_alias=False)], (), Output.JSON)


@keys.callback()
def group() -> None:
    """Keep `keys` a group although it has a single command (typer would drop the word)."""


@keys.command()
def rotate(dry_run: DryRun = False) -> None:
    """Encrypt all credentials, and the secrets of webhooks, anew with the first key of BANK_SYNC_CREDENTIALS_KEY; then
    the others can go. Prints how many connections; ends with 1 where a webhook's secret could not be read."""

    async def work(bank_import: "BankImport") -> tuple[int, list[str]]:
        store, number = _sql(bank_import), 0
        for each in await store.all_connections():
            if each.credentials is None:
                continue
            number += 1
            if not dry_run:
                try:
                    await store.update_credentials(each.id, each.credentials)
                except NotFound:  # it was deleted meanwhile
                    continue
        endpoints = await store.webhook_endpoints()
        for endpoint in endpoints if not dry_run else ():
            if endpoint.secret_readable and (hidden := await store.webhook_secrets(endpoint.id)) is not None:
                await store.put_webhook_secrets(endpoint.id, hidden)
        await bank_import.audit.note("keys.rotate", connections=number) if not dry_run else None
        return number, [each.id for each in endpoints if not each.secret_readable]

    number, lost = with_bank_import(work)
    typer.echo(number)
    for endpoint_id in lost:
        say(f"{endpoint_id}: its secret can't be read with these keys; bankimport webhooks rotate gives it a new one")
    if lost:
        raise typer.Exit(1)
