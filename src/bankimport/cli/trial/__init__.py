"""`bankimport up`: everything on one machine, to try it."""

from typing import Annotated

import typer

Port = Annotated[int, typer.Option(min=1, max=65535, help="Where the host listens, on this machine alone.")]


def up(port: Port = 8080) -> None:
    """Start a server, a sandbox bank, a host with the pages, and a worker, and show where to click; Ctrl-C ends it.

    Nothing is kept: the database and the server's data live in a temporary folder. It needs the extras `sql`,
    `embedded` and `dashboard`.
    """
    from bankimport.cli.trial.everything import run

    run(port)
