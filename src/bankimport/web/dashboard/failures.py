"""*Failures*: by error code, sorted by whose turn it is."""

import asyncio

from aiohttp import web

from bankimport.queue.filters import JobFilter
from bankimport.status import JobState
from bankimport.web.dashboard.explanations import ERRORS, Explanation, Owner
from bankimport.web.dashboard.visit import Visit

_MOST = 10_000


async def show_failures(visit: Visit) -> web.Response:
    """Show how many jobs have failed of what."""
    operations = visit.operations
    health = await operations.get_queue_health()
    counts = await asyncio.gather(*(_count(visit, code) for code in ERRORS)) if health.stats.failed else []
    found = [(code, explained, n) for (code, explained), n in zip(ERRORS.items(), counts, strict=False) if n]
    others = max(0, health.stats.failed - sum(number for _, _, number in found))
    return await visit.show(
        "failures.html",
        "failures",
        visit.words("Failures"),
        health=health,
        yours=_of(found, Owner.YOU),
        customers=_of(found, Owner.CUSTOMER),
        others=others,
    )


async def _count(visit: Visit, code: str) -> int:
    return await visit.operations.count_jobs(JobFilter(state=JobState.FAILED, error_code=code))


def _of(found: list[tuple[str, Explanation, int]], owner: Owner) -> list[tuple[str, Explanation, int]]:
    """Return what is one's turn, the most first."""
    return sorted((each for each in found if each[1].owner is owner), key=lambda each: -each[2])
