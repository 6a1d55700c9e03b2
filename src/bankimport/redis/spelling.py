"""What a Lua text names for its readers, spelled out for Redis: to make a function costs half of what a short command
does, at each call, and so does a constant that a function reaches.

A constant is `local NAME = 1000`. A function is in one line, `local function name(a, b) return … end`, or
`local function name() set = … end`; what it is given is a name, a field, or meant once.
"""

import re

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
    spelled, at = [], 0
    for found in re.finditer(rf"(?<![.\w']){name}\b(?!')", text):
        if text[found.end()] != "(":
            return None
        given, end = arguments(text, found.end())
        body = _filled(statement or f"({value})", dict(zip(filter(None, parameters.split(", ")), given, strict=False)))
        if body is None:
            return None
        spelled += [text[at : found.start()], body]
        at = end
    return "".join([*spelled, text[at:]])


def _filled(body: str, given: dict[str, str]) -> str | None:
    """Return a body with what is given for its parameters; None if one would be carried out more than once."""
    for parameter, argument in given.items():
        meant = re.compile(rf"(?<![.\w']){parameter}(?![\w'])")
        simple = _SIMPLE.fullmatch(argument)
        if not simple and len(meant.findall(body)) != 1:
            return None
        body = meant.sub(argument if simple else f"({argument})", body)
    return body


def arguments(text: str, at: int) -> tuple[list[str], int]:
    """Return the arguments of a call whose bracket opens at `at`, and where it ends."""
    found, depth, start = [], 0, at + 1
    for end in range(at, len(text)):
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(text[end], 0)
        if depth == 0 or (depth == 1 and text[end] == ","):
            found.append(text[start:end].strip())
            start = end + 1
        if depth == 0:
            break
    return found, start
