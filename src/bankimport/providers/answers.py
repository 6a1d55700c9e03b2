"""The parts of a bank's JSON, each taken with care: a wrong shape is a `MalformedData`, never a surprise."""

from collections.abc import Mapping
from typing import Any

from bankimport.errors import MalformedData
from bankimport.models import Scope

_WRONG = "the bank's answer is not of the shape that was agreed"


def text_of(row: Mapping[str, Any], name: str) -> str | None:
    """Return a text of the row without what is not printable: it could be neither sent back nor stored. Banks that
    send amounts as numbers do so with ids."""
    value = row.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    return (value if value.isprintable() else "".join(c for c in value if c.isprintable())).strip()


def an_object(value: Any, scope: Scope) -> Mapping[str, Any]:
    """Return an object.

    Raises:
        MalformedData: it is none.
    """
    if not isinstance(value, dict):
        raise MalformedData(_WRONG, scope=scope)
    return value


def a_list(value: Mapping[str, Any], name: str, scope: Scope, *, needed: bool = True) -> list[Any]:
    """Return a list of the object; one that isn't `needed` may be left out, or null.

    Raises:
        MalformedData: it is none.
    """
    listed = value.get(name)
    if listed is None and not needed:
        return []
    if not isinstance(listed, list):
        raise MalformedData(_WRONG, scope=scope)
    return listed
