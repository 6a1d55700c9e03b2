"""A service that hears webhooks, and verifies each with the public library."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook


@dataclass
class Receiver:
    """What it heard, in order, each verified; `answer` says how the next ones are answered."""

    secrets: list[str] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], web.StreamResponse] = lambda message: web.Response()
    #: awaited before each answer, once something was heard
    hold: asyncio.Event | None = None
    url: str = ""
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    #: the requests as they came: headers and body
    raw: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    verify: bool = True
    at_once: int = 0
    most_at_once: int = 0

    async def hear(self, request: web.Request) -> web.StreamResponse:
        """Hear one request."""
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.raw.append((headers, body))
        message: dict[str, Any] = json.loads(body)
        if self.verify:
            message = Webhook(self.secrets[-1]).verify(body, headers)
        self.heard.append((headers["webhook-id"], message))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.hold is not None:
                await self.hold.wait()
        finally:
            self.at_once -= 1
        return self.answer(message)

    def data(self, name: str) -> list[Any]:
        """Return a field of all that was heard."""
        return [message["data"].get(name) for _, message in self.heard]

    def ids(self) -> list[str]:
        """Return the ids in the order in which they were heard."""
        return [id_ for id_, _ in self.heard]


@asynccontextmanager
async def receiving(port: int = 0) -> AsyncIterator[Receiver]:
    """Serve a receiver on this loop."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hooks", receiver.hear)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks"
    try:
        yield receiver
    finally:
        await runner.cleanup()
