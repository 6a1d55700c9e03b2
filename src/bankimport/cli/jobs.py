"""`bankimport jobs …` and `bankimport sync`."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bankimport.cli.operating import As, DryRun, Output, Reason, Yes, say, show, sure, with_bank_import
from bankimport.errors import InvalidRequest, NotFound
from bankimport.models import JobStatus, JobType
from bankimport.queue.filters import JobFilter
from bankimport.status import JobState

if TYPE_CHECKING:
    from bankimport.app import BankImport

jobs = typer.Typer(help="Jobs of all organisations.", no_args_is_help=True, rich_markup_mode=None)

Ids = Annotated[list[str] | None, typer.Argument(help="Their ids; without any, all that the options mean.")]
State = Annotated[JobState | None, typer.Option(help="In this state.")]
Kind = Annotated[JobType | None, typer.Option("--type", help="Of this type.")]
Org = Annotated[str | None, typer.Option(help="Of this organisation.")]
ConnectionId = Annotated[str | None, typer.Option("--connection", help="Of this connection.")]
Code = Annotated[str | None, typer.Option("--code", help="That ended with this error code.")]
#: only the person whose account it is can mend these
_NEED_A_PERSON = ("reauth-required", "consent-expired")
_COLUMNS = ("id", "type", "org_id", "state", "queued_at", "finished_on", "error_code")


def _row(job: JobStatus) -> dict[str, Any]:
    return job.model_dump(mode="json", by_alias=False, exclude_none=True)


@jobs.command("list")
def list_(
    state: State = None,
    kind: Kind = None,
    org: Org = None,
    connection: ConnectionId = None,
    code: Code = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="So many, the newest.")] = 50,
    output: As = Output.TEXT,
) -> None:
    """List jobs, the newest first."""

    async def work(bank_import: "BankImport") -> list[JobStatus]:
        filters: dict[str, Any] = {"state": state, "type": kind, "connection_id": connection, "error_code": code}
        return list((await bank_import.list_jobs(org, **filters, limit=limit)).jobs)

    show([_row(job) for job in with_bank_import(work)], _COLUMNS, output)


@jobs.command("show")
def show_(job_id: Annotated[str, typer.Argument(help="Its id.")], output: As = Output.TEXT) -> None:
    """Show one job with all that is kept of it."""
    row = _row(_found(with_bank_import(lambda bank_import: bank_import.get_job_status(job_id))))
    if output is Output.TEXT:
        show([{"field": name, "value": value} for name, value in row.items()], ("field", "value"), output)
    else:
        show([row], (), output)


def _found(job: JobStatus | None) -> JobStatus:
    if job is None:
        raise NotFound("job")
    return job


@jobs.command()
def retry(
    ids: Ids = None, kind: Kind = None, org: Org = None, connection: ConnectionId = None, code: Code = None,
    dry_run: DryRun = False, yes: Yes = False, reason: Reason = None,
) -> None:  # fmt: skip
    """Try failed jobs again: those named, or all that match."""
    wanted = JobFilter(state=JobState.FAILED, type=kind, org_id=org, connection_id=connection, error_code=code)
    _do("retry", ids, wanted, dry_run=dry_run, yes=yes, reason=reason)


@jobs.command()
def discard(
    ids: Ids = None, state: State = None, kind: Kind = None, org: Org = None, connection: ConnectionId = None,
    code: Code = None, dry_run: DryRun = False, yes: Yes = False, reason: Reason = None,
) -> None:  # fmt: skip
    """Remove the records of jobs that have ended, or cancel those that wait: those named, or all that match."""
    if not ids and state is None:
        raise typer.BadParameter("name the jobs, or a --state")
    wanted = JobFilter(state=state, type=kind, org_id=org, connection_id=connection, error_code=code)
    _do("discard", ids, wanted, dry_run=dry_run, yes=yes, reason=reason)


@jobs.command()
def cancel(ids: Annotated[list[str], typer.Argument(help="Their ids.")], reason: Reason = None) -> None:
    """Cancel jobs: what waits ends there, what runs stops at its next step."""
    _do("cancel", ids, JobFilter(), dry_run=False, yes=True, reason=reason)


def _do(what: str, ids: list[str] | None, wanted: JobFilter, *, dry_run: bool, yes: bool, reason: str | None) -> None:
    """Do something to the jobs that are named, or say how many match, ask, and do it to these."""
    if ids:
        if dry_run:
            say(f"would {what} {len(ids)}")
            return
        with_bank_import(lambda bank_import: _each(bank_import, what, ids), reason=reason)
        return
    number = with_bank_import(lambda bank_import: bank_import.count_jobs(wanted))
    say(f"{number} match")
    if dry_run or not number:
        typer.echo(number)
        return
    sure(f"{what} {number}?", yes=yes)
    if not reason:
        raise InvalidRequest("/reason", "is needed to do it to all that match: --reason")

    async def work(bank_import: "BankImport") -> int:
        all_: Callable[[JobFilter], Awaitable[int]] = bank_import.discard_jobs
        return await (bank_import.retry_jobs if what == "retry" else all_)(wanted)

    typer.echo(with_bank_import(work, reason=reason))


async def _each(bank_import: "BankImport", what: str, ids: list[str]) -> None:
    for job_id in ids:
        await getattr(bank_import, f"{what}_job")(job_id)
        typer.echo(job_id)


def sync(
    connection: Annotated[str, typer.Argument(help="The connection's id.")],
    full: Annotated[bool, typer.Option("--full", help="Read all that the bank gives.")] = False,
    wait: Annotated[bool, typer.Option(help="Watch it to its end.")] = True,
    output: As = Output.TEXT,
) -> None:
    """Import a connection now and watch it; nobody is present, so the bank counts the read."""

    async def work(bank_import: "BankImport") -> JobStatus | None:
        job_id = await bank_import.schedule_immediate_sync(connection, force_full_sync=full, triggered_by="operator")
        if wait:
            await _watched(bank_import, job_id)
        return await bank_import.get_job_status(job_id)

    _end_as(_found(with_bank_import(work)), output)


@jobs.command()
def watch(job_id: Annotated[str, typer.Argument(help="Its id.")], output: As = Output.TEXT) -> None:
    """Watch a job to its end; ends with 1 where it failed, with 5 where a person has to renew the consent."""

    async def work(bank_import: "BankImport") -> JobStatus | None:
        await _watched(bank_import, job_id)
        return await bank_import.get_job_status(job_id)

    _end_as(_found(with_bank_import(work)), output)


async def _watched(bank_import: "BankImport", job_id: str) -> None:
    """Say how a job gets on, until it has ended."""
    async for event in bank_import.follow(job_id):
        if event.name == "bank.job.progress":
            say(f"{event.data['percent']:>3} %  {event.data['message']}")
        elif event.name == "bank.job.retrying":
            say(f"again at {event.data['retryAt']}")


def _end_as(job: JobStatus, output: Output) -> None:
    """Show how a job ended, and end with the code that says so."""
    show([_row(job)], ("id", "state", "error_code"), output)
    if job.state is JobState.FAILED:
        raise typer.Exit(5 if job.error_code in _NEED_A_PERSON else 1)
