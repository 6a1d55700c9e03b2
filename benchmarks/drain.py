"""Do more workers help? Jobs of 50 ms, as for a bank, drained by one, two and four workers, ten at a time each."""

from statistics import median

from benchmarks.bench import OUR_QUEUE, STOCK_QUEUE, Bench, note, our_queue, put_stock, stock_pool, sync
from benchmarks.our_worker import SLEEP
from benchmarks.table import Row, Target

TARGET = Target("≥ 3 × one", lambda ours, _: ours >= 3)


async def measure(bench: Bench) -> list[Row]:
    """Return the rate of one, two and four workers, and four against one. Stock arq polls every 0.01 s."""
    numbers = (1, 2, 4)
    ours: dict[int, list[float]] = {number: [] for number in numbers}
    stock: dict[int, list[float]] = {number: [] for number in numbers}
    for _ in range(bench.repeats):
        for number in numbers:
            jobs = bench.count(400) * number
            ours[number].append(jobs / await _ours(bench, number, jobs))
            stock[number].append(jobs / await _stock(bench, number, jobs))
            note(f"  {number} workers: {ours[number][-1]:.0f} and {stock[number][-1]:.0f} jobs/s")
    times = "jobs of 50 ms, {} worker{}, ten at a time each (at most {}/s)"
    rows = [
        Row(times.format(number, "s"[: number - 1], 200 * number), "/s", ours[number], stock[number])
        for number in numbers
    ]
    scaled = [four / median(ours[1]) for four in ours[4]]
    return [*rows, Row("four workers ÷ one", "×", scaled, [four / median(stock[1]) for four in stock[4]], TARGET)]


async def _ours(bench: Bench, workers: int, jobs: int) -> float:
    done = f"bankimport:{OUR_QUEUE}:state:completed"
    settings = "benchmarks.our_worker.WorkerSettings"
    async with bench.worker(settings, OUR_QUEUE, workers) as pids, our_queue(bench) as queue:
        with bench.frozen(pids):
            await queue.enqueue_many([sync(f"sleep-{n}") for n in range(jobs)])
        return (await bench.used(pids, lambda: bench.admin.zcard(done) == jobs)).seconds


async def _stock(bench: Bench, workers: int, jobs: int) -> float:
    settings = "benchmarks.stock_worker.FastPoll"
    async with bench.worker(settings, STOCK_QUEUE, workers) as pids, stock_pool(bench) as pool:
        with bench.frozen(pids):
            await put_stock(pool, "sleep", jobs, SLEEP)
        return (await bench.used(pids, lambda: bench.admin.zcard(STOCK_QUEUE) == 0)).seconds
