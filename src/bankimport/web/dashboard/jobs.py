"""*Jobs*: those that a filter means, in an address that can be shared; and finding one by its id."""

from aiohttp import web

from bankimport.errors import NotFound
from bankimport.models import ConnectionFilter, JobType
from bankimport.status import JobState
from bankimport.web.dashboard import forms
from bankimport.web.dashboard.visit import STATES, TYPES, Visit
from bankimport.web.parameters import query_cursor

_PAGE = 50
#: What can be done to all that match, by the state that the filter names.
BULK = {
    JobState.FAILED: ("retry", "discard"),
    JobState.CANCELLED: ("discard",),
    JobState.COMPLETED: ("discard",),
    JobState.WAITING: ("discard",),
    JobState.DELAYED: ("discard",),
}


async def show_jobs(visit: Visit) -> web.Response:
    """Show a page of jobs."""
    wanted = forms.job_filter(forms.asked(visit.request))
    page = await visit.operations.list_jobs(
        wanted.org_id,
        state=wanted.state,
        connection_id=wanted.connection_id,
        type=JobType(wanted.type) if wanted.type else None,
        error_code=wanted.error_code,
        bank=wanted.bank,
        cursor=query_cursor(visit.request) if visit.request.query.get("cursor") else None,
        limit=_PAGE,
    )
    health = await visit.operations.get_queue_health()
    query = forms.as_query(wanted)
    return await visit.show(
        "jobs.html",
        "jobs",
        visit.words("Jobs"),
        health=health,
        jobs=page.jobs,
        next_cursor=page.next_cursor,
        query=query,
        narrowed={name: value for name, value in query.items() if value and name != "state"},
        counts=_counts(health.stats.model_dump(by_alias=False)),
        states=STATES,
        types=TYPES,
        bulk=BULK.get(wanted.state, ()) if wanted.state else (),
    )


def _counts(stats: dict[str, int]) -> dict[str, int]:
    """Return the number of each state; what waits while the queue is paused waits."""
    counts = {state.value: stats[state.value.replace("-", "_")] for state in JobState}
    return {**counts, JobState.WAITING.value: stats["waiting"] + stats["paused"]}


async def find(visit: Visit) -> web.Response:
    """Find a job, a connection or an organisation by its id."""
    name = visit.request.query.get("q", "").strip()
    if not name:
        return visit.see("jobs")
    if not forms.is_id(name):
        raise NotFound("job, connection or organisation")
    operations = visit.operations
    if await operations.get_job_status(name) is not None:
        return visit.see("job", {"id": name})
    try:
        await operations.get_connection(name)
    except NotFound:
        pass
    else:
        return visit.see("connection", {"id": name})
    if (await operations.list_jobs(name, limit=1)).jobs:
        return visit.see("jobs", org=name)
    if (await operations.find_connections(ConnectionFilter(org_id=name), limit=1)).connections:
        return visit.see("connections", org=name)
    raise NotFound("job, connection or organisation")
