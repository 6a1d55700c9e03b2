"""Frames and origins: pure."""

import json
from datetime import UTC, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from bankimport.events import Event
from bankimport.web.frames import server_sent, web_socket
from bankimport.web.origins import is_allowed


def event(text: str, number: int = 1) -> Event:
    """Return an event that carries a text."""
    return Event(id=f"1-{number}", name="bank.x", org_id="acme", timestamp=datetime.now(UTC), data={"text": text})


@pytest.mark.parametrize("length", [0, 1, 10, 125, 126, 127, 1000, 65_535, 65_536, 70_000])
async def test_frames_are_what_a_web_socket_reads(length: int) -> None:
    """Several events written as one are read as so many text messages, whatever their length."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        assert request.transport is not None
        request.transport.write(web_socket([event("ä" * (length // 2)), event("x" * length, 2)]))
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/", serve)
    async with TestClient(TestServer(app)) as client, client.ws_connect("/") as socket:
        texts = [json.loads(message.data)["data"]["text"] async for message in socket]
    assert texts == ["ä" * (length // 2), "x" * length]


@given(st.text())
def test_an_event_is_one_block(text: str) -> None:
    """Whatever is in an event, it is one block with one line of data, which is the event."""
    block = server_sent([event(text)])
    head, body = block.removesuffix(b"\n\n").split(b"\n")
    assert head == b"id: 1-1"
    assert json.loads(body.removeprefix(b"data: "))["data"]["text"] == text
    assert b"\r" not in block


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("https://host.example:8443", True),
        ("HTTPS://HOST.example:8443", True),
        ("https://app.example", True),
        ("https://host.example", False),
        ("https://evil.example", False),
        ("https://evil.example/?host.example:8443", False),
        ("https://host.example:8443.evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_which_pages_may_connect(origin: str | None, allowed: bool) -> None:
    """Our own pages, those the host lists, and programs; nobody else's page."""
    assert is_allowed(origin, "host.example:8443", {"https://app.example"}) is allowed
