"""A thousand live followers of one process, a hundred events a second: how late, how big, and who harms whom?

Half of them are WebSockets, half Server-Sent Events. Once they are all of one organisation, so that each event goes to
each of them (100,000 deliveries a second); once they are of a hundred organisations, as in life. Then fifty more
followers are added that never read. The time is from before the script is called to the follower's socket. Host and
followers are a process each; every tenth follower's events are timed.

    python -m benchmarks.followers serve|listen …     the two processes
"""

import asyncio
import gc
import json
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import psutil
from aiohttp import web
from redis.asyncio import Redis

from bankimport.queue.queue import Queue
from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from bankimport.stream import EventStream
from bankimport.web import web_app
from benchmarks.bench import Bench, our_queue
from benchmarks.table import Row, Target, percentile

FOLLOWERS, SILENT, A_SECOND, SECONDS = 1000, 50, 100, 10.0
MARK = b'"sent":'


async def measure(bench: Bench) -> list[Row]:
    """Measure latency and memory, with all in one organisation, in a hundred, and with some that never read."""
    late = Target("≤ 250 ms", lambda ours, _: ours <= 250)
    small = Target("≤ 50 KB", lambda ours, _: ours <= 50)
    rows: list[Row] = []
    for words, orgs, silent in (
        ("all of one organisation", 1, 0),
        ("of 100 organisations", 100, 0),
        ("of 100 organisations, 50 more never read", 100, SILENT),
    ):
        seen = [await _once(bench, orgs, silent) for _ in range(max(1, bench.repeats // 2))]
        about = f"{bench.count(FOLLOWERS)} followers, {A_SECOND} events/s, {words}"
        rows += [
            Row(f"{about}: p50", "ms", [each.p50 for each in seen]),
            Row(f"{about}: p99", "ms", [each.p99 for each in seen], target=late),
            Row(f"{about}: missing or doubled", "events", [each.wrong for each in seen]),
            Row(f"{about}: host CPU", "% of a core", [each.cpu for each in seen]),
            Row(f"{about}: memory of a follower", "KB", [each.memory for each in seen], target=small),
        ]
        if silent:
            rows.append(Row(f"{about}: of these left after 12 s", "followers", [each.silent_left for each in seen]))
    return rows


@dataclass
class Seen:
    """What one run saw."""

    p50: float
    p99: float
    wrong: float
    cpu: float
    memory: float
    silent_left: float


async def _once(bench: Bench, orgs: int, silent: int) -> Seen:
    bench.admin.flushall()
    number, seconds = bench.count(FOLLOWERS), bench.seconds(SECONDS)
    server = bench.processes.python("server", "-m", "benchmarks.followers", "serve", bench.url)
    port = (await server.line("serving")).split()[1]
    host = psutil.Process(server.pid)
    await asyncio.sleep(1)
    before = host.memory_info().rss
    listener = bench.processes.python(
        "listener", "-m", "benchmarks.followers", "listen", port, str(number), str(orgs), str(silent)
    )
    try:
        await listener.line("ready", 60)
        async with our_queue(bench) as queue:
            await _pour(queue, orgs, 1.0)
            began, cpu = time.monotonic(), sum(host.cpu_times()[:2])
            sent = await _pour(queue, orgs, seconds)
            used = (sum(host.cpu_times()[:2]) - cpu) / (time.monotonic() - began)
            memory = (host.memory_info().rss - before) / 1024 / (number + silent)
            left = 0
            if silent:
                await _pour(queue, orgs, max(0.0, 13 - seconds - 1))
                lines = [each for each in host.net_connections() if each.status != psutil.CONN_LISTEN]
                left = sum(each.laddr.port == int(port) for each in lines) - number
            await _tell(queue, orgs, '"stop":true')
        told = json.loads(await listener.line('{"late"', 30))
    finally:
        listener.kill()
        server.kill()
    late = [value * 1000 for value in told["late"]]
    wrong = abs(told["heard"] - told["wanted"]) if not silent else told["doubled"]
    return Seen(percentile(late, 0.5), percentile(late, 0.99), wrong, used * 100, memory, max(0, left) if sent else 0)


async def _tell(queue: Queue, orgs: int, fields: str) -> None:
    for org in range(orgs):
        await queue.transitions.emit_event("bank.benchmark", f"org-{org}", "job", fields)


async def _pour(queue: Queue, orgs: int, seconds: float) -> int:
    """Emit events at a steady rate; return how many."""
    began, number = time.monotonic(), 0
    padding = '"padding":"' + "x" * 100 + '"'
    while (due := began + number / A_SECOND) < began + seconds:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        fields = f'"sent":{time.time():.6f},{padding}'
        await queue.transitions.emit_event("bank.benchmark", f"org-{number % orgs}", "job", fields)
        number += 1
    return number


async def serve(url: str) -> None:
    """Be the host."""

    async def everybody(request: web.Request, action: str, org_id: str | None) -> bool:
        return True

    settings = Settings.load(redis_url=url)
    events = EventStream(connect(settings, Redis), Keys(settings.queue_name))
    app = web_app(cast(Any, None), authorize=everybody, events=events, followers_per_organisation=5000)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=2048).start()
    gc.freeze()
    print("serving", runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


@dataclass
class Tally:
    """What the followers have heard."""

    late: list[float] = field(default_factory=list)
    heard: int = 0
    wanted: int = 0
    doubled: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)


class Client(asyncio.Protocol):
    """A follower reduced to its socket: answers pings, and times its events if it is one of the sample."""

    def __init__(self, org: int, *, socket_: bool, timed: bool, tally: Tally) -> None:
        self.org, self.socket, self.timed, self.tally = org, socket_, timed, tally
        self.rest = b""
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None
        self.times: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        """Ask."""
        self.transport = transport
        upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        upgrade += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        path = f"/organisations/org-{self.org}/bank-connections/events"
        transport.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{upgrade if self.socket else ''}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Take what comes: the head first, then frames or blocks."""
        if not self.open.done():
            assert data.startswith((b"HTTP/1.1 101", b"HTTP/1.1 200")), data[:200]
            self.open.set_result(None)
            data = data.partition(b"\r\n\r\n")[2]
        if self.socket:
            self._frames(self.rest + data)
        elif self.timed:
            *whole, self.rest = (self.rest + data).split(b"\n\n")
            for block in whole:
                self._event(block)

    def _frames(self, data: bytes) -> None:
        at, size = 0, len(data)
        while size - at >= 2:
            length, head = data[at + 1], 2
            if length == 126:
                if size - at < 4:
                    break
                length, head = int.from_bytes(data[at + 2 : at + 4]), 4
            if size - at < head + length:
                break
            if data[at] == 0x89:
                self.transport.write(b"\x8a\x80\x00\x00\x00\x00")
            elif self.timed:
                self._event(data[at + head : at + head + length])
            at += head + length
        self.rest = data[at:]

    def _event(self, text: bytes) -> None:
        if b'"stop":true' in text:
            self.tally.stopped.set()
        _, mark, after = text.partition(MARK)
        if mark:
            sent = after.partition(b",")[0]
            self.times.append(sent)
            self.tally.late.append(time.time() - float(sent))


async def listen(port: int, number: int, orgs: int, silent: int) -> None:
    """Be the followers; print what they have heard when told to stop."""
    loop, tally = asyncio.get_running_loop(), Tally()
    clients: list[Client] = []
    for index in range(number):
        client = Client(index % orgs, socket_=index // 10 % 2 == 0, timed=index % 10 == 0, tally=tally)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
        clients.append(client)
    await asyncio.gather(*(client.open for client in clients))
    mute: list[Any] = []
    for index in range(silent):
        wire = socket.socket()
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.connect(("127.0.0.1", port))
        client = Client(index % orgs, socket_=True, timed=False, tally=tally)
        transport, _ = await loop.create_connection(lambda client=client: client, sock=wire)
        transport.pause_reading()
        mute.append(transport)
    print("ready", flush=True)
    await tally.stopped.wait()
    await asyncio.sleep(1)
    timed = [client for client in clients if client.timed]
    tally.heard = sum(len(client.times) for client in timed)
    tally.doubled = tally.heard - sum(len(set(client.times)) for client in timed)
    most = {client.org: max(timed, key=lambda c: (c.org == client.org, len(c.times))) for client in timed}
    tally.wanted = sum(len(most[client.org].times) for client in timed)
    told = {"late": tally.late, "heard": tally.heard, "wanted": tally.wanted, "doubled": tally.doubled}
    print(json.dumps(told), flush=True)


def main(arguments: Sequence[str]) -> None:
    """Be one of the processes."""
    what, *values = arguments
    asyncio.run(serve(values[0]) if what == "serve" else listen(*map(int, values)))


if __name__ == "__main__":
    main(sys.argv[1:])
