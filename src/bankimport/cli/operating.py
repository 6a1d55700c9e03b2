"""What the commands share: a `BankImport` of the environment, who acts, and how the answer is written."""

import asyncio
import csv
import getpass
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import structlog
import typer

from bankimport.acting import acting_as

if TYPE_CHECKING:
    from bankimport.app import BankImport

T = TypeVar("T")


class Output(StrEnum):
    """How data is written to standard output."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


As = Annotated[Output, typer.Option("-o", "--output", help="How the answer is written.")]
Reason = Annotated[str | None, typer.Option(help="Why; it is kept in the audit log.")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def said_on_standard_error() -> None:
    """Let words of ours go to standard error, where they are worth it: standard output is for data."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def with_bank_import(work: Callable[["BankImport"], Awaitable[T]], *, reason: str | None = None) -> T:
    """Return what `work` returns of a started `BankImport` of the environment; what it does is written down as the
    account's that runs the command."""
    from bankimport.app import BankImport

    said_on_standard_error()

    async def run() -> T:
        async with BankImport.from_env() as bank_import:
            with acting_as(getpass.getuser(), reason=reason, via="cli"):
                return await work(bank_import)

    return asyncio.run(run())


def show(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], output: Output) -> None:
    """Write rows: a table of some columns, one JSON list, or an object a line with all that is known."""
    if output is Output.JSONL:
        for row in rows:
            typer.echo(json.dumps(row, default=str))
        return
    found = list(rows)
    if output is Output.JSON:
        typer.echo(json.dumps(found, default=str, indent=2))
        return
    cells = [[str(column).replace("_", " ") for column in columns]]
    cells += [[_text(row.get(column)) for column in columns] for row in found]
    widths = [max(len(line[at]) for line in cells) for at in range(len(columns))]
    for line in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _text(value: Any) -> str:
    text = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else " " for letter in text)  # nothing steers the terminal


def say(words: str) -> None:
    """Write words for a person to standard error."""
    typer.echo(words, err=True)


def sure(question: str, *, yes: bool) -> None:
    """Ask before something that can't be undone; without a terminal `--yes` is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("add --yes: there is no terminal to ask on")
    typer.confirm(question, abort=True, err=True)


def write_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, header: bool = True) -> None:
    """Write rows as CSV. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
    if header:
        writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "@", "\t", "\r")) else value
