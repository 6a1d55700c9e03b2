"""The text of a script: the pieces that it includes, each once and in order, its arguments by name, its own lines.

A script is `<room>/lua/<name>.lua`, a piece `<room>/lua/lib/<piece>.lua`. `-- @include piece` means one of the same
room, `-- @include room/piece` one of another, which that room may import (`tests/test_architecture.py`).

Redis carries out the whole text at each call, and to make a function or a table costs a third of a microsecond, and
as much again to clear it away: of the pieces, what a script can't reach is left out, and a function that is marked
`-- @rarely` is made when it is first called for, with all that it alone needs.

A joined script carries out its own lines for each of many calls.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib import resources
from itertools import chain
from typing import Any

from bankimport.redis.declaring import Script
from bankimport.redis.instants import duration_ms
from bankimport.redis.keys import in_lua
from bankimport.redis.spelling import spelled_out
from bankimport.settings import Settings
from bankimport.status import TRANSITIONS, JobState

INCLUDE = re.compile(r"^-- @include (?:([\w/]+)/)?(\w+)$", re.MULTILINE)
#: What Lua knows of the settings, each by its name; none for a script that knows nothing of them.
Numbers = tuple[tuple[str, int], ...]
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
_NAME = re.compile(r"'[^'\n]*'|--.*|(?<!\w)(?:(?<!\.)|(?<=\.\.))([A-Za-z_]\w*)")
_COMMENT = re.compile(r"^\s*--.*\n|^\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a text: a definition with its name, or what stands between two; and the names that it means."""

    name: str
    source: str
    means: frozenset[str]


def _part(name: str, source: str) -> _Part:
    return _Part(name, source, frozenset(filter(None, _NAME.findall(source))))


def _parts(text: str) -> Iterator[_Part]:
    """Yield a text's parts, in order."""
    text = _COMMENT.sub("", text)
    at = 0
    for found in _DEFINED.finditer(text):
        if between := text[at : found.start()].strip("\n"):
            yield _part("", between)
        yield _part(str(found[found.lastgroup or 0]), found[0])
        at = found.end()
    if rest := text[at:].strip("\n"):
        yield _part("", rest)


@cache
def _source(path: str) -> str:
    return resources.files("bankimport").joinpath(path).read_text()


@cache
def _piece(path: str) -> Sequence[_Part]:
    return tuple(_parts(_source(path)))


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


def _numbers(settings: Settings) -> Numbers:
    """Return what Lua knows of the settings."""
    return (
        ("LEASE", duration_ms(settings.lease)),
        ("PLACES", settings.org_concurrency),
        ("RATE_MAX", settings.rate_limit_max),
        ("RATE_WINDOW", duration_ms(settings.rate_limit_duration)),
        ("EVENTS_MAX", settings.events_max),
        ("EVENTS_KEEP", duration_ms(settings.events_keep)),
        ("KEEP_COMPLETED", duration_ms(settings.keep_completed)),
        ("KEEP_FAILED", duration_ms(settings.keep_failed)),
        ("KEEP_INDEX", duration_ms(max(settings.keep_completed, settings.keep_failed) + _LONGEST_LIFE)),
    )


def _constants(numbers: Numbers, text: str) -> dict[str, str]:
    """Return the numbers, the states that are ends, and of the transitions the operations that a text names."""
    if not numbers:
        return {}
    ways = [
        (str(operation), _table([(str(before), f"'{after}'") for before, after in steps.items()]))
        for operation, steps in TRANSITIONS.items()
        if f"'{operation}'" in text
    ]
    ended = [(str(state), "true") for state in JobState if state.is_terminal]
    return {"TRANSITIONS": _table(ways), "ENDED": _table(ended), **{name: str(n) for name, n in numbers}}


def _meant(parts: Sequence[_Part], beyond: Collection[str] = (), start: Collection[str] = ("",)) -> set[str]:
    """Return the names of the parts that those of `start` reach, but what only one of `beyond` leads to."""
    means: dict[str, frozenset[str]] = {}
    for part in parts:
        means[part.name] = means.get(part.name, frozenset()) | part.means
    reached: set[str] = set()
    todo = list(start)
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            if name not in beyond:
                todo += means[name] & means.keys()
    return reached


def _put_off(parts: Sequence[_Part]) -> str:
    """Return a text in which what only rare functions lead to is made when the first of them is called for."""
    rare = {part.name for part in parts if _RARELY in part.source}
    always = _meant(parts, rare)
    entries = sorted(always & rare)
    if not entries:
        return "\n".join(part.source for part in parts if part.name in always)
    always -= rare
    seldom = _meant(parts, start=entries) - always
    calls = re.compile(rf"\b({'|'.join(entries)})\(")
    common = [calls.sub(r"rare().\1(", part.source) if part.name in always else "" for part in parts]
    last = max(index for index, part in enumerate(parts) if part.name in seldom)
    made = ", ".join(f"{name} = {name}" for name in entries)
    return "\n".join(
        [
            "local rare",
            *filter(None, common[:last]),  # all that they need is above the last of them
            "rare = function()",
            *(part.source for part in parts if part.name in seldom),
            f"local made = {{{made}}}",
            "rare = function() return made end",
            "return made",
            "end",
            *filter(None, common[last:]),
        ]
    )


def _joined(own: str, bound: Sequence[str]) -> str:
    """Return a script's own lines as they are carried out for each call that travels with this one."""
    return "\n".join(["local function run(at)", *bound, own, "end", f"return replies(run, {len(bound)})"])


def render(script: Script[..., Any], settings: Settings | None) -> str:
    """Return the full text of a script; one that knows nothing of the settings needs none."""
    return _rendered(script, () if settings is None else _numbers(settings))


@cache  # for all queues of a process with the same settings
def _rendered(script: Script[..., Any], numbers: Numbers) -> str:
    return spelled_out(in_lua(gather(script, numbers)))


def with_digest(text: str) -> tuple[str, str]:
    """Return the digest by which Redis knows a script, and its text."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), text


def gather(script: Script[..., Any], numbers: Numbers = ()) -> str:
    """Return the full text of a script, in which the keys have their names still."""
    path = f"{script.room}/lua/{script.name}.lua"
    bound = [f"local {argument} = {value}" for argument, value in script.arguments]
    own = _joined(_source(path), bound) if script.joined else _source(path)
    parts = [*chain.from_iterable(map(_piece, _pieces(path, []))), *_parts(own)]
    reached = _meant(parts)
    parts = [part for part in parts if part.name in reached]
    constants = _constants(numbers, "\n".join(part.source for part in parts)).items()
    used = [_part(name, f"local {name} = {value}") for name, value in constants]
    return "\n".join(["local P = KEYS[1]", *([] if script.joined else bound), _put_off([*used, *parts])])
