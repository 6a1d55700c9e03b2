"""What does a worker ask of Redis while there is nothing to do? Every command the server carries out, those inside
scripts too; heartbeats, housekeeping and arq's own health line included."""

import time

from benchmarks.bench import OUR_QUEUE, STOCK_QUEUE, Bench
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
                until = time.monotonic() + length
                used = await bench.used(
                    pids, lambda until=until: bench.admin.ping() and time.monotonic() >= until, every=length
                )
            commands[name].append(used.commands / used.seconds)
            cpu[name].append(used.cpu / used.seconds * 1000)
    return [
        Row("commands of an idle worker (stock at poll 0.5)", "/s", commands["ours"], commands["default"], TARGET),
        Row("the same (stock at poll 0.01)", "/s", commands["ours"], commands["fast"], TARGET),
        Row("CPU of an idle worker (stock at poll 0.5)", "ms/s", cpu["ours"], cpu["default"]),
        Row("the same (stock at poll 0.01)", "ms/s", cpu["ours"], cpu["fast"]),
    ]
