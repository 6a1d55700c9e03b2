"""The words of the command line."""

import importlib.metadata
from typing import Annotated

import typer

from bankimport.cli.connect import connect
from bankimport.cli.connections import connections
from bankimport.cli.database import database
from bankimport.cli.sandbox import sandbox
from bankimport.cli.trial import up

application = typer.Typer(
    help="Import bank transactions in the background. Configured by the environment alone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
application.add_typer(database, name="db")
application.add_typer(connections, name="connections")
application.command()(up)
application.command()(connect)
application.command()(sandbox)


def _version(asked: bool) -> None:  # noqa: FBT001  # typer hands an option's value by position
    if asked:
        typer.echo(importlib.metadata.version("bankimport"))
        raise typer.Exit


@application.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Read the options that stand before any command."""
