"""*Now*: whether imports run, what needs somebody, and the pause."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from aiohttp import web

from bankimport.errors import InvalidRequest, Unavailable
from bankimport.models import JobPage, QueueHealth, ScheduleStatus, Throughput
from bankimport.status import JobState
from bankimport.web.dashboard import explanations, forms
from bankimport.web.dashboard.banks import failing
from bankimport.web.dashboard.chart import UP, chart
from bankimport.web.dashboard.visit import Visit
from bankimport.web.dashboard.webhooks import silenced

_SHOWN = 8


async def show_now(visit: Visit) -> web.Response:
    """Show how things are. It answers too while Redis is away: then that is what it says."""
    operations = visit.operations
    health = await operations.get_queue_health()
    try:
        running, failed, schedules, ended, (bad, banks) = await asyncio.gather(
            operations.list_jobs(None, state=JobState.ACTIVE, limit=_SHOWN),
            operations.list_jobs(None, state=JobState.FAILED, limit=5),
            operations.get_schedules(),
            operations.get_throughput(),
            failing(visit),
        )
    except Unavailable:
        running, failed, schedules, ended = JobPage(jobs=()), JobPage(jobs=()), [], Throughput(minutes=(), hours=())
        bad, banks = None, []
    return await visit.show(
        "now.html",
        "now",
        visit.words("Now"),
        health=health,
        heading=_heading(visit, health, bad),
        alerts=[(alert, explanations.alert(alert.code)) for alert in health.alerts],
        warnings=_warnings(health),
        silent=await silenced(visit),
        banks=banks,
        is_id=forms.is_id,
        waited=health.oldest_runnable_at,
        running=running.jobs,
        failed=failed.jobs,
        schedules=_soonest(schedules),
        charts=(("hour", chart(ended.minutes), ended.minutes), ("week", chart(ended.hours), ended.hours)),
        line=UP,
    )


def _heading(visit: Visit, health: QueueHealth, bad_banks: str | None) -> str:
    """Return the page's answer in a sentence."""
    _, stats = visit.words, health.stats
    if health.alerts:
        first = health.alerts[0]
        return _(explanations.alert(first.code).what)
    if health.is_paused:
        return _("The queue is paused: nothing starts")
    if not health.workers:
        return _("No worker is alive")
    if bad_banks is not None:
        return bad_banks
    if stats.active or stats.waiting:
        running, waiting = visit.formats.number(stats.active), visit.formats.number(stats.waiting)
        return _("Imports run: {running} running, {waiting} waiting", running=running, waiting=waiting)
    return _("All is well: no job waits, none is stuck")


def _warnings(health: QueueHealth) -> list[str]:
    """Return the warnings that no alert and no part of the page says already."""
    said = {alert.message for alert in health.alerts}
    own = ("the queue is paused", "no worker is alive")
    return [text for text in health.warnings if text not in said and not text.startswith(own)]


def _soonest(schedules: Sequence[ScheduleStatus]) -> list[ScheduleStatus]:
    return sorted(schedules, key=lambda each: each.next_at)


async def pause(visit: Visit) -> web.Response:
    """Let nothing start, with a reason, until an instant or until somebody resumes."""
    fields = await forms.posted(visit.request)
    reason = forms.reason(fields)
    await visit.operations.pause_queue(until=_until(visit, forms.text(fields, "until")), reason=reason)
    return visit.see("now", done="paused")


async def resume(visit: Visit) -> web.Response:
    """Let jobs start again."""
    await forms.posted(visit.request)
    await visit.operations.resume_queue()
    return visit.see("now", done="resumed")


def _until(visit: Visit, text: str | None) -> datetime | None:
    """Return the instant of a form's local time, which is the schedules' time zone's."""
    if text is None:
        return None
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest("/until", "must be a day and a time") from None
    return local if local.tzinfo is not None else local.replace(tzinfo=visit.operations.settings.timezone)
