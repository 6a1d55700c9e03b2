"""A page with a refresh button and a progress bar: a host that shows its user how far a sync is.

Run it as you run host_service.py, and open http://127.0.0.1:8080/?connection=giro (add &sse for Server-Sent Events).
The page is refresh_page.html. A cookie stands for a login: a real host has its own.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from bankimport import BankImport

PAGE = Path(__file__).with_suffix(".html")
ORGANISATION = "acme"


async def authorize(request: web.Request, action: str, org_id: str | None) -> bool:
    """Let a visitor read and sync in the organisation of the cookie."""
    return request.cookies.get("organisation") == org_id and action != "operate"


async def show_page(request: web.Request) -> web.Response:
    """Log the visitor in and show the page. `SameSite=Strict`: no other site's page can press the button."""
    answer = web.Response(text=PAGE.read_text(encoding="utf-8"), content_type="text/html")
    answer.set_cookie("organisation", ORGANISATION, samesite="Strict")
    return answer


def application() -> web.Application:
    """Return the host's application."""
    bank_import = BankImport.from_env()

    async def open_and_close(_: web.Application) -> AsyncIterator[None]:
        async with bank_import:
            yield

    app = web.Application()
    app.cleanup_ctx.append(open_and_close)
    app.router.add_get("/", show_page)
    app.add_subapp("/api", bank_import.web_app(authorize=authorize))
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(os.environ.get("HOST_PORT", "8080")))
