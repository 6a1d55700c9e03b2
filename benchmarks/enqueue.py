"""How quickly do jobs go in? One after the other, each awaited; and a hundred thousand at once.

Stock arq has no bulk call, so it is given `enqueue_job` under `asyncio.gather`, fifty at a time on as many
connections: the quickest of 10, 50, 100 and 500 here.
"""

import time
from collections.abc import Awaitable

from benchmarks.bench import Bench, note, our_queue, put_stock, stock_pool, sync
from benchmarks.table import Row, Target

ALONE = Target("≥ 2 ×", lambda ours, stock: ours >= 2 * stock)
BULK = Target("≥ 10 ×", lambda ours, stock: ours >= 10 * stock)


async def measure(bench: Bench) -> list[Row]:
    """Return jobs accepted a second. Ours are syncs of different connections, stock arq's have one argument."""
    alone: tuple[list[float], list[float]] = ([], [])
    bulk: tuple[list[float], list[float]] = ([], [])
    few, many = bench.count(3000), bench.count(100_000)
    async with our_queue(bench) as queue, stock_pool(bench) as pool:
        for _ in range(bench.repeats):
            bench.admin.flushall()
            alone[0].append(few / await _seconds(_ours_alone(queue, few)))
            alone[1].append(few / await _seconds(_stock_alone(pool, few)))
            bench.admin.flushall()
            wanted = [f"bulk-{number}" for number in range(many)]
            bulk[0].append(many / await _seconds(queue.enqueue_many([sync(name) for name in wanted])))
            bench.admin.flushall()
            bulk[1].append(many / await _seconds(put_stock(pool, "empty", many, "bulk")))
            note(f"  alone {alone[0][-1]:.0f}, {alone[1][-1]:.0f}; in bulk {bulk[0][-1]:.0f}, {bulk[1][-1]:.0f} jobs/s")
    bench.admin.flushall()
    return [
        Row("enqueue one by one", "/s", *alone, ALONE),
        Row(f"enqueue {many:,} in bulk", "/s", *bulk, BULK),
    ]


async def _seconds(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def _ours_alone(queue: object, number: int) -> None:
    for n in range(number):
        await queue.enqueue(sync(f"alone-{n}"))


async def _stock_alone(pool: object, number: int) -> None:
    for n in range(number):
        await pool.enqueue_job("empty", f"alone-{n}")
