"""A host with the operator's pages, for `test_dashboard.py`. A cookie stands for a login: `role=operator` operates,
`role=acme` is a member of the organisation acme, and nobody else may do anything."""

import os
from collections.abc import AsyncIterator

from aiohttp import web

from bankimport import BankImport


async def authorize(request: web.Request, action: str, org_id: str | None) -> bool:
    """Let the operator do everything, and members read and sync in their organisation."""
    role = request.cookies.get("role")
    return role == "operator" or (role == org_id and action != "operate")


async def log_in(request: web.Request) -> web.Response:
    """Give the visitor the role they name, and show them the pages."""
    answer = web.Response(status=303, headers={"Location": request.query.get("to", "/banking/dashboard")})
    answer.set_cookie("role", request.query["role"], samesite="Strict")
    return answer


def application() -> web.Application:
    """Return the host's application."""
    bank_import = BankImport.from_env()

    async def open_and_close(_: web.Application) -> AsyncIterator[None]:
        async with bank_import:
            yield

    app = web.Application()
    app.cleanup_ctx.append(open_and_close)
    app.router.add_get("/login", log_in)
    app.add_subapp("/banking", bank_import.web_app(authorize=authorize))
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(os.environ["HOST_PORT"]))
