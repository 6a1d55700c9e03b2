"""Do statistics and health stay quick? With no finished job and with a million, the records copies of a real one.

Stock arq has neither; the nearest it offers is the number of kept results, which is a walk over all keys.
"""

import time
from collections.abc import Awaitable, Callable
from statistics import median

from bankimport.watch.watch import Watch
from benchmarks.bench import OUR_QUEUE, Bench, note, our_queue, put_stock, stock_pool, sync
from benchmarks.bench import STOCK_QUEUE as QUEUE
from benchmarks.table import Row, Target

QUICK = Target("≤ 2 ms", lambda ours, _: ours <= 2)
FLAT = Target("within 20 %", lambda ours, _: ours <= 1.2)
_SLICE = 10_000

#: Copies a record: KEYS a finished record, the set of finished jobs, the prefix. ARGV first number, how many.
_COPY = """
local record, prefix = redis.call('DUMP', KEYS[1]), KEYS[3]
local now = tonumber(redis.call('TIME')[1]) * 1000
for n = tonumber(ARGV[1]), ARGV[1] + ARGV[2] - 1 do
  local id = string.format('copy%012d', n)
  redis.call('RESTORE', prefix .. 'job:' .. id, 691200000, record)
  redis.call('ZADD', KEYS[2], now + n, id)
  redis.call('ZADD', prefix .. 'org:org-' .. (n % 1000), now + n, id)
end
"""
_COPY_RESULT = """
local result = redis.call('DUMP', KEYS[1])
for n = tonumber(ARGV[1]), ARGV[1] + ARGV[2] - 1 do
  redis.call('RESTORE', 'arq:result:' .. string.format('%032d', n), 3600000, result)
end
"""


async def measure(bench: Bench) -> list[Row]:
    """Return the p50 of a call in ms, empty and full, and their ratio."""
    number = bench.count(1_000_000)
    empty, full = await _ours(bench, number)
    theirs = await _stock(bench, number)
    rows = []
    for name in ("stats", "health"):
        rows += [
            Row(f"{name}, no finished job, p50", "ms", empty[name], target=QUICK),
            Row(f"{name}, {number:,} finished jobs, p50", "ms", full[name], theirs, QUICK),
            Row(f"{name}, full ÷ empty", "×", [median(full[name]) / median(empty[name])], target=FLAT),
        ]
    return rows


async def _ours(bench: Bench, number: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    prefix = f"bankimport:{OUR_QUEUE}:"
    done = f"{prefix}state:completed"
    async with bench.worker("benchmarks.our_worker.WorkerSettings", OUR_QUEUE) as pids, our_queue(bench) as queue:
        [(_, job_id)] = await queue.enqueue_many([sync("three-000000000")])
        await bench.used(pids, lambda: bench.admin.zcard(done) == 1)
        watch = Watch(queue)
        calls: dict[str, Callable[[], Awaitable[object]]] = {"stats": watch.stats, "health": watch.health}
        empty = {name: await _timed(bench, call) for name, call in calls.items()}
        note(f"  copying a finished job {number:,} times")
        for start in range(0, number, _SLICE):
            bench.admin.eval(_COPY, 3, f"{prefix}job:{job_id}", done, prefix, start, min(_SLICE, number - start))
        full = {name: await _timed(bench, call) for name, call in calls.items()}
        assert (await watch.stats()).completed == number + 1
    return empty, full


async def _stock(bench: Bench, number: int) -> list[float]:
    async with bench.worker("benchmarks.stock_worker.FastPoll", QUEUE) as pids, stock_pool(bench) as pool:
        await put_stock(pool, "three_accounts", 1, "three-000000000")
        await bench.used(pids, lambda: bench.admin.zcard(QUEUE) == 0)
        result = bench.admin.keys("arq:result:*")[0]
        for start in range(0, number, _SLICE):
            bench.admin.eval(_COPY_RESULT, 1, result, start, min(_SLICE, number - start))
        times = []
        for _ in range(bench.repeats):
            began = time.perf_counter()
            await pool.keys("arq:result:*")
            times.append((time.perf_counter() - began) * 1000)
    bench.admin.flushall()
    return times


async def _timed(bench: Bench, call: Callable[[], Awaitable[object]]) -> list[float]:
    """Return the p50 of each repeat."""
    values = []
    for _ in range(bench.repeats):
        times = []
        for _ in range(bench.count(300)):
            began = time.perf_counter()
            await call()
            times.append((time.perf_counter() - began) * 1000)
        values.append(median(times))
    return values
