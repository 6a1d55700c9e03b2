"""The text of a script: what it uses of the prelude, then its own lines.

Redis carries out the whole text at each call, so what isn't used isn't sent: the prelude in full costs 25 µs a call.
"""

import re
from datetime import timedelta
from functools import cache
from importlib import resources

from bankimport.settings import Settings
from bankimport.status import TRANSITIONS

_WORD = re.compile(r"\w+")
_BLOCKS = re.compile(r"\n\n(?=\S)")
_COMMENT = re.compile(r"--.*")
#: What a block of the prelude defines, at the beginning of a line.
_DEFINES = re.compile(r"^(?:local function (\w+)|local ([\w, ]+)|(\w+) = function)", re.MULTILINE)


@cache
def _source(name: str) -> str:
    return resources.files("bankimport.queue").joinpath("lua", f"{name}.lua").read_text()


def _lua_table(mapping: dict[str, dict[str, str]]) -> str:
    rows = []
    for operation, ways in mapping.items():
        pairs = ",".join(f"['{before}']='{after}'" for before, after in ways.items())
        rows.append(f"['{operation}']={{{pairs}}}")
    return "{" + ",".join(rows) + "}"


def _milliseconds(duration: timedelta) -> int:
    return int(duration / timedelta(milliseconds=1))


def render(name: str, settings: Settings) -> str:
    """Return the full text of a script: the prelude with the transition table and the settings, then its own lines."""
    constants = {
        "TRANSITIONS": _lua_table(
            {str(o): {str(a): str(b) for a, b in ways.items()} for o, ways in TRANSITIONS.items()}
        ),
        "EVENTS_MAX": str(settings.events_max),
        "KEEP_COMPLETED": str(_milliseconds(settings.keep_completed)),
        "KEEP_FAILED": str(_milliseconds(settings.keep_failed)),
        "KEEP_LONGEST": str(_milliseconds(max(settings.keep_completed, settings.keep_failed))),
    }
    own = _source(name)
    text = "\n\n".join([*_used(_BLOCKS.split(_source("_prelude")), own), own])
    for constant, value in constants.items():
        text = text.replace(f"@{constant}@", value)
    return text


def _used(blocks: list[str], own: str) -> list[str]:
    """Return those blocks, in their order, that define what `own` or another one of them names; always the first.

    A block ends at a blank line before a line that isn't indented.
    """
    words = _words(blocks[0]) | _words(own)
    used = {0}
    while more := {n for n, block in enumerate(blocks) if n not in used and _defined(block) & words}:
        used |= more
        words |= {word for n in more for word in _words(blocks[n])}
    return [blocks[n] for n in sorted(used)]


def _words(block: str) -> set[str]:
    return set(_WORD.findall(_COMMENT.sub("", block)))


def _defined(block: str) -> set[str]:
    return {
        word for found in _DEFINES.finditer(block) for group in found.groups() for word in _WORD.findall(group or "")
    }
