"""*Connections*: by how they are, in plain words; and one of them with its accounts, coverage and reads."""

from aiohttp import web

from bankimport.access.health import health_of
from bankimport.errors import InvalidRequest
from bankimport.models import ConnectionFilter, ConnectionHealth
from bankimport.web.dashboard import forms
from bankimport.web.dashboard.ribbon import ribbon
from bankimport.web.dashboard.visit import Visit
from bankimport.web.parameters import path_id, query_cursor

_PAGE, _JOBS = 50, 8
#: How a connection is: the shape, the word, and whose turn it is.
HEALTHS = {
    ConnectionHealth.ERROR: ("error", "error"),
    ConnectionHealth.NEEDS_RENEWAL: ("reauth", "needs renewal"),
    ConnectionHealth.ENDS_SOON: ("soon", "consent ends soon"),
    ConnectionHealth.BEHIND: ("delayed", "behind"),
    ConnectionHealth.BEING_CONNECTED: ("pending", "being connected"),
    ConnectionHealth.NEW: ("waiting", "not read yet"),
    ConnectionHealth.UP_TO_DATE: ("active-conn", "up to date"),
    ConnectionHealth.DISCONNECTED: ("gone", "disconnected"),
}


async def show_connections(visit: Visit) -> web.Response:
    """Show a page of the connections of all organisations."""
    fields = forms.asked(visit.request)
    org_id, bank = forms.identifier(fields, "org"), forms.identifier(fields, "bank")
    health = forms.text(fields, "health")
    if health is not None and health not in set(ConnectionHealth):
        raise InvalidRequest("/health", f"must be one of {', '.join(ConnectionHealth)}")
    wanted = ConnectionFilter(org_id=org_id, bank=bank, health=ConnectionHealth(health) if health else None)
    cursor = query_cursor(visit.request) if visit.request.query.get("cursor") else None
    page = await visit.operations.find_connections(wanted, cursor=cursor, limit=_PAGE)
    counts = await visit.operations.count_connections(ConnectionFilter(org_id=org_id, bank=bank))
    now = visit.formats.now
    return await visit.show(
        "connections.html",
        "connections",
        visit.words("Connections"),
        connections=[(each, health_of(each, now)) for each in page.connections],
        counts={name: counts.get(name, 0) for name in HEALTHS},
        total=sum(counts.values()),
        next_cursor=page.next_cursor,
        query={"org": org_id, "bank": bank, "health": health},
        healths=HEALTHS,
    )


async def show_connection(visit: Visit) -> web.Response:
    """Show one connection."""
    connection_id = path_id(visit.request, "id", "connection")
    connection = await visit.operations.get_connection(connection_id)
    jobs = await visit.operations.list_jobs(connection.org_id, connection_id=connection_id, limit=_JOBS)
    today = visit.formats.today
    return await visit.show(
        "connection.html",
        "connections",
        connection_id,
        connection=connection,
        standing=health_of(connection, visit.formats.now),
        healths=HEALTHS,
        accounts=[(each, ribbon(each.coverage, each.read_once, today)) for each in connection.accounts],
        jobs=jobs.jobs,
    )


async def sync(visit: Visit) -> web.Response:
    """Ask for a sync now, as an operator: nobody is present, so the bank counts it."""
    await forms.posted(visit.request)
    connection_id = path_id(visit.request, "id", "connection")
    job_id = await visit.operations.schedule_immediate_sync(connection_id, triggered_by="operator")
    job = await visit.operations.get_job_status(job_id)
    owner = job.org_id if job is not None else None
    await visit.operations.audit.note(
        "connection.sync", org_id=owner, subject=f"connection:{connection_id}", job=job_id
    )
    return visit.see("job", {"id": job_id}, done="asked")
