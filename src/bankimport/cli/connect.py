"""`bankimport connect`: a person connects a bank, or renews the consent, from a terminal.

The bank sends the browser back to this machine (RFC 8252 §7.3): to our own callback route, served on a loopback port
for as long as the command runs.
"""

import asyncio
import contextlib
import secrets
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer
from aiohttp import web
from rich.console import Console
from rich.table import Table

from bankimport.errors import BankImportError
from bankimport.logs import configure
from bankimport.models import (
    AuthorisationBegun,
    AuthorisationOutcome,
    AuthorisationStatus,
    AuthorisationStep,
    JobStatus,
)
from bankimport.settings import Settings

if TYPE_CHECKING:
    from bankimport.app import BankImport

_LOOK: Final = timedelta(milliseconds=300)
#: a job that no worker has taken by then is left to whenever one runs
_PATIENCE: Final = timedelta(seconds=10)
_O: Final = AuthorisationOutcome
_WORDS: Final = {
    _O.CONNECTED: "Connected.",
    _O.RENEWED: "Renewed: the same accounts, the same transactions.",
    _O.CANCELLED: "Cancelled: nothing was changed.",
    _O.BANK_FAILED: "The bank could not do it. Try again later.",
    _O.FAILED: "It did not work. Try again.",
}


@dataclass(frozen=True)
class Wish:
    """What the options say."""

    bank: str
    org: str
    connection: str | None
    institution: str | None
    language: str | None
    psu_id: str | None
    port: int
    browser: bool


def connect(
    bank: Annotated[str, typer.Option(help="A name in BANK_SYNC_BANKS.")],
    org: Annotated[str, typer.Option(help="The organisation that the connection belongs to.")],
    connection: Annotated[str | None, typer.Option(help="Renew this connection's consent instead.")] = None,
    institution: Annotated[
        str | None, typer.Option(help="Which bank, where BANK has many: DE:Name, or GoCardless's id of it.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Two letters: what the bank's pages speak.")] = None,
    psu_id: Annotated[
        str | None, typer.Option(help="What you are called at the bank, where it asks in its own app.")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of this machine, for the way back; 0 takes a free one.")
    ] = 0,
    browser: Annotated[bool, typer.Option(help="Open the bank's page in a browser of this machine.")] = True,
) -> None:
    """Connect a bank: you consent on its pages, and the first import begins.

    The bank sends you back to http://127.0.0.1:PORT/callback/BANK. Where it wants that address registered, choose a
    --port. Redis and the database must run; a worker does the import.
    """
    wish = Wish(bank, org, connection, institution, language, psu_id, port, browser)
    outcome = asyncio.run(_connected(wish))
    raise typer.Exit(0 if outcome in (_O.CONNECTED, _O.RENEWED) else 1)


async def _connected(wish: Wish) -> AuthorisationOutcome:
    from bankimport.app import BankImport

    settings = Settings.load()
    if "log_level" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_level": "WARNING"})
    configure(settings)
    async with BankImport.from_env() as bank_import:
        user = f"terminal:{secrets.token_hex(8)}"
        async with _callback(bank_import, user, wish.port) as url:
            begun = await _begun(bank_import, wish, user, url)
            try:
                _send(begun, browser=wish.browser)
                ended = await _ended(bank_import, begun)
            except asyncio.CancelledError:  # Ctrl-C
                with contextlib.suppress(BankImportError):
                    await bank_import.connections.give_up(begun.id)
                raise
        outcome = ended.outcome or _O.FAILED
        typer.echo(_WORDS[outcome])
        if outcome in (_O.CONNECTED, _O.RENEWED):
            await _show_import(bank_import, begun.id, wish.org, ended.same_login)
        return outcome


@asynccontextmanager
async def _callback(bank_import: "BankImport", user: str, port: int) -> AsyncIterator[str]:
    """Serve the callback's route on a port of this machine; all other routes let nobody in."""

    async def nobody(_: web.Request, __: str, ___: str | None) -> bool:
        return False

    async def whoever_holds_the_state(_: web.Request) -> str:
        return user

    app = bank_import.web_app(authorize=nobody, user=whoever_holds_the_state)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError:
            raise typer.BadParameter(f"port {port} of 127.0.0.1 is taken: choose another --port, or none") from None
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/callback"
    finally:
        await runner.cleanup()


async def _begun(bank_import: "BankImport", wish: Wish, user: str, url: str) -> AuthorisationBegun:
    connections = bank_import.connections
    if wish.connection is None:
        return await connections.connect(
            org_id=wish.org,
            bank=wish.bank,
            user=user,
            institution=wish.institution,
            language=wish.language,
            psu_id=wish.psu_id,
            callback_url=url,
        )
    return await connections.renew(
        wish.connection,
        org_id=wish.org,
        user=user,
        institution=wish.institution,
        language=wish.language,
        psu_id=wish.psu_id,
        callback_url=url,
    )


def _send(begun: AuthorisationBegun, *, browser: bool) -> None:
    if begun.url is None:
        typer.echo("Consent in your bank's own app. Waiting for that (Ctrl-C gives up) …")
        return
    typer.echo(f"Open this address in a browser of this machine, and consent there:\n\n  {begun.url}\n")
    if browser:
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(begun.url)
    typer.echo("Waiting for the bank to send you back (Ctrl-C gives up) …")


async def _ended(bank_import: "BankImport", begun: AuthorisationBegun) -> AuthorisationStatus:
    while True:
        status = await bank_import.connections.authorisation(begun.id)
        if status.state is AuthorisationStep.ENDED:
            return status
        await _next_look()


async def _next_look() -> None:
    """Wait a moment; raise `asyncio.CancelledError` for a Ctrl-C, also for one that met the end of a call to Redis or
    the database: `asyncio.wait_for`, which their drivers use, loses a cancellation there (Python 3.11)."""
    if (task := asyncio.current_task()) is not None and task.cancelling():
        raise asyncio.CancelledError
    await asyncio.sleep(_LOOK.total_seconds())


async def _show_import(bank_import: "BankImport", connection_id: str, org_id: str, same_login: str | None) -> None:
    """Wait for the import that was asked for, and show the accounts that it found."""
    typer.echo(f"connection: {connection_id}")
    if same_login is not None:
        typer.echo(f"It reaches the same accounts as {same_login}: revoke one of them.")
    job = await _first_import(bank_import, connection_id, org_id)
    if job is None or not job.state.is_terminal:
        typer.echo("No worker has imported it yet: `arq bankimport.WorkerSettings` does, as soon as it runs.")
        return
    if job.progress is not None:
        typer.echo(job.progress.message)
    table = Table("account", "currency", "name", "number ends in")
    for each in await bank_import.connections.accounts(connection_id):
        table.add_row(each.id or "", each.currency or "", each.name or "", (each.iban or "")[-4:])
    Console().print(table)


async def _first_import(bank_import: "BankImport", connection_id: str, org_id: str) -> JobStatus | None:
    """Return the import's job, ended if a worker has taken it in time."""
    waited = timedelta(0) if (await bank_import.get_queue_health()).workers else _PATIENCE
    while True:
        page = await bank_import.list_jobs(org_id, connection_id=connection_id, limit=1)
        job = page.jobs[0] if page.jobs else None
        is_taken = job is not None and job.processed_on is not None
        if (job is not None and job.state.is_terminal) or (not is_taken and waited >= _PATIENCE):
            return job
        await _next_look()
        waited += _LOOK
