"""The top of the command line."""

from typing import Annotated

import typer

from bankimport.cli.lazily import LazyGroup

application = typer.Typer(
    help="Import bank transactions in the background. Configured by the environment alone.",
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:  # noqa: FBT001  # typer hands an option's value by position
    if asked:
        import importlib.metadata

        typer.echo(importlib.metadata.version("bankimport"))
        raise typer.Exit


@application.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Read the options that stand before any command."""
