"""What every `AuditLog` must do. A store's test subclasses it and gives it a `store` fixture: an empty store."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bankimport.models import AuditEntry, AuditFilter

AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


def _entry(number: int, **said: Any) -> AuditEntry:
    fields = {"action": ("jobs.retry", "jobs.cancel", "queue.pause")[number % 3], "org_id": f"org-{number % 2}", **said}
    at = AT + timedelta(seconds=number)
    return AuditEntry(id=f"{number:04}", at=at, who=f"user-{number % 2}", via="page", facts={"jobs": number}, **fields)


class AuditContract:
    """The promises, one test each."""

    async def test_an_entry_is_kept_as_it_is(self, store: Any) -> None:
        """All of an entry comes back; the same once more is one, and changes nothing."""
        entry = _entry(1, subject="job:1", reason="<b>because</b> {0}")
        await store.add_audit_entry(entry)
        await store.add_audit_entry(entry.model_copy(update={"reason": "another"}))
        assert list(await store.audit_entries(AuditFilter(), before=None, limit=10)) == [entry]

    async def test_pages_are_newest_first(self, store: Any) -> None:
        """Page after page each entry comes once, the newest first."""
        entries = [_entry(number) for number in range(9)]
        for entry in entries:
            await store.add_audit_entry(entry)
        seen: list[AuditEntry] = []
        for size in (4, 4, 4):
            before = seen[-1].id if seen else None
            seen += await store.audit_entries(AuditFilter(), before=before, limit=size)
        assert seen == entries[::-1]

    @pytest.mark.parametrize(
        ("wanted", "numbers"),
        [
            (AuditFilter(org_id="org-1"), [5, 3, 1]),
            (AuditFilter(who="user-0"), [4, 2, 0]),
            (AuditFilter(action="jobs.cancel"), [4, 1]),
            (AuditFilter(action="jobs"), [4, 3, 1, 0]),
            (AuditFilter(action="job"), []),
            (AuditFilter(subject="job:none"), []),
        ],
    )
    async def test_some_are_meant(self, store: Any, wanted: AuditFilter, numbers: list[int]) -> None:
        """A filter finds those and no other; the beginning of an action's name means all of its kind."""
        for number in range(6):
            await store.add_audit_entry(_entry(number))
        found = await store.audit_entries(wanted, before=None, limit=10)
        assert [entry.facts["jobs"] for entry in found] == numbers
