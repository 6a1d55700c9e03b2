"""`bankimport up`: a server, a bank, a host with the pages, and a worker, until Ctrl-C."""

import asyncio
import json
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import typer
from aiohttp import web

from bankimport.app import BankImport
from bankimport.cli.trial.doorkeeper import OPERATOR, Doorkeeper
from bankimport.errors import StartFailed
from bankimport.logs import configure
from bankimport.sandbox import create_app
from bankimport.settings import Settings
from bankimport.stores.sql.migrations import upgrade_async
from bankimport.testing import own_redis
from bankimport.web.dashboard import check_installed

_TOKENS: Final = {"acme-token": "acme", "operator-token": OPERATOR}
#: A public address for the bank to see: those of this machine are none, and a bank wants to know who asks.
_ADDRESS: Final = "93.184.216.34"
_PATIENCE: Final = 20
Handler = Callable[[web.Request], Awaitable[web.Response]]


def run(port: int) -> None:
    """Serve everything until SIGINT or SIGTERM."""
    check_installed()  # its first line is a link to the pages
    with tempfile.TemporaryDirectory(prefix="bankimport-") as folder, own_redis() as redis_url:
        asyncio.run(_serve(Path(folder), redis_url, port))


async def _serve(folder: Path, redis_url: str, port: int) -> None:
    ended = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, ended.set)
    async with _site(create_app(), 0) as bank, _host(folder, redis_url, bank, port) as host:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "arq", "bankimport.WorkerSettings",
            stdout=(log := (folder / "worker.log").open("wb")), stderr=log, start_new_session=True,
        )  # fmt: skip
        waiting = [asyncio.create_task(ended.wait()), asyncio.create_task(process.wait())]
        try:
            typer.echo(_words(host, bank, folder))
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if process.returncode is not None:
                raise StartFailed(f"the worker ended:\n{(folder / 'worker.log').read_text()[-2000:]}")
        finally:
            await _end(process)
            waiting[0].cancel()
            log.close()


def _words(host: str, bank: str, folder: Path) -> str:
    return (
        f"Connect a bank as its person does, once you are in:  {host}/connect\n"
        f"A customer's own page: {host}/api/organisations/acme/bank-connections/page\n"
        f"Routes:    {host}/api/openapi.json (a member's token is acme-token, the operator's operator-token)\n"
        f"Bank:      {bank}\nDatabase:  {folder / 'bank.db'}\nWorker:    {folder / 'worker.log'}\n"
        f"Commands:  in another terminal:  . {folder / 'environment'} && bankimport jobs list\nCtrl-C ends it."
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _site(app: web.Application, port: int) -> AsyncIterator[str]:
    """Serve an application on the loopback interface; a port of 0 takes a free one."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError:
            raise typer.BadParameter(f"port {port} is taken: choose another one with --port") from None
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _configure(folder: Path, redis_url: str, bank: str, origin: str) -> None:
    """Say in the environment what every process is to use; what stood there of ours counts for nothing."""
    for name in [name for name in os.environ if name.startswith(("BANK_SYNC_", "REDIS_"))]:
        del os.environ[name]
    # this bank's contract allows any number of reads without the person: sync as often as you like
    options = {"type": "berlin-group", "base_url": bank, "unattended_limit": None, "own_address": _ADDRESS}
    own = {
        "REDIS_URL": redis_url,
        "BANK_SYNC_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'bank.db'}",
        "BANK_SYNC_BANKS": json.dumps({"sandbox": options}),
        "BANK_SYNC_CALLBACK_URL": f"{origin}/api/callback",
        "BANK_SYNC_RETURN_TO": f"{origin}/",
        "BANK_SYNC_ENVIRONMENT": "development",
    }
    os.environ |= own
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in own.items()]
    (folder / "environment").write_text("".join(lines))


@asynccontextmanager
async def _host(folder: Path, redis_url: str, bank: str, port: int) -> AsyncIterator[str]:
    """Serve the host, with one connection and somebody at the door."""
    origin = f"http://127.0.0.1:{port}"
    _configure(folder, redis_url, bank, origin)
    configure(Settings.load(log_level="WARNING"))  # what stands on this terminal is for a person to read
    await upgrade_async(os.environ["BANK_SYNC_DATABASE_URL"])
    doorkeeper = Doorkeeper(
        _TOKENS, f"bankimport_up_{port}", used=lambda: _show(doorkeeper.new_link(origin), "For another browser: ")
    )
    async with BankImport.from_env() as bank_import:
        until = (datetime.now(UTC) + timedelta(days=90)).date()
        await bank_import.connections.add(
            org_id="acme", bank="sandbox", consent_id="consent-1", valid_until=until, id="giro"
        )
        await bank_import.schedule_immediate_sync("giro", org_id="acme", triggered_by="up")
        app = web.Application()
        app.router.add_get("/", _to_pages)
        app.router.add_get("/connect", _connecting(bank_import, doorkeeper, origin), allow_head=False)
        app.router.add_get("/login", doorkeeper.enter, allow_head=False)
        app.add_subapp("/api", bank_import.web_app(authorize=doorkeeper.authorize, user=doorkeeper.user))
        async with _site(app, port) as host:
            _show(doorkeeper.new_link(origin), "Open this:  ")
            yield host


def _show(link: str, words: str) -> None:
    typer.echo(f"{words}{link}")


def _connecting(bank_import: BankImport, doorkeeper: Doorkeeper, origin: str) -> Handler:
    """Return what sends whoever is signed in to the bank's page; from there they come back by our own callback."""

    async def connect(request: web.Request) -> web.Response:
        user = await doorkeeper.user(request)
        if user is None:
            return web.Response(status=403, text="Follow the link of the terminal first.\n")
        begun = await bank_import.connections.connect(
            org_id="acme", bank="sandbox", user=user, return_to=f"{origin}/api/dashboard/connections"
        )
        return web.Response(status=303, headers={"Location": begun.url or "/"})

    return connect


async def _to_pages(_: web.Request) -> web.Response:
    return web.Response(status=303, headers={"Location": "/api/dashboard"})
