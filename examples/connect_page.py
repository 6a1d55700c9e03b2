"""A page on which a person connects a bank, renews and revokes: a host whose users have logins.

Run it as you run host_service.py, with BANK_SYNC_CALLBACK_URL=http://127.0.0.1:8080/api/callback and
BANK_SYNC_RETURN_TO=http://127.0.0.1:8080/, and open http://127.0.0.1:8080/?as=anna. The page is connect_page.html.
A cookie stands for a login: a real host has its own, and it must be `SameSite=Lax`, or the bank's redirect has none.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from bankimport import BankImport

PAGE = Path(__file__).with_suffix(".html")
ORGANISATION = "acme"


async def signed_in(request: web.Request) -> str | None:
    """Return who is there: only who began to connect a bank can end it."""
    return request.cookies.get("user")


async def authorize(request: web.Request, action: str, org_id: str | None) -> bool:
    """Let users read, connect and sync in their organisation."""
    return "user" in request.cookies and org_id == ORGANISATION and action != "operate"


async def show_page(request: web.Request) -> web.Response:
    """Show the page; `?as=` logs somebody in."""
    answer = web.Response(text=PAGE.read_text(encoding="utf-8"), content_type="text/html")
    if user := request.query.get("as"):
        answer.set_cookie("user", user, samesite="Lax", httponly=True)
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
    app.add_subapp("/api", bank_import.web_app(authorize=authorize, user=signed_in))
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(os.environ.get("HOST_PORT", "8080")))
