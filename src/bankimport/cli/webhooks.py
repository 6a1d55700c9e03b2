"""`bankimport webhooks …`: who is told of what was imported, and how that goes."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bankimport.cli.operating import As, DryRun, Output, Reason, Yes, say, show, sure, with_bank_import
from bankimport.models import Delivery, DeliveryFilter, DeliveryState, WebhookEndpoint, WebhookType

if TYPE_CHECKING:
    from bankimport.app import BankImport

webhooks = typer.Typer(help="Services that are told of imports.", no_args_is_help=True, rich_markup_mode=None)

EndpointId = Annotated[str, typer.Argument(help="The endpoint's id.")]
Org = Annotated[str | None, typer.Option(help="Of this organisation.")]
Endpoint = Annotated[str | None, typer.Option("--endpoint", help="To this endpoint.")]
ConnectionId = Annotated[str | None, typer.Option("--connection", help="Of this connection.")]
State = Annotated[DeliveryState | None, typer.Option(help="In this state.")]
Since = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Told since then, in UTC."),
]
_MOST = 10_000


@webhooks.command("list")
def list_(org: Org = None, output: As = Output.TEXT) -> None:
    """Show the endpoints: what each has still to take, and since when it fails."""
    found = with_bank_import(lambda bank_import: bank_import.webhooks.list(org))
    columns = ("id", "org_id", "url", "types", "waiting", "failing_since", "disabled_by")
    show([_row(each) for each in found], columns, output)
    for each in found:
        if not each.secret_readable:
            say(
                f"{each.id} is told nothing: its secret is encrypted with no key of BANK_SYNC_CREDENTIALS_KEY."
                f" Put that key behind the first one, or: bankimport webhooks rotate {each.id}"
            )


def _row(endpoint: WebhookEndpoint) -> dict[str, Any]:
    row = endpoint.model_dump(mode="json", by_alias=False)
    return {**row, "url": endpoint.place, "types": ", ".join(endpoint.types) or "all"}


@webhooks.command()
def add(
    url: Annotated[str, typer.Argument(help="A public https:// address; without --org also one of this machine.")],
    org: Annotated[str | None, typer.Option(help="Of this organisation alone; none: of all.")] = None,
    types: Annotated[list[WebhookType] | None, typer.Option("--type", help="Of this alone; repeat it.")] = None,
    reason: Reason = None,
    output: As = Output.TEXT,
) -> None:
    """Add an endpoint, and print its id and its secret, which is never shown again."""

    async def work(bank_import: "BankImport") -> dict[str, Any]:
        endpoint, secret = await bank_import.webhooks.add(url, org_id=org, types=types or ())
        return {"id": endpoint.id, "secret": secret}

    show([with_bank_import(work, reason=reason)], ("id", "secret"), output)


@webhooks.command()
def rotate(endpoint_id: EndpointId, reason: Reason = None) -> None:
    """Print a new secret for an endpoint; for a day messages are signed with the old one too."""
    typer.echo(with_bank_import(lambda bank_import: bank_import.webhooks.rotate(endpoint_id), reason=reason))


@webhooks.command()
def disable(endpoint_id: EndpointId, reason: Reason = None) -> None:
    """Tell an endpoint nothing for now; messages are kept for it."""
    with_bank_import(lambda bank_import: bank_import.webhooks.disable(endpoint_id), reason=reason)


@webhooks.command()
def enable(endpoint_id: EndpointId, reason: Reason = None) -> None:
    """Tell an endpoint again, beginning with what has waited."""
    with_bank_import(lambda bank_import: bank_import.webhooks.enable(endpoint_id), reason=reason)


@webhooks.command()
def remove(endpoint_id: EndpointId, dry_run: DryRun = False, yes: Yes = False, reason: Reason = None) -> None:
    """Remove an endpoint, with what it has not taken yet."""
    found = with_bank_import(lambda bank_import: bank_import.webhooks.get(endpoint_id))
    say(f"{found.place}: {found.waiting} messages wait for it")
    if dry_run:
        return
    sure(f"remove {endpoint_id} with them?", yes=yes)
    with_bank_import(lambda bank_import: bank_import.webhooks.remove(endpoint_id), reason=reason)


@webhooks.command()
def deliveries(
    endpoint: Endpoint = None,
    org: Org = None,
    connection: ConnectionId = None,
    state: State = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="So many, the newest.")] = 50,
    output: As = Output.TEXT,
) -> None:
    """Show what was delivered, what waits and what was given up, the newest first."""
    wanted = _wanted(endpoint, org, connection, state, since)
    page = with_bank_import(lambda bank_import: bank_import.webhooks.deliveries(wanted, limit=limit))
    rows = [each.model_dump(mode="json", by_alias=False) for each in page.deliveries]
    columns = ("id", "endpoint_id", "connection_id", "type", "state", "attempts", "status", "error", "created_at")
    show(rows, columns, output)


@webhooks.command()
def replay(
    message_id: Annotated[str | None, typer.Argument(help="One message, by its id.")] = None,
    endpoint: Endpoint = None, org: Org = None, connection: ConnectionId = None, state: State = None,
    since: Since = None, dry_run: DryRun = False, yes: Yes = False, reason: Reason = None,
) -> None:  # fmt: skip
    """Send again what was delivered or given up, with the same ids and in its order. Prints how many messages."""
    wanted = replace(_wanted(endpoint, org, connection, state, since), id=message_id)
    number = with_bank_import(_counting(wanted))
    say(f"{number}{' or more' if number >= _MOST else ''} messages")
    if dry_run or number == 0:
        typer.echo(number)
        return
    sure(f"send {number} messages again?", yes=yes)
    typer.echo(with_bank_import(lambda bank_import: bank_import.webhooks.replay(wanted), reason=reason))


def _counting(wanted: DeliveryFilter) -> Callable[["BankImport"], Awaitable[int]]:
    async def work(bank_import: "BankImport") -> int:
        number, cursor = 0, None
        while number < _MOST:
            page = await bank_import.webhooks.deliveries(wanted, cursor=cursor, limit=200)
            number += sum(_is_over(each) for each in page.deliveries)
            cursor = page.next_cursor
            if cursor is None:
                break
        return number

    return work


def _is_over(delivery: Delivery) -> bool:
    return delivery.state is not DeliveryState.WAITING


def _wanted(
    endpoint: str | None, org: str | None, connection: str | None, state: DeliveryState | None, since: datetime | None
) -> DeliveryFilter:
    at = None if since is None else since.replace(tzinfo=UTC)
    return DeliveryFilter(endpoint_id=endpoint, org_id=org, connection_id=connection, state=state, since=at)
