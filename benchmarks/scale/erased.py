"""An organisation leaves a stream of a million events, which is written anew without its own, beside groups that have
read little, much, and hold a thousand unacknowledged."""

from tests.queue.driver import Driver

from bankimport.service.purging import Erasing
from benchmarks.bench import Bench, note
from benchmarks.events import fill
from benchmarks.scale.meter import Meter

_FULL, _HELD = 1_000_000, 1000


async def measure(bench: Bench, driver: Driver, meter: Meter) -> None:
    """Measure with the events of a thousand organisations, of which one leaves."""
    number, name = bench.count(_FULL), driver.queue.keys.events
    meter.situation = f"{number:,} events"
    note(f"  writing {number:,} events")
    fill(bench.admin, driver.queue.keys, number)
    for group, start in (("behind", "0"), ("abreast", "$")):
        bench.admin.xgroup_create(name, group, id=start)
    bench.admin.xreadgroup("behind", "one", {name: ">"}, count=_HELD)
    with meter.during("an organisation is erased"):
        await Erasing(driver.queue).purge("org-1", ["connection"])
