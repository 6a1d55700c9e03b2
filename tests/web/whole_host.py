"""A host with everything, as a process of its own: the routes over a real store and Redis, and a worker.

python whole_host.py PORT      prints the ids of two jobs and of an account once it serves
"""

import asyncio
import gc
import os
import sys
from collections.abc import Sequence
from datetime import date

from aiohttp import web

from bankimport import BankImport, BankRejected, ReportedTransaction, Settings, TransactionStatus
from bankimport.models import (
    BankAccount,
    BankConnection,
    Begun,
    Callback,
    Capabilities,
    ConsentRequest,
    ConsentStatus,
    Granted,
    Institution,
    PsuContext,
)
from bankimport.stores import SqlStore, upgrade_async
from bankimport.testing import FakeBank


class Connectable(FakeBank):
    """A bank whose people are sent to a page that nobody serves."""

    @property
    def consent_flow(self) -> "Connectable":
        """See `OffersConsent`."""
        return self

    async def begin(self, request: ConsentRequest) -> Begun:
        """See `ConsentFlow`."""
        return Begun("https://bank.example/authorise", "consent")

    async def finish(self, begun: Begun, callback: Callback, psu: PsuContext | None) -> Granted:
        """See `ConsentFlow`."""
        return Granted("consent")

    async def status(self, begun: Begun) -> ConsentStatus:
        """See `ConsentFlow`."""
        return ConsentStatus.VALID

    async def revoke(self, connection: BankConnection) -> None:
        """See `ConsentFlow`."""

    async def banks(self, country: str | None = None) -> Sequence[Institution]:
        """See `ConsentFlow`."""
        return ()

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        """One connection can never be read, so that its job can be retried; one takes its time, so that its can be
        cancelled."""
        if connection.id == "broken":
            raise BankRejected(418)
        if connection.id == "slow":
            await asyncio.sleep(3)
        return await super().accounts(connection, psu)


ACCOUNT = BankAccount(provider_id="at-the-bank", stable_key="key", currency="EUR")
COFFEE = ReportedTransaction(TransactionStatus.BOOKED, amount="-3.50", currency="EUR", booking_date="2026-01-10")


async def authorize(request: web.Request, action: str, org_id: str | None) -> bool:
    """Let in who has the token."""
    token = request.headers.get("Authorization")
    if token is None:
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
    return token == "Bearer token"


async def refuse(request: web.Request) -> web.Response:
    """Refuse at once: what a request costs aiohttp alone."""
    return web.json_response({"code": "too-many-requests"}, status=429)


async def main(port: int) -> None:
    """Serve until the process is ended."""
    settings = Settings.load(
        org_requests_per_minute=int(os.environ.get("WHOLE_HOST_LIMIT", "1000000")),
        callback_url="https://host.example/api/callback",
    )
    url = settings.database_url.get_secret_value()
    await upgrade_async(url)
    bank = Connectable(capabilities=Capabilities(unattended_limit=None))  # who asks often uses up no day's reads
    bank.accounts_answer = [ACCOUNT]
    bank.show(ACCOUNT, COFFEE)
    async with BankImport(settings, banks={"bank": bank}, store=SqlStore(url)) as bank_import:
        for name in ("giro", "sparen", "broken", "slow"):
            await bank_import.connections.add(org_id="acme", bank="bank", valid_until=date(2099, 12, 31), id=name)
        job_id = await bank_import.schedule_immediate_sync("giro")
        failing = await bank_import.schedule_immediate_sync("broken")
        app = web.Application()
        app.router.add_post("/nothing", refuse)
        app.add_subapp("/api", bank_import.web_app(authorize=authorize))
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        gc.collect()
        gc.freeze()  # as docs/how-to/operate-the-queue.md has it
        async with bank_import.working():
            async for _ in bank_import.follow(job_id):
                pass
            [account] = await bank_import.connections.accounts("giro")
            print(f"serving {job_id},{failing} {account.id}", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
