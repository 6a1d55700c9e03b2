"""Has a reader missed events? A pure decision over what Redis says of the stream of events.

Redis notes no id of what trimming removed (`max-deleted-entry-id` is of XDEL alone, measured on Valkey 9): there is
the first entry that is held, and, from Redis 7 on, how many were ever added.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bankimport.stream.position import START, Position


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is held of the stream of events. `added` is unknown (None) before Redis 7."""

    first: Position | None = None
    last_given: Position = START
    length: int = 0
    added: int | None = None

    @classmethod
    def of(cls, info: Mapping[str, Any] | None) -> "Bounds":
        """Return the bounds of an answer of XINFO STREAM; None stands for a stream that is not there."""
        if info is None:
            return cls()
        first = info.get("first-entry")
        return cls(
            first=Position.of(first[0]) if first else None,
            last_given=Position.of(info["last-generated-id"]),
            length=int(info["length"]),
            added=int(info["entries-added"]) if "entries-added" in info else None,
        )

    @property
    def whole(self) -> bool:
        """Whether nothing was ever trimmed, as far as is known."""
        return self.added is not None and self.added == self.length


def resume_after_gap(after: Position, bounds: Bounds, end: Position) -> Position | None:
    """Return where to go on if events after `after` may no longer be held; None if none is missing.

    `end` is the greatest id ever given in either stream: who has seen more has seen what Redis has lost since. Who is
    behind the first event that is held may in truth have missed none, where only older ones were trimmed; better told
    once too often than once too little.
    """
    if after > end:
        return end
    if bounds.first is None:
        return bounds.last_given if after < bounds.last_given else None
    if bounds.whole or after >= bounds.first.before() or (bounds.added is None and after == START):
        return None
    return bounds.first.before()


def group_has_gap(given: Position, read: int | None, bounds: Bounds, *, end_seen: Position = START) -> bool:
    """Whether a consumer group, given all up to `given` (`read` entries), has lost some since.

    Redis 6 doesn't count: there the ids must do. A group that begins with all that is held (0) has lost none, nor has
    one that had been given all there was (`end_seen`) a moment ago, whatever is trimmed.
    """
    if bounds.whole or given >= (bounds.first or bounds.last_given):
        return False
    if bounds.added is None:
        return given not in (START, end_seen)
    if read is None:
        return given != end_seen or end_seen == START
    return bounds.added - read > bounds.length
