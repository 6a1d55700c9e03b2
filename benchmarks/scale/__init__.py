"""Does any script hold the server up for more than 20 ms, however much there is?"""

import logging
from datetime import timedelta

import structlog
from redis.asyncio import Redis
from tests.queue.driver import Driver

from bankimport.queue.queue import Queue
from bankimport.redis.connection import connect
from bankimport.redis.keys import Keys
from bankimport.settings import Settings
from benchmarks.bench import Bench, note
from benchmarks.scale import connections, erased, finished, waiting
from benchmarks.scale.meter import HEAD, Measured, Meter
from benchmarks.table import lines

SITUATIONS = (connections, finished, waiting, erased)


async def measure(bench: Bench) -> str:
    """Return the table of what each script took on the server."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    meter = Meter(bench.admin, bench.valkey.running.pid)
    limits = {"lease": timedelta(minutes=1), "rate_limit_max": 10**6}
    settings = Settings.load(redis_url=bench.url).model_copy(update=limits)
    client = connect(settings, Redis)
    driver = Driver(Queue(client, settings, Measured(meter, client, Keys(settings.queue_name), settings)))
    for repeat in range(bench.repeats):
        for situation in SITUATIONS:
            note(f"  {situation.__name__.rpartition('.')[2]}, {repeat + 1} of {bench.repeats}")
            meter.empty()
            await situation.measure(bench, driver, meter)
    await driver.aclose()
    return lines(HEAD, meter.rows())
