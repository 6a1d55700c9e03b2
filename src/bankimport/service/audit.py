"""`bank_import.audit`: what people did, written after it was done, and read."""

import asyncio
import secrets
from typing import Final

import structlog

from bankimport.acting import actor
from bankimport.errors import BankImportError, InvalidRequest, NotOffered
from bankimport.models import AuditEntry, AuditFilter, AuditPage
from bankimport.ports import AuditLog, BankStore, Clock
from bankimport.queue.filters import JobFilter
from bankimport.redaction import redact_text
from bankimport.service.bounds import Bounds

_log = structlog.get_logger(__name__)
#: The action is done: whoever did it doesn't wait longer for it to be written down.
_PATIENCE: Final = 0.8
_MOST: Final = 200


def facts_of(wanted: JobFilter) -> dict[str, str | None]:
    """Return a filter as an entry tells it."""
    subject = f"connection:{wanted.connection_id}" if wanted.connection_id else None
    narrow = {"state": wanted.state, "type": wanted.type, "error_code": wanted.error_code, "bank": wanted.bank}
    return {"org_id": wanted.org_id, "subject": subject, **narrow}


class Audit:
    """Remembers what people did, in a store that is an `AuditLog`; in the log alone with another."""

    def __init__(self, store: BankStore, clock: Clock, bounds: Bounds) -> None:
        self._store, self._clock, self._bounds = store, clock, bounds

    async def note(
        self,
        action: str,
        *,
        org_id: str | None = None,
        subject: str | None = None,
        who: str | None = None,
        **facts: str | int | bool | None,
    ) -> None:
        """Write down what was done, by whom and why as `acting_as` has said. A store that is away stops no operator:
        then the log says what isn't written."""
        by = actor()
        known = {name: fact for name, fact in facts.items() if fact is not None}
        at = self._clock()
        entry = AuditEntry(
            id=f"{int(at.timestamp() * 1000):014}-{secrets.token_hex(6)}",
            at=at,
            who=who or by.who,
            via=by.via,
            action=action,
            org_id=org_id,
            subject=subject,
            reason=by.reason,
            facts=known,
        )
        reason = redact_text(by.reason) if by.reason else None
        _log.info("audit.noted", entry=entry.id, action=action, via=by.via, subject=subject, reason=reason, **known)
        await self._write(entry)

    async def _write(self, entry: AuditEntry) -> None:
        if not isinstance(self._store, AuditLog):
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._store.add_audit_entry(entry)
        except (BankImportError, TimeoutError) as error:
            kind = getattr(error, "code", type(error).__name__)
            _log.error("audit.not_written", entry=entry.id, action=entry.action, error_code=kind)

    async def list(self, wanted: AuditFilter | None = None, *, cursor: str | None = None, limit: int = 50) -> AuditPage:
        """Return a page of what people did, the newest first; `limit` 1 to 200.

        Raises:
            InvalidRequest: the limit is wrong.
            NotOffered: the store doesn't remember it; `SqlStore` does.
            Unavailable: the store can't be reached.
        """
        if not 1 <= limit <= _MOST:
            raise InvalidRequest("/limit", f"must be 1 to {_MOST}")
        if not isinstance(self._store, AuditLog):
            raise NotOffered(type(self._store).__name__, "remember what people did")
        asked = self._store.audit_entries(wanted or AuditFilter(), before=cursor, limit=limit + 1)
        found = await self._bounds.within(asked)
        more = found[limit - 1].id if len(found) > limit else None
        return AuditPage(entries=tuple(found[:limit]), next_cursor=more)
