"""Reading the path and the query: ids, numbers, choices. Whatever else stands there is a problem with its name."""

import re
from collections.abc import Collection
from contextlib import suppress
from datetime import date
from enum import StrEnum
from typing import TypeVar

from aiohttp import web

from bankimport.errors import InvalidRequest, NotFound
from bankimport.models import ID_PATTERN

_ID = re.compile(ID_PATTERN[:-1] + r"\Z")
#: A cursor is a list's own; whatever it is, it is short and printable.
_CURSOR = re.compile(r"[\x21-\x7e]{1,256}")

#: What entries of the audit log are looked for by.
AUDIT_TEXTS = {
    "who": re.compile(r"^[^\x00-\x1f\x7f]{1,256}$"),
    "action": re.compile(r"^[a-z.-]{1,64}$"),
    "subject": re.compile(r"^[!-~]{1,256}$"),
}

Choice = TypeVar("Choice", bound=StrEnum)


def is_id(text: str) -> bool:
    """Whether the text is an id: 1 to 128 letters, digits and `_ . : -`."""
    return _ID.match(text) is not None


def path_id(request: web.Request, name: str, what: str) -> str:
    """Return an id of the path.

    Raises:
        NotFound: it is none, so there is nothing of that name.
    """
    text = request.match_info[name]
    if not is_id(text):
        raise NotFound(what)
    return text


def check_names(request: web.Request, known: Collection[str]) -> None:
    """Refuse a query with parameters that the route hasn't, or with one of them twice.

    Raises:
        InvalidRequest: naming the parameter.
    """
    for name in request.query:
        if name not in known:
            raise InvalidRequest(f"/{name[:100]}".encode(errors="replace").decode(), "is no parameter of this route")
        if len(request.query.getall(name)) > 1:
            raise InvalidRequest(f"/{name}", "is there more than once")


def query_id(request: web.Request, name: str) -> str | None:
    """Return an id of the query; None if it is absent.

    Raises:
        InvalidRequest: it is none.
    """
    text = request.query.get(name)
    if text is None:
        return None
    if not is_id(text):
        raise InvalidRequest(f"/{name}", "must be 1 to 128 letters, digits and _ . : -")
    return text


def query_cursor(request: web.Request) -> str | None:
    """Return the cursor of the query; None if it is absent.

    Raises:
        InvalidRequest: it can't be one.
    """
    text = request.query.get("cursor")
    if text is not None and not _CURSOR.fullmatch(text):
        raise InvalidRequest("/cursor", "is not a cursor of this list")
    return text


def query_code(request: web.Request, name: str) -> str | None:
    """Return the code of an error of the query; None if it is absent.

    Raises:
        InvalidRequest: it can't be one.
    """
    text = request.query.get(name)
    if text is not None and not re.fullmatch(r"[a-z0-9-]{1,64}", text):
        raise InvalidRequest(f"/{name}", "must be 1 to 64 small letters, digits and -")
    return text


def query_audit(request: web.Request, name: str) -> str | None:
    """Return who, what or on what is looked for in the audit log; None if it is absent.

    Raises:
        InvalidRequest: it can't be one.
    """
    text = request.query.get(name)
    if text is not None and (not AUDIT_TEXTS[name].match(text) or text.endswith("\n")):
        raise InvalidRequest(f"/{name}", f"must match {AUDIT_TEXTS[name].pattern}")
    return text


def query_number(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """Return a number of the query.

    Raises:
        InvalidRequest: it is none, or out of range.
    """
    text = request.query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not low <= int(text) <= high:
        raise InvalidRequest(f"/{name}", f"must be a number from {low} to {high}")
    return int(text)


def query_day(request: web.Request, name: str) -> date | None:
    """Return a day of the query, `2026-03-31`; None if it is absent.

    Raises:
        InvalidRequest: it is none.
    """
    text = request.query.get(name)
    if text is None:
        return None
    with suppress(ValueError):  # the 31st of a shorter month
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
            return date.fromisoformat(text)
    raise InvalidRequest(f"/{name}", "must be a day such as 2026-03-31")


def query_choice(request: web.Request, name: str, choices: type[Choice]) -> Choice | None:
    """Return a choice of the query; None if it is absent.

    Raises:
        InvalidRequest: it is none.
    """
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return choices(text)
    except ValueError:
        raise InvalidRequest(f"/{name}", f"must be one of {', '.join(choices)}") from None
