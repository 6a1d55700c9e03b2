"""What concerns the whole queue: its state, its workers, its schedules, its events, what people did."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bankimport.cli.operating import As, Output, Reason, say, show, with_bank_import
from bankimport.models import AuditFilter

if TYPE_CHECKING:
    from bankimport.app import BankImport
    from bankimport.models import QueueHealth

queue = typer.Typer(help="The whole queue.", no_args_is_help=True, rich_markup_mode=None)
Until = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M"], help="Until this UTC minute.")]


@queue.command()
def status(output: As = Output.TEXT) -> None:
    """Show how many jobs are in each state, and what is wrong; ends with 1 where an alert is in force."""
    health: QueueHealth = with_bank_import(lambda bank_import: bank_import.get_queue_health())
    if output is Output.TEXT:
        stats = health.stats.model_dump(by_alias=False)
        show([{"state": name, "jobs": number} for name, number in stats.items()], ("state", "jobs"), output)
    else:
        show([health.model_dump(mode="json", by_alias=False)], (), output)
    for alert in health.alerts:
        say(f"alert {alert.code}: {alert.message}")
    for warning in health.warnings:
        say(f"warning: {warning}")
    if not health.is_healthy:
        raise typer.Exit(1)


@queue.command()
def pause(reason: Annotated[str, typer.Option(help="Why; everybody sees it.")], until: Until = None) -> None:
    """Let nothing start; running jobs finish."""
    end = until.replace(tzinfo=UTC) if until else None
    with_bank_import(lambda bank_import: bank_import.pause_queue(until=end, reason=reason), reason=reason)


@queue.command()
def resume(reason: Reason = None) -> None:
    """Let jobs start again."""
    with_bank_import(lambda bank_import: bank_import.resume_queue(), reason=reason)


def workers(output: As = Output.TEXT) -> None:
    """Show the workers that are alive; ends with 1 where there is none."""
    found = with_bank_import(lambda bank_import: bank_import.get_queue_health()).workers
    rows = [each.model_dump(mode="json", by_alias=False) for each in found]
    show(rows, ("id", "host", "pid", "running", "version", "seen_at", "lag_ms"), output)
    if not rows:
        raise typer.Exit(1)


def schedule(output: As = Output.TEXT) -> None:
    """Show when the schedules were due and are due next."""
    found = with_bank_import(lambda bank_import: bank_import.get_schedules())
    rows = [each.model_dump(mode="json", by_alias=False) for each in found]
    show(rows, ("name", "enabled", "next_at", "last_start"), output)


def events(
    org: Annotated[str | None, typer.Option(help="Of this organisation alone.")] = None,
    after: Annotated[str | None, typer.Option(help="After this id; 0 is all that are held.")] = None,
    number: Annotated[int | None, typer.Option("-n", "--number", min=1, help="End after so many.")] = None,
) -> None:
    """Print events as they happen, an object a line, until Ctrl-C."""

    async def work(bank_import: "BankImport") -> None:
        seen = 0
        async for event in bank_import.events(org_id=org, after=after):
            show([event.model_dump(mode="json", by_alias=True)], (), Output.JSONL)
            seen += 1
            if seen == number:
                return

    try:
        with_bank_import(work)
    except KeyboardInterrupt:
        raise typer.Exit from None


def audit(
    org: Annotated[str | None, typer.Option(help="About this organisation.")] = None,
    who: Annotated[str | None, typer.Option(help="By this person.")] = None,
    action: Annotated[str | None, typer.Option(help="This action, or all whose names begin so.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="So many, the newest.")] = 50,
    output: As = Output.TEXT,
) -> None:
    """Show what people did, the newest first."""
    wanted = AuditFilter(org_id=org, who=who, action=action)
    page: Any = with_bank_import(lambda bank_import: bank_import.audit.list(wanted, limit=limit))
    rows = [each.model_dump(mode="json", by_alias=False) for each in page.entries]
    show(rows, ("at", "who", "via", "action", "org_id", "subject", "reason"), output)
