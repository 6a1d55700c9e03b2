"""A host: an aiohttp service with bankimport mounted under /api, configured by the environment alone.

    HOST_TOKENS='{"acme-token": "acme", "operator-token": "*"}' python examples/host_service.py

bankimport's own variables are in docs/reference/settings.md. Who may do what is the host's business: here a token
stands for an organisation, and "*" for the operator.
"""

import json
import os
from collections.abc import AsyncIterator

from aiohttp import web

from bankimport import BankImport

TOKENS: dict[str, str] = json.loads(os.environ.get("HOST_TOKENS", "{}"))


async def authorize(request: web.Request, action: str, org_id: str | None) -> bool:
    """Let the operator do everything, and a member read and sync in the organisation of the token."""
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
    organisation = TOKENS.get(bearer)
    return organisation == "*" or (organisation is not None and organisation == org_id and action != "operate")


def application() -> web.Application:
    """Return the host's application."""
    bank_import = BankImport.from_env()

    async def open_and_close(_: web.Application) -> AsyncIterator[None]:
        async with bank_import:
            yield

    app = web.Application()
    app.cleanup_ctx.append(open_and_close)
    app.add_subapp("/api", bank_import.web_app(authorize=authorize))
    return app


if __name__ == "__main__":
    web.run_app(
        application(), host=os.environ.get("HOST_ADDRESS", "127.0.0.1"), port=int(os.environ.get("HOST_PORT", "8080"))
    )
