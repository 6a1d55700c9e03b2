"""What people did: one entry an action, never changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from bankimport.models.model import Model


class AuditEntry(Model):
    """Who did what, when, on what, and why. Entries are in the order of their ids."""

    id: str
    at: datetime
    #: the host's own id of the person or service; None where the host doesn't tell
    who: str | None = None
    #: by which way: `http`, `page`, `cli`, `python`
    via: str
    #: `queue.pause`, `jobs.retry`, `connection.revoke`, …: docs/reference/audit.md has them all
    action: str
    org_id: str | None = None
    #: on what: `job:<id>`, `connection:<id>`
    subject: str | None = None
    reason: str | None = None
    facts: Mapping[str, str | int | bool] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """What the entries that are meant have in common; None: any. `action` is a name or its beginning (`jobs`)."""

    org_id: str | None = None
    who: str | None = None
    action: str | None = None
    subject: str | None = None


class AuditPage(Model):
    """Entries, the newest first; `next_cursor` is for the next page."""

    entries: tuple[AuditEntry, ...]
    next_cursor: str | None = None
