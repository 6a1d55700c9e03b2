"""Who acts just now, and why: said once at the edge (a request, a command), read where it is written down."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts: the host's own id of them (None where it isn't told), by which way they came, and why."""

    who: str | None = None
    via: str = "python"
    reason: str | None = None


_NOBODY: Final = Actor()
_acting: ContextVar[Actor] = ContextVar("bankimport_acting", default=_NOBODY)


def actor() -> Actor:
    """Return who acts."""
    return _acting.get()


@contextmanager
def acting_as(who: str | None, *, reason: str | None = None, via: str = "python") -> Iterator[None]:
    """Let what is done within be written to the audit log as this person's, for this reason.

    Args:
        who: your own id of the person or service.
        reason: why; operators and auditors read it.
        via: by which way: `http`, `page`, `cli`, `python`, or `worker` where nobody did it.
    """
    token = _acting.set(Actor(who, via, reason))
    try:
        yield
    finally:
        _acting.reset(token)


@contextmanager
def because(reason: str | None) -> Iterator[None]:
    """Let what is done within have this reason; who acts stays."""
    token = _acting.set(replace(_acting.get(), reason=reason))
    try:
        yield
    finally:
        _acting.reset(token)
