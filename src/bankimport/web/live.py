"""`GET …/events`: a WebSocket on Upgrade, Server-Sent Events otherwise, from one line of events."""

import asyncio
import random
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Protocol

import structlog
from aiohttp import web

from bankimport.errors import NotFound, Unavailable
from bankimport.logs import frames_of
from bankimport.stream import Chunk, EventStream, Follower, FollowerEnded, behind, stop
from bankimport.web.authorising import ensure_allowed
from bankimport.web.call import STATE, Call
from bankimport.web.frames import server_sent, web_socket
from bankimport.web.origins import ensure_own_page
from bankimport.web.parameters import query_id
from bankimport.web.problems import ProblemRaised, refuse

_log = structlog.get_logger(__name__)

#: Server-Sent Events: a comment and the position this often, so that proxies and clients know the line lives.
_BEAT = timedelta(seconds=10)
#: Seconds that a clean close may take.
_CLOSING = 2.0
_COME_AGAIN = timedelta(seconds=10)
#: What a follower may send us, in bytes; nothing of it is used.
_MOST_SENT = 4096


class Line(Protocol):
    """How chunks reach one follower; a WebSocket and an event stream are two."""

    async def send(self, chunk: Chunk) -> None:
        """Send events."""

    async def beat(self, position: str) -> None:
        """Say that the line lives, and where to resume."""

    async def close(self, position: str, *, denied: bool = False) -> None:
        """Close cleanly; `position` resumes elsewhere."""


async def follow_events(call: Call) -> web.StreamResponse:
    """Send the organisation's events as they happen, from `Last-Event-ID` or `?after=` on, of one job if asked."""
    events = call.state.events
    if events is None:
        raise Unavailable("the stream of events")
    request = call.request
    upgraded = "websocket" in request.headers.get("Upgrade", "").lower()
    if upgraded:  # no CORS rule protects a WebSocket
        ensure_own_page(request, call.state.allowed_origins)
    follower = await call.service.bounds.within(_subscribe(call, events))
    call.state.followers.add(follower)
    try:
        return await (_web_socket(call, follower) if upgraded else _event_stream(call, follower))
    finally:
        call.state.followers.discard(follower)
        follower.close()


async def end_followers(app: web.Application) -> None:
    """Let every follower end cleanly as the host shuts down."""
    for follower in tuple(app[STATE].followers):
        follower.end()


async def _subscribe(call: Call, events: EventStream) -> Follower:
    after = call.request.headers.get("Last-Event-ID") or call.request.query.get("after")
    job_id = query_id(call.request, "jobId")
    if job_id is not None:
        job = await call.service.get_job_status(job_id, call.scope)
        if job is None:
            raise NotFound("job")
        after = str(behind(after, job)) if after is not None else None
    return await take_place(call, events, job_id, after)


async def take_place(call: Call, events: EventStream, job_id: str | None, after: str | None = None) -> Follower:
    """Return a follower, who also waits for one job: an organisation holds so many connections open, and no more.

    Raises:
        ProblemRaised: 429, it has as many as it may.
    """
    follower = await events.subscribe(org_id=call.scope, job_id=job_id, after=after)
    if events.hub.count(call.scope) > call.state.live.per_organisation:
        follower.close()
        raise refuse(429, "too-many-followers", "too many follow this organisation", retry_after=_COME_AGAIN)
    return follower


async def _pump(call: Call, follower: Follower, line: Line) -> None:
    """Send what the follower is handed until it ends, may no longer read, or doesn't take it."""
    loop = asyncio.get_running_loop()
    limits = call.state.live
    ask_at = loop.time() + limits.reauthorise.total_seconds()
    try:
        while True:
            left = timedelta(seconds=max(0.0, ask_at - loop.time()))
            chunk = await follower.next(min(_BEAT, left))
            if loop.time() >= ask_at:
                await ensure_allowed(
                    call.request, call.state.authorize, "read" if call.scope else "operate", call.scope
                )
                ask_at = loop.time() + limits.reauthorise.total_seconds()
            async with asyncio.timeout(limits.stuck.total_seconds()):
                await (line.send(chunk) if chunk else line.beat(str(follower.position)))
    except FollowerEnded:
        await _end(call, follower, line)
    except (ProblemRaised, web.HTTPException):
        await _end(call, follower, line, denied=True)
    except TimeoutError:
        _log.info("web.follower_dropped", org_id=call.org_id, reason="does not read")
        _abort(call.request)
    except OSError:  # it has gone, or answers no ping: what it hasn't taken must not stay
        _abort(call.request)
    except Exception as error:  # the answer has begun: no problem can be told any more; the client resumes, and gets it
        kind, frames = type(error).__name__, frames_of(error.__traceback__)
        _log.error("web.follower_failed", org_id=call.org_id, error=kind, frames=frames)
        await _end(call, follower, line)


async def _end(call: Call, follower: Follower, line: Line, *, denied: bool = False) -> None:
    """Close cleanly if the follower lets us, within a moment: it must not hold up a shutdown."""
    try:
        async with asyncio.timeout(_CLOSING):
            await line.close(str(follower.position), denied=denied)
    except OSError:  # it has gone, or the time is over
        _abort(call.request)


def _abort(request: web.Request) -> None:
    """Cut the line at once: a clean end would wait behind what the follower doesn't take."""
    if isinstance(request.transport, asyncio.WriteTransport):
        request.transport.abort()


class _EventStreamLine:
    """Server-Sent Events."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response

    async def send(self, chunk: Chunk) -> None:
        await self._response.write(chunk.encoded(server_sent))

    async def beat(self, position: str) -> None:
        """An id without data moves a browser's `Last-Event-ID` and is no event (HTML standard, 9.2.6)."""
        await self._response.write(f": beat\nid: {position}\n\n".encode())

    async def close(self, position: str, *, denied: bool = False) -> None:
        if not denied:
            await self.beat(position)
        await self._response.write_eof()


async def _event_stream(call: Call, follower: Follower) -> web.StreamResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    response = web.StreamResponse(headers=headers)
    response.content_type = "text/event-stream"
    response.charset = "utf-8"
    await response.prepare(call.request)
    retry = random.randint(1000, 3000)  # so that not all come back at one time after a restart
    await response.write(f"retry: {retry}\nid: {follower.position}\n\n".encode())
    await _pump(call, follower, _EventStreamLine(response))
    return response


class _WebSocketLine:
    """A WebSocket: one text message an event. Several are written at once, as frames made once for all followers."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._socket = socket
        self._request = request

    async def send(self, chunk: Chunk) -> None:
        transport = self._request.transport
        if self._socket.closed or transport is None or transport.is_closing():
            raise ConnectionResetError
        transport.write(chunk.encoded(web_socket))
        await _drained(transport)

    async def beat(self, position: str) -> None:
        """Nothing: aiohttp sends pings and ends the line of who doesn't answer."""
        if self._socket.closed:
            raise ConnectionResetError

    async def close(self, position: str, *, denied: bool = False) -> None:
        code = 1008 if denied else 1001
        await self._socket.close(code=code, message=b"not allowed" if denied else position.encode())


async def _drained(transport: asyncio.WriteTransport) -> None:
    """Wait until the follower has taken most of what was written. Only who reads slowly ever waits here."""
    high = transport.get_write_buffer_limits()[1]
    while transport.get_write_buffer_size() > high:
        if transport.is_closing():
            raise ConnectionResetError
        await asyncio.sleep(0.1)


async def _web_socket(call: Call, follower: Follower) -> web.StreamResponse:
    limits = call.state.live
    socket = web.WebSocketResponse(
        heartbeat=limits.heartbeat.total_seconds(), compress=False, max_msg_size=_MOST_SENT, timeout=2.0
    )
    await socket.prepare(call.request)
    try:
        await _beside(_pump(call, follower, _WebSocketLine(socket, call.request)), _listen(socket))
    finally:
        transport = call.request.transport
        if transport is not None and transport.get_write_buffer_size():  # closed by aiohttp, it waits for the reader
            _abort(call.request)
    return socket


async def _listen(socket: web.WebSocketResponse) -> None:
    """Take what the follower sends, pongs and its close among it, until it has gone."""
    async for _ in socket:
        pass


async def _beside(pump: Coroutine[Any, Any, None], listen: Coroutine[Any, Any, None]) -> None:
    """Listen while the pump runs; the end of one is the end of the other."""
    tasks = {asyncio.create_task(pump), asyncio.create_task(listen)}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            await stop(task)
