"""What readers send: ids, choices, reasons. Whatever else stands there is a problem with its name."""

import re
from typing import Final

from aiohttp import web

from bankimport.errors import InvalidRequest
from bankimport.models import ID_PATTERN, JobType
from bankimport.queue.filters import JobFilter
from bankimport.status import JobState
from bankimport.web.problems import refuse

REASON: Final = 200
_ID = re.compile(ID_PATTERN[:-1] + r"\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_FORM: Final = "application/x-www-form-urlencoded"
MOST_TICKED: Final = 200

#: One value of each name, or several of `job`.
Fields = dict[str, list[str]]


async def posted(request: web.Request) -> Fields:
    """Return the fields of a form.

    Raises:
        ProblemRaised: 415, it is none.
    """
    if request.content_type != _FORM:
        raise refuse(415, "not-json", "a form's fields are needed")
    return _lists(await request.post())


def asked(request: web.Request) -> Fields:
    """Return the parameters of the address."""
    return _lists(request.query)


def _lists(pairs: object) -> Fields:
    fields: Fields = {}
    for name, value in pairs.items():  # type: ignore[attr-defined]  # a multidict of texts, or of files, which are dropped
        if isinstance(value, str):
            fields.setdefault(name, []).append(value.strip())
    return fields


def text(fields: Fields, name: str) -> str | None:
    """Return a field's text; None where it is absent or empty."""
    return next((value for value in fields.get(name, []) if value), None)


def identifier(fields: Fields, name: str) -> str | None:
    """Return an id; None where the field is absent or empty.

    Raises:
        InvalidRequest: it is none.
    """
    value = text(fields, name)
    if value is not None and not is_id(value):
        raise InvalidRequest(f"/{name}", "must be 1 to 128 letters, digits and _ . : -")
    return value


def is_id(value: str) -> bool:
    """Whether the text is an id."""
    return _ID.match(value) is not None


def reason(fields: Fields) -> str:
    """Return why somebody does it, in one line.

    Raises:
        InvalidRequest: it is missing or too long.
    """
    value = _CONTROL.sub(" ", text(fields, "reason") or "").strip()
    if not value or len(value) > REASON:
        raise InvalidRequest("/reason", f"must be 1 to {REASON} letters: who comes after you wants to know why")
    return value


def job_filter(fields: Fields) -> JobFilter:
    """Return which jobs are meant: `state`, `type`, `org`, `connection`, `code`, and of failed ones `bank`.

    Raises:
        InvalidRequest: naming the field that is wrong.
    """
    state, kind = text(fields, "state"), text(fields, "type")
    if state is not None and state not in set(JobState):
        raise InvalidRequest("/state", f"must be one of {', '.join(JobState)}")
    if kind is not None and kind not in set(JobType):
        raise InvalidRequest("/type", f"must be one of {', '.join(JobType)}")
    bank = identifier(fields, "bank")
    if bank is not None and state != JobState.FAILED:
        raise InvalidRequest("/bank", "jobs are found by their bank once they have failed: choose that state")
    return JobFilter(
        state=JobState(state) if state else None,
        type=JobType(kind) if kind else None,
        org_id=identifier(fields, "org"),
        connection_id=identifier(fields, "connection"),
        error_code=identifier(fields, "code"),
        bank=bank,
    )


def as_query(wanted: JobFilter) -> dict[str, str | None]:
    """Return a filter as it stands in an address."""
    return {
        "state": wanted.state,
        "type": wanted.type,
        "org": wanted.org_id,
        "connection": wanted.connection_id,
        "code": wanted.error_code,
        "bank": wanted.bank,
    }


def ticked(fields: Fields) -> list[str]:
    """Return the ids of the jobs that are ticked.

    Raises:
        InvalidRequest: one is none, or they are too many.
    """
    ids = list(dict.fromkeys(fields.get("job", [])))
    if len(ids) > MOST_TICKED or not all(is_id(each) for each in ids):
        raise InvalidRequest("/job", f"must be at most {MOST_TICKED} ids of jobs")
    return ids
