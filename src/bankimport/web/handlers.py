"""The handlers of jobs and of the queue: each parses, calls, renders."""

from enum import StrEnum
from typing import Any, TypeVar

from aiohttp import web

from bankimport.errors import InvalidRequest, NotFound
from bankimport.models import JobType, SyncOptions
from bankimport.models.model import Model
from bankimport.status import JobState
from bankimport.web.bodies import EmptyBody, OrgSyncBody, PauseBody, path_id, query_id, query_number
from bankimport.web.call import Call
from bankimport.web.views import JobView, ListedJobView

SCHEDULED = "Sync job scheduled successfully. Use the job ID to track progress."

Choice = TypeVar("Choice", bound=StrEnum)


def _json(body: Any, status: int = 200, **headers: str) -> web.Response:
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store", **headers})


def _model(model: Model) -> web.Response:
    return web.Response(
        text=model.model_dump_json(), content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def _accepted(call: Call, job_id: str, message: str) -> web.Response:
    return _json({"jobId": job_id, "message": message}, 202, Location=call.path_of("job", jobId=job_id))


async def sync_connection(call: Call) -> web.Response:
    """Ask for the import of one connection."""
    connection_id = path_id(call.request, "id", "connection")
    options = call.parse(SyncOptions)
    job_id = await call.service.schedule_immediate_sync(
        connection_id, org_id=call.org_id, psu=call.person(), **dict(options)
    )
    return _accepted(call, job_id, SCHEDULED)


async def sync_organisation(call: Call) -> web.Response:
    """Ask for the import of the organisation's connections."""
    body = call.parse(OrgSyncBody)
    job_id = await call.service.schedule_org_sync(
        call.org_id, connection_ids=body.connection_ids, triggered_by=body.triggered_by
    )
    return _accepted(call, job_id, SCHEDULED)


async def get_job(call: Call) -> web.Response:
    """Show one job."""
    job = await call.service.get_job_status(path_id(call.request, "jobId", "job"), call.org_id)
    if job is None:
        raise NotFound("job")
    return _json(JobView.of(job))


async def list_jobs(call: Call) -> web.Response:
    """Show a page of the organisation's jobs, newest first."""
    page = await call.service.list_jobs(
        call.org_id,
        state=_choice(call.request, "state", JobState),
        connection_id=query_id(call.request, "connectionId"),
        type=_choice(call.request, "type", JobType),
        cursor=call.request.query.get("cursor") or None,
        limit=query_number(call.request, "limit", 50, 1, 200),
    )
    body: dict[str, Any] = {"jobs": [ListedJobView.of(job, type=job.type) for job in page.jobs]}
    if page.next_cursor is not None:
        body["nextCursor"] = page.next_cursor
    return _json(body)


def _choice(request: web.Request, name: str, choices: type[Choice]) -> Choice | None:
    text = request.query.get(name)
    if not text:
        return None
    try:
        return choices(text)
    except ValueError:
        raise InvalidRequest(f"/{name}", f"must be one of {', '.join(choices)}") from None


async def retry_job(call: Call) -> web.Response:
    """Try a failed job again."""
    job_id = path_id(call.request, "jobId", "job")
    call.parse(EmptyBody)
    await call.service.retry_job(job_id, call.org_id)
    return _accepted(call, job_id, "The job will run again.")


async def cancel_job(call: Call) -> web.Response:
    """Cancel a job."""
    job_id = path_id(call.request, "jobId", "job")
    call.parse(EmptyBody)
    await call.service.cancel_job(job_id, call.org_id)
    return _accepted(call, job_id, "The job will be cancelled; if it runs, at its next step.")


async def queue_health(call: Call) -> web.Response:
    """Show the health of the whole queue."""
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
