"""What people did, in memory: the contract of `AuditLog`, and nothing of a database."""

from collections.abc import Sequence

from bankimport.models import AuditEntry, AuditFilter


class MemoryAudit:
    """A part of `MemoryStore`."""

    _audit: dict[str, AuditEntry]

    async def add_audit_entry(self, entry: AuditEntry) -> None:
        """See `AuditLog`."""
        self._audit.setdefault(entry.id, entry)

    async def audit_entries(self, wanted: AuditFilter, *, before: str | None, limit: int) -> Sequence[AuditEntry]:
        """See `AuditLog`."""
        newest = sorted(self._audit.values(), key=lambda entry: entry.id, reverse=True)
        found = (entry for entry in newest if (before is None or entry.id < before) and _is_meant(entry, wanted))
        return [entry for entry, _ in zip(found, range(limit), strict=False)]


def is_about(entry: AuditEntry, org_id: str, connection_ids: Sequence[str]) -> bool:
    """Whether an entry goes with an organisation."""
    return entry.org_id == org_id or entry.subject in {f"connection:{each}" for each in connection_ids}


def _is_meant(entry: AuditEntry, wanted: AuditFilter) -> bool:
    exact = ((entry.org_id, wanted.org_id), (entry.who, wanted.who), (entry.subject, wanted.subject))
    action = wanted.action
    return all(value is None or value == said for said, value in exact) and (
        action is None or entry.action == action or entry.action.startswith(f"{action}.")
    )
