"""One entry of a stream, and the event in it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog
from pydantic import ValidationError

from bankimport.events import Event, StreamGap, full_name
from bankimport.stream.position import Position

_log = structlog.get_logger(__name__)


class Entry(NamedTuple):
    """An entry as it stands in Redis: its data is looked at only by those who want it."""

    position: Position
    name: str
    org_id: str
    job_id: str
    data: bytes

    def event(self) -> Event | None:
        """Return the event; None, and a line in the log, if it can't be decoded. Unknown names are passed on."""
        try:
            return Event.told(str(self.position), self.name, self.org_id, self.job_id, self.data)
        except (TypeError, ValueError, OverflowError, RecursionError, ValidationError):
            _log.warning("stream.entry_skipped", entry=str(self.position), event_name=self.name)
            return None


def entry_of(entry_id: bytes | str, fields: Mapping[Any, Any]) -> Entry:
    """Return the entry of what Redis answered; a missing field is empty, and the event then can't be decoded."""
    values = {_text(name): value for name, value in fields.items()}
    data = values.get("data", b"")
    return Entry(
        Position.of(entry_id),
        full_name(_text(values.get("name", ""))),
        _text(values.get("orgId", "")),
        _text(values.get("jobId", "")),
        data.encode() if isinstance(data, str) else data,
    )


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")


def gap_event(after: Position, first: Position | None, resume: Position, *, org_id: str = "") -> Event:
    """Return the notice that events after `after` are no longer held. Its id resumes behind the gap, at `resume`."""
    now = datetime.now(UTC)
    gap = StreamGap(after=str(after), first_id=str(first) if first else None, timestamp=now)
    return Event(id=str(resume), name=StreamGap.name, org_id=org_id, timestamp=now, data=gap.model_dump(mode="json"))
