"""What a Lua text names for its readers, spelled out for Redis: to make a function costs half of what a short command
does, at each call, and so does a constant that a function reaches.

A constant is `local NAME = 1000`. A function is in one line, `local function name(a, b) return … end`, or
`local function name() set = … end`, with one result; what it is given is a name, a field, or meant once. What would
mean something else where it is called is left as it is, but for two things that only who writes Lua can see to: a name
of the body must mean the same there, and a constant is no word of a text.
"""

import re
from collections import Counter

_CONSTANT = re.compile(r"^local ([A-Z_]+) = (-?[\de]+)(?: +--.*)?\n", re.MULTILINE)
_ONE_LINE = re.compile(r"^local function (\w+)\((.*?)\) (?:return (.*)|(\w+ = .*)) end(?: +--.*)?\n", re.MULTILINE)
_SIMPLE = re.compile(r"[\w.]+|'[^']*'")


def spelled_out(text: str) -> str:
    """Return a text without its constants and its functions of one line: what they are stands where they are named."""
    while found := _CONSTANT.search(text):
        text = re.sub(rf"(?<![.\w'])({found[1]})(?![\w'])", found[2], text[: found.start()] + text[found.end() :])
    at = 0
    while found := _ONE_LINE.search(text, at):
        spelled = _called(text[: found.start()] + text[found.end() :], found)
        text, at = (text, found.end()) if spelled is None else (spelled, 0)
    return text


def _called(text: str, function: re.Match[str]) -> str | None:
    """Return a text with a function's body at each of its calls; None if it is more than called."""
    name, parameters, value, statement = function.groups()
    names, spelled, at = parameters.split(", "), [], 0
    for found in re.finditer(rf"(?<![.\w']){name}\b(?!')", text):
        if text[found.end()] != "(" or found.start() < at:  # handed on, or a call within a call
            return None
        given, end = arguments(text, found.end())
        body = _filled(statement or f"({value})", dict(zip(names, given, strict=False)))
        if body is None or len(names) != len(given):
            return None
        spelled += [text[at : found.start()], body]
        at = end
    return "".join([*spelled, text[at:]])


def _filled(body: str, given: dict[str, str]) -> str | None:
    """Return a body with what is given for its parameters; None if one would not be carried out just once."""
    if not any(given):
        return body
    meant = re.compile(rf"(?<![.\w'])({'|'.join(given)})(?![\w']|\s*=[^=])")
    spelled = {name: text if _SIMPLE.fullmatch(text) else f"({text})" for name, text in given.items()}
    counts = Counter(meant.findall(body))
    if any(spelled[name] != text and counts[name] != 1 for name, text in given.items()):
        return None
    return meant.sub(lambda found: spelled[found[1]], body)


def arguments(text: str, at: int) -> tuple[list[str], int]:
    """Return the arguments of a call whose bracket opens at `at`, and where it ends."""
    found, depth, start = [], 0, at + 1
    for met in re.compile(r"'[^'\n]*'|[(){},]").finditer(text, at):
        end = met.start()
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(met[0], 0)
        if depth == 0 or (depth == 1 and met[0] == ","):
            found.append(text[start:end].strip())
            start = end + 1
        if depth == 0:
            break
    return found, start
