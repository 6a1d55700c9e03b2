"""*A job*: what happened and what to do, its course, its result account by account, and who asked."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from bankimport.acting import because
from bankimport.errors import NotFound, Unavailable
from bankimport.events import Event
from bankimport.jobs.results import AccountResult
from bankimport.models import JobStatus
from bankimport.status import JobState, Operation, after
from bankimport.stream import behind
from bankimport.web.dashboard import explanations, forms
from bankimport.web.dashboard.bulk import perform
from bankimport.web.dashboard.course import TOLD, bars, runs_of
from bankimport.web.dashboard.visit import Visit
from bankimport.web.parameters import path_id

#: So many entries of the stream are looked at for one page, and so many of the job's events are shown.
_LOOKED_AT, _SHOWN, _SLICE = 20_000, 200, 1000
#: The job's last event is written with its end; a clock may be a little off.
_MARGIN = timedelta(seconds=2)


async def show_job(visit: Visit) -> web.Response:
    """Show a job."""
    job_id = path_id(visit.request, "id", "job")
    job = await visit.operations.get_job_status(job_id)
    if job is None:
        raise NotFound("job")
    events, complete = await _events(visit, job)
    runs = runs_of(events, job)
    drawn, whole = bars(runs, job, visit.formats.now)
    return await visit.show(
        "job.html",
        "jobs",
        job_id,
        job=job,
        heading=_heading(visit, job),
        explained=explanations.error(job.error_code) if job.state is JobState.FAILED else None,
        events=[event for event in events if isinstance(event.typed, TOLD)],
        complete=complete,
        runs=runs,
        bars=drawn,
        whole=whole,
        accounts=_accounts(job.result),
        may={each.value: after(each, job.state) is not None for each in (Operation.RETRY, Operation.CANCEL)},
        discardable=job.state.is_terminal,
    )


def _heading(visit: Visit, job: JobStatus) -> str:
    """Return in a sentence what became of the job."""
    _, f = visit.words, visit.formats
    if job.state is JobState.FAILED:
        what = _(explanations.error(job.error_code).what)
        runs = job.attempts_made
        return _("Failed after {n} runs: {what}", n=runs, what=what) if runs > 1 else _("Failed: {what}", what=what)
    if job.state is JobState.COMPLETED:
        part = (job.result or {}).get("partial") is True
        outcome = visit.outcome(job)
        word = _("Completed in part") if part else _("Completed")
        return _("{word}: {outcome}", word=word, outcome=outcome) if outcome else word
    if job.state is JobState.DELAYED and job.delayed_until is not None:
        return _("It runs again {at}", at=f.at(job.delayed_until))
    return {
        JobState.WAITING: _("It waits for its turn"),
        JobState.ACTIVE: _("It runs"),
        JobState.DELAYED: _("It runs later"),
        JobState.WAITING_CHILDREN: _("It waits for the syncs of its connections"),
        JobState.CANCELLED: _("It was cancelled"),
    }[job.state]


async def _events(visit: Visit, job: JobStatus) -> tuple[list[Event], bool]:
    """Return the job's events that are held, and whether these are all: looking is bounded, whatever is in between."""
    stream = visit.state.events
    if stream is None:
        return [], False
    found: list[Event] = []
    position, looked = str(behind(None, job)), 0
    until = (job.finished_on or datetime.now(UTC)) + _MARGIN
    gap = False
    try:
        while looked < _LOOKED_AT and len(found) < _SHOWN:
            batch = await stream.read(position, count=_SLICE)
            gap = gap or batch.gap is not None
            own = (
                entry.event() for entry in batch.entries if entry.job_id == job.id and entry.name != "bank.job.progress"
            )
            found += [event for event in own if event is not None]
            looked += len(batch.entries)
            position = str(batch.upto)
            if not batch.more or batch.upto.ms > until.timestamp() * 1000:
                return found[:_SHOWN], not gap
    except Unavailable:
        return [], False
    return found[:_SHOWN], False


def _accounts(result: dict[str, Any] | None) -> list[AccountResult]:
    """Return the result's accounts; one that another version wrote otherwise is left out."""
    found = []
    accounts = (result or {}).get("accounts")
    for each in accounts if isinstance(accounts, list) else ():
        try:
            found.append(AccountResult.model_validate(each))
        except ValidationError:
            continue
    return found


async def act(visit: Visit) -> web.Response:
    """Retry, cancel or discard this job."""
    fields = await forms.posted(visit.request)
    job_id, action = path_id(visit.request, "id", "job"), visit.request.match_info["action"]
    reason = forms.reason(fields) if action != "retry" else forms.text(fields, "reason")
    with because(reason):
        await perform(visit.operations, action)(job_id)
    if action == "discard":
        return visit.see("jobs", done="discard", number=1)
    return visit.see("job", {"id": job_id}, done=action)
