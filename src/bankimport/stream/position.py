"""Where a reader is. One counter numbers both streams, so one position resumes a reader of both."""

import re
from typing import NamedTuple

from bankimport.errors import InvalidRequest

_ID = re.compile(r"(\d{1,15})(?:-(\d{1,18}))?", re.ASCII)


class Position(NamedTuple):
    """The id of an entry: the ms since 1970 at which it was written, and a number. Tuples compare as ids do."""

    ms: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Return the position of an untrusted id, `<ms>-<seq>` or `<ms>`.

        Raises:
            InvalidRequest: it is none.
        """
        found = _ID.fullmatch(text)
        if found is None:
            raise InvalidRequest("/after", "must be the id of an event: <milliseconds>-<number>")
        return cls(int(found[1]), int(found[2] or 0))

    @classmethod
    def of(cls, entry_id: bytes | str) -> "Position":
        """Return the position of an id that Redis gave."""
        text = entry_id if isinstance(entry_id, str) else entry_id.decode()
        ms, _, seq = text.partition("-")
        return cls(int(ms), int(seq or 0))

    def before(self) -> "Position":
        """Return the greatest position that is smaller."""
        return Position(self.ms, self.seq - 1) if self.seq else Position(max(0, self.ms - 1), 10**18 - 1)

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"


START = Position(0, 0)
