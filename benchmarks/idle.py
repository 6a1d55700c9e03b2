"""What does a worker ask of Redis while there is nothing to do? Every command the server carries out, those inside
scripts too; heartbeats, housekeeping and arq's own health line included. And what does an idle `follow` of a job that
waits ask, in a process without a worker?"""

import asyncio
import time

from redis.asyncio import Redis

from bankimport.redis.connection import connect
from bankimport.settings import Settings
from bankimport.stream import EventStream
from benchmarks.bench import OUR_QUEUE, STOCK_QUEUE, Bench, our_queue, sync
from benchmarks.table import Row, Target

TARGET = Target("≤ 3 /s", lambda ours, _: ours <= 3)


async def measure(bench: Bench) -> list[Row]:
    """Return commands and CPU of an idle worker, after it has settled."""
    workers = {
        "ours": ("benchmarks.our_worker.WorkerSettings", OUR_QUEUE),
        "default": ("benchmarks.stock_worker.DefaultPoll", STOCK_QUEUE),
        "fast": ("benchmarks.stock_worker.FastPoll", STOCK_QUEUE),
    }
    commands: dict[str, list[float]] = {name: [] for name in workers}
    cpu: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(bench.repeats):
        for name, (settings, queue) in workers.items():
            length = bench.seconds(60 if name == "ours" else 10)  # ours does some things once a minute
            async with bench.worker(settings, queue) as pids:
                await asyncio.sleep(bench.seconds(15 if name == "ours" else 1))  # it sweeps for the first time
                until = time.monotonic() + length
                used = await bench.used(
                    pids, lambda until=until: bench.admin.ping() and time.monotonic() >= until, every=length
                )
            commands[name].append(used.commands / used.seconds)
            cpu[name].append(used.cpu / used.seconds * 1000)
    followed = [await _followed(bench) for _ in range(min(2, bench.repeats))]
    return [
        Row("commands of an idle `follow`", "/s", followed, target=TARGET),
        Row("commands of an idle worker (stock at poll 0.5)", "/s", commands["ours"], commands["default"], TARGET),
        Row("the same (stock at poll 0.01)", "/s", commands["ours"], commands["fast"], TARGET),
        Row("CPU of an idle worker (stock at poll 0.5)", "ms/s", cpu["ours"], cpu["default"]),
        Row("the same (stock at poll 0.01)", "ms/s", cpu["ours"], cpu["fast"]),
    ]


async def _followed(bench: Bench) -> float:
    """Return the commands a second while a job is followed that nobody runs."""
    bench.admin.flushall()
    settings = Settings.load(redis_url=bench.url)
    async with our_queue(bench) as queue:
        [(_, job_id)] = await queue.enqueue_many([sync("waiting")])
        stream = EventStream(connect(settings, Redis), queue.keys)

        async def follow() -> None:
            async for _ in stream.follow(job_id, record=queue.get):
                pass

        following = asyncio.create_task(follow())
        await asyncio.sleep(1)
        until = time.monotonic() + bench.seconds(30)
        used = await bench.used([], lambda: bench.admin.ping() and time.monotonic() >= until, every=bench.seconds(30))
        following.cancel()
        await asyncio.wait({following})
        await stream.aclose()
    return used.commands / used.seconds
