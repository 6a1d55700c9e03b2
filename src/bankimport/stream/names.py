"""Names of events and patterns of them."""

from collections.abc import Iterable
from fnmatch import fnmatchcase


def matches(pattern: str, name: str) -> bool:
    """Whether an event's name is the pattern's: `*` stands for anything, so `bank.sync.*` and `*` are patterns."""
    return fnmatchcase(name, pattern)


def matches_any(patterns: Iterable[str], name: str) -> bool:
    """Whether one of the patterns matches."""
    return any(matches(pattern, name) for pattern in patterns)
