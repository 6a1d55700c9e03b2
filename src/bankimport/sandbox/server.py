"""The sandbox bank: three APIs and its own controls in one application."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from aiohttp import web

from bankimport.sandbox import (
    authorising,
    berlin_group,
    berlin_group_consents,
    changes,
    control,
    enable_banking,
    enable_banking_consents,
    gocardless,
    gocardless_consents,
    oauth,
)
from bankimport.sandbox.bank import BankClock
from bankimport.sandbox.counter import STATE, Refused, State

DEFAULT_PAGE_SIZE: Final = 50
_PARTS: Final = (
    berlin_group,
    berlin_group_consents,
    enable_banking,
    enable_banking_consents,
    gocardless,
    gocardless_consents,
    changes,
    authorising,
    oauth,
    control,
)
#: whose words a refusal is written in
_APIS: Final = (("/v1/", berlin_group.refusal), ("/api/v2/", gocardless.refusal))


def create_app(
    *,
    clock: BankClock | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    history: timedelta = timedelta(days=90),
    by_oauth: bool = False,
) -> web.Application:
    """Return the sandbox bank, which speaks all three APIs. Any consent id is a person's: as Berlin Group's consent,
    Enable Banking's session or GoCardless's requisition; nothing has to be set up.

    Args:
        clock: the bank's clock; the real one if None.
        page_size: transactions on one page.
        history: how far back the bank answers; an earlier `dateFrom` is PERIOD_INVALID.
        by_oauth: people authorise its Berlin Group interface by OAuth instead of a plain redirect.

    Raises:
        ValueError: a page of less than one.
    """
    if page_size < 1:
        raise ValueError("page_size must be at least 1")
    app = web.Application(middlewares=[_refusals])
    app[STATE] = State(clock or BankClock(), page_size, history, by_oauth=by_oauth)
    for api in _PARTS:
        app.add_routes(api.routes())
    return app


async def serve(
    host: str = "127.0.0.1",
    port: int = 8090,
    *,
    clock: BankClock | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    by_oauth: bool = False,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until cancelled; `ready` is told the base URL once it listens. Port 0 takes a free one."""
    runner = web.AppRunner(create_app(clock=clock, page_size=page_size, by_oauth=by_oauth), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        if ready is not None:
            bound = runner.addresses[0][1]
            ready(f"http://{host}:{bound}")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


@web.middleware
async def _refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        if refused.body is not None:
            return web.Response(body=refused.body, content_type="application/json")
        api = next((api for prefix, api in _APIS if request.path.startswith(prefix)), enable_banking.refusal)
        return api(refused)
