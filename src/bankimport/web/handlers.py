"""The handlers of jobs and of the queue: each parses, calls, renders."""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from bankimport.acting import because
from bankimport.models import AuditFilter, JobType
from bankimport.models.model import Model
from bankimport.queue.filters import JobFilter
from bankimport.status import JobState
from bankimport.web.bodies import EmptyBody, JobsBody, OrgSyncBody, PauseBody, SyncBody
from bankimport.web.call import Call
from bankimport.web.job_waiting import answer_job
from bankimport.web.parameters import (
    path_id,
    query_audit,
    query_choice,
    query_code,
    query_cursor,
    query_id,
    query_number,
)
from bankimport.web.views import BulkView, JobView, OrganisationHealthView

SCHEDULED = "Sync job scheduled successfully. Use the job ID to track progress."


def _json(body: Any, status: int = 200, **headers: str) -> web.Response:
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store", **headers})


def _model(model: Model) -> web.Response:
    return web.Response(
        text=model.model_dump_json(exclude_none=True),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _accepted(call: Call, job_id: str, message: str) -> web.Response:
    return _json({"jobId": job_id, "message": message}, 202, Location=call.path_of("job", jobId=job_id))


async def sync_connection(call: Call) -> web.Response:
    """Ask for the import of one connection."""
    connection_id = path_id(call.request, "id", "connection")
    body = call.parse(SyncBody)
    options = {name: value for name, value in body if name != "attended"}
    psu = await call.person() if body.attended else None
    job_id = await call.service.schedule_immediate_sync(connection_id, org_id=call.org_id, psu=psu, **options)
    return _accepted(call, job_id, SCHEDULED)


async def sync_organisation(call: Call) -> web.Response:
    """Ask for the import of the organisation's connections."""
    body = call.parse(OrgSyncBody)
    job_id = await call.service.schedule_org_sync(
        call.org_id, connection_ids=body.connection_ids, triggered_by=body.triggered_by
    )
    return _accepted(call, job_id, SCHEDULED)


async def list_connections(call: Call) -> web.Response:
    """Show a page of the organisation's connections and how they stand."""
    limit = query_number(call.request, "limit", 50, 1, 200)
    return _model(await call.service.list_connections(call.org_id, cursor=query_cursor(call.request), limit=limit))


async def get_connection(call: Call) -> web.Response:
    """Show how one connection stands, with its accounts."""
    connection_id = path_id(call.request, "id", "connection")
    return _model(await call.service.get_connection(connection_id, call.org_id))


async def get_job(call: Call) -> web.StreamResponse:
    """Show one job; with `wait`, once it has changed."""
    job_id = path_id(call.request, "jobId", "job")
    return await answer_job(call, job_id, query_number(call.request, "wait", 0, 0, 30))


async def list_jobs(call: Call) -> web.Response:
    """Show a page of jobs, newest first: the organisation's, or for operators those of all."""
    page = await call.service.list_jobs(
        call.scope or query_id(call.request, "orgId"),
        state=query_choice(call.request, "state", JobState),
        connection_id=query_id(call.request, "connectionId"),
        type=query_choice(call.request, "type", JobType),
        error_code=query_code(call.request, "errorCode"),
        bank=query_id(call.request, "bank"),
        cursor=query_cursor(call.request),
        limit=query_number(call.request, "limit", 50, 1, 200),
    )
    body: dict[str, Any] = {"jobs": [JobView.of(job) for job in page.jobs]}
    if page.next_cursor is not None:
        body["nextCursor"] = page.next_cursor
    return _json(body)


async def retry_job(call: Call) -> web.Response:
    """Try a failed job again."""
    job_id = path_id(call.request, "jobId", "job")
    call.parse(EmptyBody)
    await call.service.retry_job(job_id, call.scope)
    return _accepted(call, job_id, "The job will run again.")


async def cancel_job(call: Call) -> web.Response:
    """Cancel a job."""
    job_id = path_id(call.request, "jobId", "job")
    call.parse(EmptyBody)
    await call.service.cancel_job(job_id, call.scope)
    return _accepted(call, job_id, "The job will be cancelled; if it runs, at its next step.")


async def retry_jobs(call: Call) -> web.Response:
    """Try all failed jobs again that match, or count them."""
    return await _in_bulk(call, call.service.retry_jobs)


async def discard_jobs(call: Call) -> web.Response:
    """Remove the records of ended jobs that match, or cancel those that wait; or count them."""
    return await _in_bulk(call, call.service.discard_jobs)


async def _in_bulk(call: Call, work: Callable[[JobFilter], Awaitable[int]]) -> web.Response:
    body = call.parse(JobsBody)
    wanted = body.filter()
    if body.dry_run:
        if wanted.state is None:
            wanted = dataclasses.replace(wanted, state=JobState.FAILED)
        return _model(BulkView(count=await call.service.count_jobs(wanted), dry_run=True))
    with because(body.reason):
        count = await work(wanted)
    return _model(BulkView(count=count, dry_run=False))


async def list_audit(call: Call) -> web.Response:
    """Show what people did, the newest first: by whom, when, on what, why."""
    wanted = AuditFilter(
        who=query_audit(call.request, "who"),
        action=query_audit(call.request, "action"),
        org_id=query_id(call.request, "orgId"),
        subject=query_audit(call.request, "subject"),
    )
    limit = query_number(call.request, "limit", 50, 1, 200)
    return _model(await call.service.audit.list(wanted, cursor=query_cursor(call.request), limit=limit))


async def organisation_health(call: Call) -> web.Response:
    """Show the health of the whole queue as an organisation may see it: numbers and warnings."""
    return _model(OrganisationHealthView.of(await call.service.get_queue_health()))


async def queue_health(call: Call) -> web.Response:
    """Show the health of the whole queue, with its workers."""
    return _model(await call.service.get_queue_health())


async def queue_stats(call: Call) -> web.Response:
    """Show how many jobs of the whole queue are in each state."""
    return _model(await call.service.get_queue_stats())


async def pause_queue(call: Call) -> web.Response:
    """Let nothing start in the whole queue; show its health."""
    body = call.parse(PauseBody)
    await call.service.pause_queue(until=body.until, reason=body.reason)
    return await queue_health(call)


async def resume_queue(call: Call) -> web.Response:
    """Let jobs of the whole queue start again; show its health."""
    call.parse(EmptyBody)
    await call.service.resume_queue()
    return await queue_health(call)
