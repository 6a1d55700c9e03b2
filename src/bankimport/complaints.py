"""What is wrong for long is said once a minute, in one line, and not once a try."""

import time
from typing import Any

import structlog

log = structlog.get_logger("bankimport")

_EVERY = 60.0


class Complaints:
    """Warnings, each at most once a minute by its name and reason."""

    def __init__(self, every: float = _EVERY) -> None:
        self._every = every
        self._said: dict[tuple[str, str], float] = {}

    def warn(self, event: str, reason: str, **fields: Any) -> None:
        """Log a warning unless the same was said within the minute."""
        now = time.monotonic()
        self._said = {said: at for said, at in self._said.items() if now - at < self._every}
        if (event, reason) not in self._said:
            self._said[event, reason] = now
            log.warning(event, reason=reason, **fields)
