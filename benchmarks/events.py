"""How quick is one's own among a million others' events? The first event of `follow` and of `events(after="0")`, and a
replay of one's own hundred, of which each is ten thousand others' from the next.

The others' are written as the scripts write them: an entry of the stream and one of their organisation's index.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import redis
from redis.asyncio import Redis
from tests.queue.driver import Driver

from bankimport.events import Event
from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from bankimport.stream import EventStream
from benchmarks.bench import Bench, note
from benchmarks.table import Row, Target

_FULL, _OWN, _SLICE = 1_000_000, 100, 10_000
FIRST = Target("≤ 50 ms", lambda ours, _: ours <= 50)
REPLAY = Target("≤ 100 ms", lambda ours, _: ours <= 100)
CPU = Target("≤ 20 ms", lambda ours, _: ours <= 20)

#: Others' events. KEYS: the stream. ARGV: the index's name (`%s` for the organisation), how many, a job's id.
_FILL = """
for n = 1, tonumber(ARGV[2]) do
  local org = 'org-' .. (n % 1000)
  local id = redis.call('XADD', KEYS[1], '*', 'name', 'job.queued', 'orgId', org, 'jobId', ARGV[3],
    'data', 'sync-connection')
  redis.call('XADD', string.gsub(ARGV[1], '%%s', org), 'MAXLEN', '~', 10000, id, 'more', 0)
end
"""


async def measure(bench: Bench) -> list[Row]:
    """Return ms to the first event and of a replay, with the CPU that the replay costs reader and server."""
    number = bench.count(_FULL)
    bench.admin.flushall()
    settings = Settings.load(redis_url=bench.url).model_copy(update={"events_max": 2 * _FULL})
    driver = Driver.of(settings)
    note(f"  writing {number:,} events of others")
    job_id = await driver.ask("mine", org="mine")
    for _ in range(_OWN):
        fill(bench.admin, driver.queue.keys, number // _OWN)
        await driver.do.emit_event("bank.benchmark", "mine", job_id, '"own":true')
    stream = EventStream(connect(settings, Redis), driver.queue.keys)
    own = _OWN + 1
    asked: dict[str, tuple[Callable[[], AsyncIterator[Event]], int]] = {
        "follow: first event": (lambda: stream.follow(job_id, record=driver.queue.get), 1),
        'events(after="0"): first event': (lambda: stream.events(org_id="mine", after="0"), 1),
        "replay of one's own 100": (lambda: stream.events(org_id="mine", after="0"), own),
        "follow: 100 events of the job": (lambda: stream.follow(job_id, record=driver.queue.get), own),
        'events(after="0") of all: first event': (lambda: stream.events(after="0"), 1),
    }
    rows = []
    for what, (events, most) in asked.items():
        seen = [await _timed(bench, events, most) for _ in range(max(5, bench.repeats))]
        seconds, reader, server = zip(*seen, strict=True)
        about = f"{number:,} others' events, {what}"
        rows.append(Row(about, "ms", seconds, target=FIRST if most == 1 else REPLAY))
        if most > 1:
            rows.append(Row(f"{about}: the reader's CPU", "ms", reader, target=CPU))
            rows.append(Row(f"{about}: the server's CPU", "ms", server, target=CPU))
    await stream.aclose()
    await driver.aclose()
    return rows


def fill(admin: redis.Redis, keys: Keys, number: int) -> None:
    """Write events of a thousand other organisations."""
    for start in range(0, number, _SLICE):
        admin.eval(_FILL, 1, keys.events, keys.of("index", "%s"), min(_SLICE, number - start), "x" * 16)


async def _timed(bench: Bench, events: Callable[[], AsyncIterator[Event]], most: int) -> tuple[float, float, float]:
    """Return the ms until so many events were read, and the CPU (ms) of reader and server."""
    server, cpu, began, number = _server(bench), time.process_time(), time.perf_counter(), 0
    async with aclosing(events()) as following:  # type: ignore[type-var]  # an async generator, as its annotation hides
        async for _ in following:
            number += 1
            if number == most:
                break
    took, used = time.perf_counter() - began, time.process_time() - cpu
    return took * 1000, used * 1000, (_server(bench) - server) * 1000


def _server(bench: Bench) -> float:
    cpu = bench.admin.info("cpu")
    return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])
