"""Where a person may be sent back to: only what the host has listed, so that nobody's address is reached through us."""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

#: schemes in which an address is a program or a file
_PROGRAMS: Final = frozenset({"javascript", "data", "vbscript", "blob", "about", "file", "filesystem", "view-source"})
_PLAIN: Final = re.compile(r"[\x21-\x7e]{1,2000}")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*")


def is_listable(entry: str) -> bool:
    """Return whether a host may list this: a path (`/banks`), an address or a deep link (`myapp://banks`)."""
    if not _is_plain(entry):
        return False
    parts = urlsplit(entry)
    if parts.query or parts.fragment:
        return False
    return entry.startswith("/") if not parts.scheme else _is_fit(parts.scheme) and bool(parts.netloc)


def may_return_to(target: str, listed: Iterable[str]) -> bool:
    """Return whether the target is one of those listed, or below one. Scheme, host and port must be the same."""
    if not _is_plain(target):
        return False
    parts = urlsplit(target)
    if parts.scheme and not _is_fit(parts.scheme):
        return False
    if parts.fragment or "@" in parts.netloc or (not parts.scheme and not target.startswith("/")):
        return False
    return any(_is_below(target, entry) for entry in listed)


def with_answer(target: str, answer: Mapping[str, str]) -> str:
    """Return the target with more in its query; what stands there already stays."""
    parts = urlsplit(target)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in answer]
    return urlunsplit(parts._replace(query=urlencode([*query, *answer.items()])))


def _is_below(target: str, entry: str) -> bool:
    wanted, listed = urlsplit(target), urlsplit(entry)
    if (wanted.scheme.lower(), wanted.netloc.lower()) != (listed.scheme.lower(), listed.netloc.lower()):
        return False
    above = listed.path.rstrip("/")
    return wanted.path.rstrip("/") == above or wanted.path.startswith(f"{above}/")


def _is_plain(text: str) -> bool:
    """Return whether all programs read the text alike: no blanks, no backslash, no `..`, written out or not."""
    if not _PLAIN.fullmatch(text) or "\\" in text or text.startswith("//"):
        return False
    try:
        path = urlsplit(text).path
    except ValueError:
        return False
    return re.search(r"(^|/)(\.|%2e){1,2}(/|$)|%2f|%5c|%00|//", path, re.IGNORECASE) is None


def _is_fit(scheme: str) -> bool:
    return _SCHEME.fullmatch(scheme) is not None and scheme not in _PROGRAMS
