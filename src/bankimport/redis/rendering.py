"""The text of a script: the pieces that it includes, each once and in order, its arguments by name, its own lines.

A script is `<room>/lua/<name>.lua`, a piece `<room>/lua/lib/<piece>.lua`. `-- @include piece` means one of the same
room, `-- @include room/piece` one of another, which that room may import (`tests/test_architecture.py`).

Redis carries out the whole text at each call, and to make a function or a table costs a third of a microsecond, and
as much again to clear it away: of the pieces, what a script can't reach is left out, and a function that is marked
`-- @rarely` is made when it is first called for, with all that it alone needs.

A joined script carries out its own lines for each of many calls.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import cache
from importlib import resources
from typing import Any

from bankimport.redis.declaring import Script
from bankimport.redis.instants import duration_ms
from bankimport.redis.keys import in_lua
from bankimport.settings import Settings
from bankimport.status import TRANSITIONS, JobState

INCLUDE = re.compile(r"^-- @include (?:([\w/]+)/)?(\w+)$", re.MULTILINE)
#: From being asked for to its end; a list of jobs outlives the record of its last by as much.
_LONGEST_LIFE = timedelta(days=30)
#: What begins at the beginning of a line: a function, in one line or up to an `end` at the beginning of one; a plain
#: table, or a constant; a name that is given its function below.
_DEFINED = re.compile(
    r"^(?:local function (?P<function>\w+)|(?P<below>\w+) = function)\b(?:.*\bend$|.*\n(?:(?!end$).*\n)*end$)"
    r"|^local (?P<table>[A-Z_]+) = (?:\{[^{}]*\}|\{.*\}|\d+)$|^local (?P<name>\w+)(?: +--.*)?$",
    re.MULTILINE,
)
_RARELY = "-- @rarely\n"
#: A name that is meant: no field, no word of a text or a comment.
_NAME = re.compile(r"'[^'\n]*'|--.*|(?<![.\w])([A-Za-z_]\w*)")
_COMMENT = re.compile(r"^\s*--.*\n|^\n", re.MULTILINE)


@cache
def _source(path: str) -> str:
    return resources.files("bankimport").joinpath(path).read_text()


def _pieces(path: str, seen: list[str]) -> list[str]:
    """Return the pieces that a script or piece needs, those that others need before them."""
    own = path.partition("/lua/")[0]
    for room, piece in INCLUDE.findall(_source(path)):
        needed = f"{room or own}/lua/lib/{piece}.lua"
        if needed not in seen:
            _pieces(needed, seen)
            seen.append(needed)
    return seen


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"['{name}'] = {value}" for name, value in rows) + "}"


def _constants(settings: Settings | None, text: str) -> dict[str, str]:
    """Return what Lua knows of the settings, and of the table of transitions the operations that a text names."""
    if settings is None:
        return {}
    ways = [
        (str(operation), _table([(str(before), f"'{after}'") for before, after in steps.items()]))
        for operation, steps in TRANSITIONS.items()
        if f"'{operation}'" in text
    ]
    numbers = {
        "LEASE": duration_ms(settings.lease),
        "PLACES": settings.org_concurrency,
        "RATE_MAX": settings.rate_limit_max,
        "RATE_WINDOW": duration_ms(settings.rate_limit_duration),
        "EVENTS_MAX": settings.events_max,
        "EVENTS_KEEP": duration_ms(settings.events_keep),
        "KEEP_COMPLETED": duration_ms(settings.keep_completed),
        "KEEP_FAILED": duration_ms(settings.keep_failed),
        "KEEP_INDEX": duration_ms(max(settings.keep_completed, settings.keep_failed) + _LONGEST_LIFE),
    }
    ended = [(str(state), "true") for state in JobState if state.is_terminal]
    return {"TRANSITIONS": _table(ways), "ENDED": _table(ended), **{name: str(n) for name, n in numbers.items()}}


def _definitions(text: str) -> dict[str, str]:
    """Return what a text defines, by name."""
    defined: dict[str, str] = {}
    for found in _DEFINED.finditer(text):
        name = str(found[found.lastgroup or 0])
        defined[name] = defined.get(name, "") + found[0] + "\n"
    return defined


def _meant(text: str, defined: Mapping[str, str], beyond: Collection[str] = ()) -> set[str]:
    """Return the defined names that a text reaches, but what only one of `beyond` leads to."""
    reached: set[str] = set()
    todo = [text]
    while todo:
        meant = set(_NAME.findall(todo.pop())) & defined.keys() - reached
        reached |= meant
        todo += [defined[name] for name in meant if name not in beyond]
    return reached


def _only(text: str, names: Collection[str]) -> str:
    """Return a text without the definitions of other names."""
    return _DEFINED.sub(lambda found: found[0] if found[found.lastgroup or 0] in names else "", text)


def _reached(text: str) -> str:
    """Return a text without what its other lines don't reach."""
    return _only(text, _meant(_DEFINED.sub("", text), _definitions(text)))


def _put_off(text: str) -> str:
    """Return a text in which what only rare functions lead to is made when the first of them is called for."""
    defined = _definitions(text)
    rare = {name for name, source in defined.items() if _RARELY in source}
    always = _meant(_DEFINED.sub("", text), defined, rare)
    entries = sorted(always & rare)
    if not entries:
        return text
    always -= rare
    seldom = [found for found in _DEFINED.finditer(text) if found[found.lastgroup or 0] not in always]
    made = ", ".join(f"{name} = {name}" for name in entries)
    lazy = ["rare = function()", *(found[0] for found in seldom), f"local made = {{{made}}}"]
    lazy += ["rare = function() return made end", "return made", "end"]
    end = seldom[-1].end()  # all that they need stands before
    calls = re.compile(rf"\b({'|'.join(entries)})\(")
    before, after = (calls.sub(r"rare().\1(", _only(part, always)) for part in (text[:end], text[end:]))
    return "\n".join(["local rare", before, *lazy, after])


def _joined(own: str, bound: Sequence[str]) -> str:
    """Return a script's own lines as they are carried out for each call that travels with this one."""
    return "\n".join(["local function run(at)", *bound, own, "end", f"return replies(run, {len(bound)})"])


def render(script: Script[..., Any], settings: Settings | None) -> str:
    """Return the full text of a script; one that knows nothing of the settings needs none."""
    return in_lua(gather(script, settings))


def gather(script: Script[..., Any], settings: Settings | None) -> str:
    """Return the full text of a script, in which the keys have their names still."""
    path = f"{script.room}/lua/{script.name}.lua"
    bound = [f"local {argument} = {value}" for argument, value in script.arguments]
    parts = [_source(piece) for piece in _pieces(path, [])]
    own = _joined(_source(path), bound) if script.joined else _source(path)
    text = _reached(_COMMENT.sub("", "\n".join([*parts, own])))
    used = [f"local {constant} = {value}" for constant, value in _constants(settings, text).items() if constant in text]
    head = ["local P = KEYS[1]", *([] if script.joined else bound)]
    return "\n".join([*head, _put_off("\n".join([*used, text]))])
