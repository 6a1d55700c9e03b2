"""What became of a job, in a few words."""

from collections.abc import Mapping
from typing import Any

from bankimport.models import JobStatus
from bankimport.status import JobState
from bankimport.web.dashboard import explanations
from bankimport.web.dashboard.formats import Formats
from bankimport.web.dashboard.words import Words


def outcome(words: Words, formats: Formats, job: JobStatus) -> str:
    """Return in a few words what became of a job."""
    _ = words
    if job.state is JobState.FAILED:
        return _(explanations.error(job.error_code).what)
    if job.state is JobState.DELAYED and job.delayed_until is not None:
        return _("runs again {at}", at=formats.at(job.delayed_until))
    if job.state is JobState.WAITING and job.blocked_by:
        return _("waits for another job of its connection")
    if job.state is JobState.COMPLETED and job.result:
        return _result(words, formats, job.result)
    return job.progress.message if job.progress is not None else ""


def _result(words: Words, formats: Formats, result: Mapping[str, Any]) -> str:
    _, number = words, formats.number
    if isinstance(result.get("newTransactions"), int):
        changed = _int(result, "updatedTransactions") + _int(result, "removedTransactions")
        text = _("{new} new, {changed} changed", new=number(_int(result, "newTransactions")), changed=number(changed))
        deferred = result.get("deferred")
        return text + _("; {n} reads later", n=len(deferred)) if isinstance(deferred, list) and deferred else text
    if isinstance(result.get("totalConnections"), int):
        total, good = _int(result, "totalConnections"), _int(result, "successfulSyncs")
        return _("{good} of {total} connections synced", good=number(good), total=number(total))
    if isinstance(result.get("organisations"), int):
        return _("{n} organisations planned", n=number(_int(result, "organisations")))
    return ""


def _int(result: Mapping[str, Any], name: str) -> int:
    value = result.get(name)
    return value if isinstance(value, int) else 0
