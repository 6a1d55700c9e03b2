"""A browser's two ways to follow events, reduced to what they deliver."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientResponse, ClientWebSocketResponse

from tests.waiting import PATIENCE
from tests.web.serving import Host


@dataclass
class Heard:
    """What was heard: the events, and the id that resumes."""

    events: list[dict[str, Any]] = field(default_factory=list)
    last_id: str | None = None

    @property
    def ids(self) -> list[str]:
        """The ids of the events."""
        return [event["id"] for event in self.events]


async def hear_sse(answer: ClientResponse, heard: Heard) -> None:
    """Read Server-Sent Events to their end, as the HTML standard wants it."""
    data: list[str] = []
    last_id = heard.last_id
    async for raw in answer.content:
        line = raw.decode().rstrip("\n")
        name, _, value = line.partition(": ")
        if name == "data":
            data.append(value)
        elif name == "id":
            last_id = value
        elif not line:
            heard.last_id = last_id
            if data:
                heard.events.append(json.loads("\n".join(data)))
            data = []


async def hear_socket(socket: ClientWebSocketResponse, heard: Heard) -> None:
    """Read a WebSocket to its end; a clean close carries the id that resumes."""
    async for message in socket:
        heard.events.append(json.loads(message.data))
        heard.last_id = heard.events[-1]["id"]


@dataclass
class Listening:
    """One connection that is being listened to."""

    heard: Heard
    task: "asyncio.Task[None]"
    answer: ClientResponse | ClientWebSocketResponse

    async def ended(self) -> None:
        """Wait for the server to end it."""
        await asyncio.wait_for(self.task, PATIENCE)

    async def cut(self) -> None:
        """Cut it without a word, as a lost network does."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        response = self.answer if isinstance(self.answer, ClientResponse) else self.answer._response
        if response.connection is not None and response.connection.transport is not None:
            response.connection.transport.abort()
        response.close()


async def listen(host: Host, kind: str, query: str = "", *, heard: Heard | None = None, **headers: str) -> Listening:
    """Follow the organisation's events by `sse` or `ws`."""
    heard = heard or Heard()
    headers = {"Authorization": "acme", **headers}
    url = f"{host.url}/events{query}"
    if kind == "ws":
        socket = await host.session.ws_connect(url, headers=headers)
        return Listening(heard, asyncio.create_task(hear_socket(socket, heard)), socket)
    answer = await host.session.get(url, headers=headers)
    assert answer.status == 200, await answer.text()
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    return Listening(heard, asyncio.create_task(hear_sse(answer, heard)), answer)
