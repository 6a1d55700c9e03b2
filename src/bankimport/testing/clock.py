"""A present instant that stands still until it is moved."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    """A `Clock` for tests: `BankImport(..., clock=ManualClock())`. It moves the import's days and the access budget;
    the queue's own waits follow the server's clock."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> datetime:
        """Move on, and return the new instant.

        Raises:
            ValueError: backwards.
        """
        if by < timedelta(0):
            raise ValueError("a clock doesn't go back")
        self.now += by
        return self.now
