"""What is done to many jobs: first how many they are and what it means, then, with a reason, the deed."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from bankimport.acting import because
from bankimport.errors import Conflict, InvalidRequest, NotFound
from bankimport.queue.filters import JobFilter
from bankimport.service import Service
from bankimport.status import JobState
from bankimport.web.dashboard import forms
from bankimport.web.dashboard.jobs import BULK
from bankimport.web.dashboard.visit import Visit

ACTIONS = ("retry", "cancel", "discard")
_MOST = 10_000


async def confirm(visit: Visit) -> web.Response:
    """Show how many jobs are meant, and ask for a reason."""
    fields = forms.asked(visit.request)
    action = _action(forms.text(fields, "action"))
    wanted, ids = _meant(fields, action)
    number = len(ids) if ids else await visit.operations.count_jobs(wanted)
    return await visit.show(
        "confirm.html",
        "jobs",
        visit.words("Jobs"),
        action=action,
        number=number,
        most=number >= _MOST and not ids,
        ids=ids,
        query=forms.as_query(wanted),
    )


async def act(visit: Visit) -> web.Response:
    """Do it, and say to how many it was done."""
    fields = await forms.posted(visit.request)
    action = _action(visit.request.match_info["action"])
    wanted, ids = _meant(fields, action)
    reason = forms.reason(fields)
    with because(reason):
        done = await (_to_ticked(visit, action, ids) if ids else _to_all(visit, action, wanted))
    return visit.see("jobs", None, **forms.as_query(wanted), done=action, number=done)


async def _to_all(visit: Visit, action: str, wanted: JobFilter) -> int:
    operations = visit.operations
    return await (operations.retry_jobs(wanted) if action == "retry" else operations.discard_jobs(wanted))


def perform(operations: Service, action: str) -> Callable[[str], Awaitable[None]]:
    """Return what does an action to one job."""
    if action == "retry":
        return operations.retry_job
    return operations.cancel_job if action == "cancel" else operations.discard_job


async def _to_ticked(visit: Visit, action: str, ids: list[str]) -> int:
    """Do it to each; those whose state no longer allows it, or that have gone, are passed over."""
    do, done = perform(visit.operations, action), 0
    for job_id in ids:
        try:
            await do(job_id)
        except (Conflict, NotFound):
            continue
        done += 1
    return done


def _action(name: str | None) -> str:
    if name not in ACTIONS:
        raise InvalidRequest("/action", f"must be one of {', '.join(ACTIONS)}")
    return name


def _meant(fields: forms.Fields, action: str) -> tuple[JobFilter, list[str]]:
    """Return the filter, and the ids if it is about ticked ones.

    Raises:
        InvalidRequest: nothing is ticked, or it can't be done to all of that state.
    """
    wanted = forms.job_filter(fields)
    if forms.text(fields, "scope") == "ticked":
        ids = forms.ticked(fields)
        if not ids:
            raise InvalidRequest("/job", "must name a job at least: nothing is ticked")
        return wanted, ids
    if wanted.state is None or action not in BULK.get(wanted.state, ()):
        state = wanted.state or "/".join((JobState.FAILED,))
        raise InvalidRequest("/state", f"all jobs that are {state} can't be asked to {action}: choose a state first")
    return wanted, []
