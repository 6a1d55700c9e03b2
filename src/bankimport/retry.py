"""When a failed run is tried again: a pure decision.

"3 attempts with exponential backoff (5 s, 10 s, 20 s)" is read as three retries, one for each number
(docs/decisions/0001).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from bankimport.errors import Permanent, Retryable
from bankimport.models import JobType


def is_retryable(error: BaseException) -> bool:
    """Return whether trying again may help. What nobody classified may be a blip, so it is retried."""
    return not isinstance(error, Permanent)


def is_classified(error: BaseException) -> bool:
    """Return whether somebody decided what this error means; the others are logged with their trace."""
    return isinstance(error, Retryable | Permanent)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """One wait for each retry, in their order."""

    waits: tuple[timedelta, ...]

    def delay(self, error: BaseException, retries_done: int, *, jitter: float = 0.0) -> timedelta | None:
        """Return how long to wait before the next retry; None to give up.

        A `Retry-After` of the bank replaces a shorter wait. `jitter` is in [0, 1): up to a tenth is added, never
        subtracted.
        """
        if not is_retryable(error) or retries_done >= len(self.waits):
            return None
        wait = self.waits[retries_done]
        asked = error.retry_after if isinstance(error, Retryable) else None
        if asked is not None and asked > wait:
            wait = asked
        return wait * (1 + 0.1 * jitter)

    def scaled(self, factor: float) -> "RetryPolicy":
        """Return the same policy with every wait multiplied, for tests of whole processes."""
        return RetryPolicy(tuple(wait * factor for wait in self.waits))


def _seconds(values: Sequence[int]) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=value) for value in values)


POLICIES: Mapping[JobType, RetryPolicy] = MappingProxyType(
    {
        JobType.SYNC_CONNECTION: RetryPolicy(_seconds([5, 10, 20])),
        JobType.SYNC_ALL_ORG: RetryPolicy(_seconds([10, 20])),
        JobType.REFRESH_CONSENTS: RetryPolicy(_seconds([60, 60])),
        JobType.CLEANUP: RetryPolicy(_seconds([60, 60])),
        JobType.PLAN_SYNCS: RetryPolicy(_seconds([10, 20])),
    }
)
