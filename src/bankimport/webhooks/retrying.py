"""What becomes of a message after an attempt: a pure decision."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bankimport.models.webhooks import AttemptEnded, DeliveryState, DisabledBy

#: Standard Webhooks' schedule: at once, then after these; about three days in all.
WAITS: Final = (
    *(timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30)),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
#: A `Retry-After` is followed so far.
LONGEST: Final = WAITS[-1]
#: An endpoint that has taken nothing for so long is told nothing more until somebody enables it.
DEAD_AFTER: Final = timedelta(days=3)
_GONE: Final = 410
_ASKS_TO_WAIT: Final = (429, 503)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: a status, or else what went wrong."""

    status: int | None
    error: str | None = None
    retry_after: timedelta | None = None


def after(
    answer: Answer, *, attempts: int, failing_since: datetime | None, now: datetime, scale: float, jitter: float
) -> AttemptEnded:
    """Return what becomes of a message of which this was attempt number `attempts`.

    Args:
        answer: what the endpoint said.
        attempts: this one included.
        failing_since: since when the endpoint has taken nothing.
        now: the present instant.
        scale: of all waits, for tests.
        jitter: from 0 to 1; up to a tenth of a wait is added.
    """
    status = answer.status
    if status is not None and 200 <= status < 300:
        return AttemptEnded(DeliveryState.DELIVERED, status, None)
    error = answer.error or ("redirected" if status is not None and 300 <= status < 400 else "refused")
    if status == _GONE:
        return AttemptEnded(DeliveryState.WAITING, status, error, timedelta(0), DisabledBy.GONE)
    if attempts <= len(WAITS):
        wait = WAITS[attempts - 1] * (1 + jitter / 10) * scale
        if answer.retry_after is not None and status in _ASKS_TO_WAIT:
            wait = max(wait, min(answer.retry_after, LONGEST))
        return AttemptEnded(DeliveryState.WAITING, status, error, wait)
    if failing_since is not None and now - failing_since >= DEAD_AFTER * scale:
        return AttemptEnded(DeliveryState.WAITING, status, error, timedelta(0), DisabledBy.DEAD)
    return AttemptEnded(DeliveryState.FAILED, status, error)
