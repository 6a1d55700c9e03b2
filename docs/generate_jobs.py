"""The parts of the documentation that are facts of jobs: the codes that they fail with, and their results."""

from collections.abc import Iterator
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from bankimport.errors import JobError, Retryable, RunInterrupted
from bankimport.jobs.results import AccountResult, ConsentsResult, SyncResult
from bankimport.web.dashboard.explanations import ERRORS, Owner

#: Codes without a class: the queue's own, or of an error that is none of ours.
BESIDE = {"stalled": False, "unexpected": True, "unavailable": True}


def classes() -> dict[str, type[JobError]]:
    """Return what a run can end with, by its code."""
    found: list[type[JobError]] = [JobError]
    for each in found:
        found += each.__subclasses__()
    own = [each for each in found if each.__module__ == "bankimport.errors" and not issubclass(each, RunInterrupted)]
    return {each.code: each for each in own if each is not JobError}


def error_codes() -> Iterator[str]:
    """Yield the table of the error codes."""
    yield "| code | tried again | it means | what to do |"
    yield "|---|---|---|---|"
    known = classes()
    for code, explained in ERRORS.items():
        again = BESIDE[code] if code in BESIDE else issubclass(known[code], Retryable)
        turn = " (the customer's turn)" if explained.owner is Owner.CUSTOMER else ""
        do = _plain(explained.do)
        yield f"| `{code}` | {'yes' if again else 'no'} | {_plain(explained.what)}{turn} | {do} |"


def _plain(text: str) -> str:
    return text.replace("’", "'").replace("|", "\\|")


def results_of(model: type[BaseModel]) -> Iterator[str]:
    """Yield the table of a result's fields."""
    yield "| field | |"
    yield "|---|---|"
    for name, field in model.model_fields.items():
        yield f"| `{field.alias or name}` | {_type(field.annotation)} |"


def _type(annotation: Any) -> str:
    if get_origin(annotation) in (Union, UnionType):
        inner = next(each for each in get_args(annotation) if each is not NoneType)
        return f"{_type(inner)}, or null"
    if get_origin(annotation) is tuple:
        return f"list of {_type(get_args(annotation)[0])}"
    if get_origin(annotation) is dict:
        return "numbers by their names"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " · ".join(f"`{each.value}`" for each in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "{" + ", ".join(f"`{each.alias or name}`" for name, each in annotation.model_fields.items()) + "}"
    return {"str": "text", "int": "number", "bool": "true or false", "Decimal": "amount, as text", "date": "day",
            "datetime": "instant"}.get(getattr(annotation, "__name__", ""), "")  # fmt: skip


def sync_result() -> Iterator[str]:
    """Yield the fields of a `sync-connection` job's result."""
    yield from results_of(SyncResult)


def account_result() -> Iterator[str]:
    """Yield the fields of one account's part of it."""
    yield from results_of(AccountResult)


def consents_result() -> Iterator[str]:
    """Yield the fields of a `refresh-consents` job's result."""
    yield from results_of(ConsentsResult)
