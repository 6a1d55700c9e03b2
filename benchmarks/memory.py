"""What does a job weigh in Redis? The difference of `used_memory` over 20,000 jobs, divided by them.

Record, indexes, deduplication and arq's own keys are one figure; the streams of events are another, since they are
kept by time and number and not by job: they are deleted before the first figure is read. The ledger of accesses is per
account, not per job, and is deleted too. Stock arq's finished job is a kept result of the same three accounts.

Where a finished job's bytes stand is told family by family of keys, by `MEMORY USAGE` of each key; the stream of
progress, which ends at 10,000 entries, is none of a job's. What no key weighs is the server's tables of keys and ends.
"""

from collections import Counter

from benchmarks.bench import OUR_QUEUE, STOCK_QUEUE, Bench, our_queue, put_stock, stock_pool, sync
from benchmarks.table import Row, Target
from benchmarks.weighing import weighed

PENDING = Target("≤ 1,500 bytes", lambda ours, _: ours <= 1500)
FINISHED = Target("≤ 900 bytes", lambda ours, _: ours <= 900)
PREFIX = f"bankimport:{OUR_QUEUE}:"


async def measure(bench: Bench) -> list[Row]:
    """Return bytes a job; a run of it is repeatable to a byte or two, so three repeats are enough."""
    number = bench.count(20_000)
    ours, stock = [], []
    for _ in range(min(3, bench.repeats)):
        ours.append(await _ours(bench, number))
        stock.append(await _stock(bench, number))
    pending, finished, parts = zip(*ours, strict=True)
    their_pending, their_finished = zip(*stock, strict=True)
    return [
        Row("Redis bytes a pending job", "bytes", pending, their_pending, PENDING),
        Row("Redis bytes a finished job, result of three accounts", "bytes", finished, their_finished, FINISHED),
        *(Row(f"of a finished job: {part}", "bytes", [each[part] for each in parts]) for part in parts[0]),
    ]


async def _ours(bench: Bench, number: int) -> tuple[float, float, dict[str, float]]:
    done = f"{PREFIX}state:completed"
    async with bench.worker("benchmarks.our_worker.WorkerSettings", OUR_QUEUE) as pids, our_queue(bench) as queue:
        await queue.enqueue_many([sync(f"three-{n}") for n in range(20)])
        await bench.used(pids, lambda: bench.admin.zcard(done) == 20)
        _forget(bench)
        empty = _memory(bench)
        with bench.frozen(pids):
            await queue.enqueue_many([sync(f"three-{n:09}") for n in range(number)])
            bench.admin.delete(f"{PREFIX}events", f"{PREFIX}progress")
            pending = _memory(bench) - empty
        await bench.used(pids, lambda: bench.admin.zcard(done) == number + 20, every=0.1)
        weights = weighed(bench.admin, PREFIX)
        _forget(bench)
        finished = _memory(bench) - empty
    return pending / number, finished / number, _parts(weights, finished, number)


def _parts(weights: Counter[str], finished: float, number: int) -> dict[str, float]:
    """Return the bytes a job by family of keys, the heaviest first; not of those that a job hardly adds to."""
    told = {f"`{name}`": size / number for name, size in weights.most_common() if size / number >= 2}
    told.pop("`progress`", None)
    kept = sum(size for name, size in told.items() if name != "`events`" and not name.startswith("`access"))
    return told | {"the server's tables of keys": finished / number - kept}


async def _stock(bench: Bench, number: int) -> tuple[float, float]:
    async with bench.worker("benchmarks.stock_worker.FastPoll", STOCK_QUEUE) as pids, stock_pool(bench) as pool:
        await put_stock(pool, "three_accounts", 20, "three-000000000")
        await bench.used(pids, lambda: bench.admin.zcard(STOCK_QUEUE) == 0)
        empty = _memory(bench)
        with bench.frozen(pids):
            await put_stock(pool, "three_accounts", number, "three-000000000")
            pending = _memory(bench) - empty
        await bench.used(pids, lambda: bench.admin.zcard(STOCK_QUEUE) == 0, every=0.1)
        finished = _memory(bench) - empty
    return pending / number, finished / number


def _forget(bench: Bench) -> None:
    """Delete what isn't kept by job: the streams and the ledger."""
    keys = [*bench.admin.scan_iter(f"{PREFIX}access*", count=10_000), f"{PREFIX}events", f"{PREFIX}progress"]
    for start in range(0, len(keys), 1000):
        bench.admin.delete(*keys[start : start + 1000])


def _memory(bench: Bench) -> int:
    bench.admin.execute_command("MEMORY", "PURGE")
    return int(bench.admin.info("memory")["used_memory"])
