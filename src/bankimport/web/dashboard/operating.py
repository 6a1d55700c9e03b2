"""What is done from the pages is told in the log: what, to how many, and why."""

from typing import Any

import structlog

from bankimport.redaction import redact_text

_log = structlog.get_logger(__name__)


def note(action: str, *, reason: str | None = None, **facts: Any) -> None:
    """Say in the log what was done; the host's own log of requests says by whom (`request_id`)."""
    said = {"reason": redact_text(reason)} if reason else {}
    _log.info("web.operated", action=action, **{name: fact for name, fact in facts.items() if fact is not None}, **said)
