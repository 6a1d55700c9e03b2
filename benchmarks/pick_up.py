"""How long does a job wait on an idle worker? From before `enqueue` to the job's first line, on one clock."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from benchmarks.bench import OUR_QUEUE, STOCK_QUEUE, Bench, our_queue, stock_pool, sync
from benchmarks.table import Row, Target, percentile

P50 = Target("≤ 4 ms", lambda ours, _: ours <= 4)
P99 = Target("≤ 20 ms", lambda ours, _: ours <= 20)


async def measure(bench: Bench) -> list[Row]:
    """Return p50 and p99 of both; stock arq is given fewer jobs, since each takes it a quarter of a second."""
    ours: list[list[float]] = []
    stock: list[list[float]] = []
    for _ in range(bench.repeats):
        async with bench.worker("benchmarks.our_worker.WorkerSettings", OUR_QUEUE), our_queue(bench) as queue:
            ours.append(await _waits(bench, bench.count(300), lambda n: queue.enqueue(sync(f"mark-{n}"))))
        async with bench.worker("benchmarks.stock_worker.DefaultPoll", STOCK_QUEUE), stock_pool(bench) as pool:
            stock.append(await _waits(bench, bench.count(40), lambda _: pool.enqueue_job("mark")))
    return [
        Row(
            f"pick-up on an idle worker, {name}",
            "ms",
            [percentile(waits, share) for waits in ours],
            [percentile(waits, share) for waits in stock],
            target,
        )
        for name, share, target in (("p50", 0.5, P50), ("p99", 0.99, P99))
    ]


async def _waits(bench: Bench, number: int, enqueue: Callable[[int], Awaitable[object]]) -> list[float]:
    """Return the wait of each job in ms; each comes alone, at no particular moment of the worker's poll."""
    waits = []
    for turn in range(number + 3):
        await asyncio.sleep(random.uniform(0.005, 0.05))
        began = time.monotonic_ns()
        await enqueue(turn)
        while (at := bench.admin.lpop("bench:marks")) is None:  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(0.001)
        waits.append((int(at) - began) / 1e6)
    return waits[3:]  # the first ones load the scripts and open connections
