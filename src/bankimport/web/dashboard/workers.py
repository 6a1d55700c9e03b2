"""*Workers and schedules*: who lives and works, and when what is due."""

from aiohttp import web

from bankimport.errors import Unavailable
from bankimport.web.dashboard.visit import Visit


async def show_workers(visit: Visit) -> web.Response:
    """Show the workers that live, and the schedules."""
    health = await visit.operations.get_queue_health()
    try:
        schedules = await visit.operations.get_schedules()
    except Unavailable:
        schedules = ()
    return await visit.show(
        "workers.html",
        "workers",
        visit.words("Workers and schedules"),
        health=health,
        places=visit.operations.settings.concurrency,
        schedules=schedules,
        versions={worker.version for worker in health.workers},
        slow=1000,
    )
