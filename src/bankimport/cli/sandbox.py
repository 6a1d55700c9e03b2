"""`bankimport sandbox`: a bank to develop against."""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Annotated

import typer

from bankimport.sandbox import BankClock, serve

Instant = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%dT%H:%M"], help="Stop the bank's clock at this UTC minute; the real one otherwise."),
]


def sandbox(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8090,
    page_size: Annotated[int, typer.Option(min=1, max=10_000, help="Transactions on one page.")] = 50,
    now: Instant = None,
    oauth: Annotated[
        bool, typer.Option("--oauth", help="People authorise by OAuth, at the Berlin Group interface.")
    ] = False,
) -> None:
    """Serve a sandbox bank that speaks three APIs, until Ctrl-C.

    Any consent id is a person with three accounts. POST a switch to /sandbox/consents/ID/switches, and the bank
    misbehaves for that consent; DELETE them, and it behaves. The switches are in docs/reference/sandbox.md.
    """
    clock = BankClock(now.replace(tzinfo=UTC) if now else None)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(host, port, clock=clock, page_size=page_size, by_oauth=oauth, ready=_say))


def _say(url: str) -> None:
    typer.echo(f"the sandbox bank serves {url}")
