"""A few events that many followers share: whatever they are encoded to is made once for all of them."""

from collections.abc import Callable, Sequence

from bankimport.events import Event, StreamGap
from bankimport.stream.position import Position

#: Makes bytes of events, a function of the module level (it is the key under which its bytes are kept).
Encode = Callable[[Sequence[Event]], bytes]


class Chunk:
    """Events in the order of their ids, never changed once made."""

    __slots__ = ("_encoded", "events", "first", "last")

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = tuple(events)
        self.first = Position.of(self.events[0].id)
        self.last = Position.of(self.events[-1].id)
        self._encoded: dict[Encode, bytes] = {}

    def encoded(self, encode: Encode) -> bytes:
        """Return the events' bytes."""
        known = self._encoded.get(encode)
        if known is None:
            known = self._encoded[encode] = encode(self.events)
        return known

    def after(self, position: Position) -> "Chunk | None":
        """Return what is behind a position: the chunk itself, a part of it, or None. A gap is told in any case: where
        Redis has lost everything, its id is before all that anybody has seen."""
        if position < self.first:
            return self
        rest = [event for event in self.events if event.name == StreamGap.name or Position.of(event.id) > position]
        return Chunk(rest) if rest else None
