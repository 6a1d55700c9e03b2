"""What does a job cost a worker? Ours a whole sync with a provider and a store that do nothing (record, events, five
stages of progress, limits, locks, lease, result), stock arq's an empty function; ten at a time."""

from benchmarks.bench import OUR_QUEUE, STOCK_QUEUE, Bench, Used, note, our_queue, put_stock, stock_pool, sync
from benchmarks.table import Row, Target

SETTINGS = "benchmarks.our_worker.WorkerSettings"

CPU = Target("≤ 2 × (stretch 1 ×)", lambda ours, stock: ours <= 2 * stock)
RATE = Target("stretch: > 1 ×", lambda ours, stock: ours > stock)


async def measure(bench: Bench) -> list[Row]:
    """Return CPU, commands and rate; stock at the default poll gets fewer jobs, as it starts some twenty a second."""
    ours, fast, default = [], [], []
    for _ in range(bench.repeats):
        ours.append(await _ours(bench, bench.count(3000)))
        fast.append(await _stock(bench, "FastPoll", bench.count(2000)))
        default.append(await _stock(bench, "DefaultPoll", bench.count(200)))
    rows = []
    for name, stock in (("poll 0.01", fast), ("poll 0.5", default)):
        rows += [
            Row(f"worker CPU a job (stock: empty, {name})", "ms", _of(ours, "cpu"), _of(stock, "cpu"), CPU),
            Row(f"jobs a second, one worker (stock: empty, {name})", "/s", _rate(ours), _rate(stock), RATE),
        ]
    return [
        *rows,
        Row("Redis commands a job, inside scripts too", "", _of(ours, "commands"), _of(fast, "commands")),
        Row("socket reads of Redis a job", "", _of(ours, "reads"), _of(fast, "reads")),
    ]


def _of(all_used: list[tuple[int, Used]], name: str) -> list[float]:
    factor = 1000 if name == "cpu" else 1
    return [getattr(used, name) / jobs * factor for jobs, used in all_used]


def _rate(all_used: list[tuple[int, Used]]) -> list[float]:
    return [jobs / used.seconds for jobs, used in all_used]


async def _ours(bench: Bench, number: int) -> tuple[int, Used]:
    done = f"bankimport:{OUR_QUEUE}:state:completed"
    async with bench.worker(SETTINGS, OUR_QUEUE) as pids, our_queue(bench) as queue:
        await queue.enqueue_many([sync(f"warm-{n}") for n in range(20)])
        await bench.used(pids, lambda: bench.admin.zcard(done) == 20)
        with bench.frozen(pids):
            await queue.enqueue_many([sync(f"full-{n}") for n in range(number)])
        used = await bench.used(pids, lambda: bench.admin.zcard(done) == number + 20)
    note(f"  ours: {number / used.seconds:.0f} jobs/s, {used.cpu / number * 1000:.2f} ms/job")
    return number, used


async def _stock(bench: Bench, settings: str, number: int) -> tuple[int, Used]:
    async with bench.worker(f"benchmarks.stock_worker.{settings}", STOCK_QUEUE) as pids, stock_pool(bench) as pool:
        await put_stock(pool, "empty", 20)
        await bench.used(pids, lambda: bench.admin.zcard(STOCK_QUEUE) == 0)
        with bench.frozen(pids):
            await put_stock(pool, "empty", number)
        used = await bench.used(pids, lambda: bench.admin.zcard(STOCK_QUEUE) == 0)
    note(f"  {settings}: {number / used.seconds:.0f} jobs/s, {used.cpu / number * 1000:.2f} ms/job")
    return number, used
