"""A fourth provider, as anybody may write one (examples/minimal_provider.py), passes the same contract."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import pytest
from aiohttp import web
from examples.minimal_provider import MinimalBank

from bankimport.models import BankConnection
from bankimport.testing.contracts import BankUnderTest, ProviderContract, Trouble
from tests.contracts.conftest import Serve

TODAY = date(2026, 6, 17)
PAGE = 20
#: what the imagined bank says, once, when it is told to be in trouble
STATUS = {
    Trouble.UNAVAILABLE: (503, None),
    Trouble.NOT_JSON: (200, "<html>"),
    Trouble.RATE_LIMITED: (429, None),
    Trouble.CONSENT_EXPIRED: (403, {"error": "expired"}),
    Trouble.CONSENT_REVOKED: (403, {"error": "revoked"}),
    Trouble.OUR_CREDENTIALS: (403, {"error": "not-you"}),
    Trouble.ACCOUNT_GONE: (404, {"error": "no-account"}),
    Trouble.PERIOD_TOO_EARLY: (400, {"error": "too-early"}),
}


class ImaginedBank:
    """One account a person, an entry a day, and today's still pending."""

    def __init__(self) -> None:
        self.troubles: list[Trouble] = []
        self.app = web.Application()
        self.app.add_routes(
            [
                web.get("/accounts", self.accounts),
                web.get("/accounts/{id}/balance", self.balance),
                web.get("/accounts/{id}/entries", self.entries),
            ]
        )

    async def accounts(self, request: web.Request) -> web.Response:
        """The person's account, whose id is new in each consent."""
        code = request.headers["Authorization"].removeprefix("Bearer ")
        person = code.partition("~")[0]
        return web.json_response([{"id": f"r-{code}", "iban": f"DE{person}", "currency": "EUR"}])

    async def balance(self, request: web.Request) -> web.Response:
        """What there is."""
        return web.json_response({"amount": "12.50"})

    async def entries(self, request: web.Request) -> web.StreamResponse:
        """A page of entries, or a trouble."""
        if self.troubles:
            return await self.trouble(request, self.troubles.pop())
        since = date.fromisoformat(request.query["since"])
        until = min(TODAY, date.fromisoformat(request.query.get("until", "9999-01-01")))
        days = [since + timedelta(days=n) for n in range((until - since).days + 1)]
        page = int(request.query["page"])
        rows: list[dict[str, Any]] = [
            {
                "id": f"e{day}",
                "amount": f"-{day.day}.10",
                "currency": "EUR",
                "day": f"{day}",
                "text": "x",
                "pending": day == TODAY,
            }
            for day in days[(page - 1) * PAGE : page * PAGE]
        ]
        return web.json_response({"entries": rows, "next": page + 1 if page * PAGE < len(days) else None})

    async def trouble(self, request: web.Request, trouble: Trouble) -> web.StreamResponse:
        """Say no, or cut the connection."""
        if trouble is Trouble.CUT:
            response = web.StreamResponse(headers={"Content-Length": "4096"})
            await response.prepare(request)
            assert request.transport is not None
            request.transport.abort()
            return response
        status, body = STATUS[trouble]
        if isinstance(body, str):
            return web.Response(text=body, status=status)
        return web.json_response(body, status=status)


class TestMinimalProvider(ProviderContract):
    """The contract."""

    @pytest.fixture
    async def bank(self, serve: Serve) -> AsyncIterator[BankUnderTest]:
        """The imagined bank."""
        imagined = ImaginedBank()

        async def cause(trouble: Trouble) -> None:
            imagined.troubles.append(trouble)

        def connection(code: str) -> BankConnection:
            return BankConnection("c", "acme", "minimal", consent_id=code)

        provider = MinimalBank(await serve(imagined.app))
        yield BankUnderTest(provider, connection("11"), connection("11~2"), connection("22"), TODAY, cause)
        await provider.aclose()
