"""An instant as it stands in Redis: whole milliseconds since 1970, none is empty or 0; and a duration."""

from datetime import UTC, datetime, timedelta


def milliseconds(at: datetime) -> int:
    """Return an instant as it is written."""
    return int(at.timestamp() * 1000)


def duration_ms(duration: timedelta) -> int:
    """Return a duration as it is written."""
    return int(duration / timedelta(milliseconds=1))


def instant(written: bytes | str | float) -> datetime:
    """Return the aware instant that is written."""
    return datetime.fromtimestamp(int(written) / 1000, UTC)


def maybe_instant(written: bytes | float | None) -> datetime | None:
    """Return the aware instant that is written, or None."""
    return instant(written) if written and int(written) else None
