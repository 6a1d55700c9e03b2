"""The authorisations that go on, and how they ended: the `AuthorisationStore` of a SQL database."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bankimport.models import Authorisation, AuthorisationOutcome, AuthorisationStep, Begun, Granted, WebhookType
from bankimport.status import ConnectionStatus
from bankimport.stores.sql.credentials import Vault
from bankimport.stores.sql.schema import authorisations, connections
from bankimport.stores.sql.telling import tell
from bankimport.stores.sql.transacting import transact

_OVER: Final = AuthorisationStep.ENDED.value
#: so long after its time an authorisation is still known, for a callback that comes again
KEPT: Final = timedelta(days=1)


class Authorisations:
    """A part of the SQL store."""

    _engine: AsyncEngine
    _reader: AsyncEngine
    _vault: Vault
    _woken: Callable[[bool], None]

    async def add_authorisation(self, authorisation: Authorisation) -> None:
        """See `AuthorisationStore`."""
        row = _row_of(authorisation, self._vault)
        its = authorisations.c
        before = and_(its.connection_id == authorisation.connection_id, its.step != _OVER)
        superseded = {"step": _OVER, "outcome": AuthorisationOutcome.CANCELLED.value, "reason": "superseded"}

        async def work(db: AsyncConnection) -> None:
            if await db.scalar(select(its.id).where(its.id == authorisation.id)) is not None:
                return  # ours, from the first try, whose answer was lost
            await _sweep(db, authorisation.org_id, authorisation.created_at - KEPT)
            await db.execute(update(authorisations).where(before).values(superseded))
            await db.execute(insert(authorisations), row)
            if not authorisation.is_renewal:
                await db.execute(insert(connections), _new_connection(authorisation))

        await transact(self._engine, work)

    async def authorisation_of(self, state_hash: str) -> Authorisation | None:
        """See `AuthorisationStore`."""
        found = await self._authorisations(authorisations.c.state_hash == state_hash)
        return found[0] if found else None

    async def latest_authorisation(self, connection_id: str) -> Authorisation | None:
        """See `AuthorisationStore`."""
        found = await self._authorisations(authorisations.c.connection_id == connection_id)
        return found[-1] if found else None

    async def waiting_authorisations(self, user: str, bank: str, now: datetime) -> Sequence[Authorisation]:
        """See `AuthorisationStore`."""
        its = authorisations.c
        waiting = and_(its.step == AuthorisationStep.WAITING.value, its.expires_at > now)
        return await self._authorisations(and_(its.user_id == user, its.bank == bank, waiting))

    async def claim_authorisation(self, authorisation_id: str, now: datetime, stale: datetime) -> bool:
        """See `AuthorisationStore`."""
        its = authorisations.c
        free = or_(
            its.step == AuthorisationStep.WAITING.value,
            and_(its.step == AuthorisationStep.FINISHING.value, its.claimed_at <= stale),
        )
        values = {"step": AuthorisationStep.FINISHING.value, "claimed_at": now}
        query = update(authorisations).where(its.id == authorisation_id, free).values(values)

        async def work(db: AsyncConnection) -> bool:
            return (await db.execute(query)).rowcount == 1

        return await transact(self._engine, work)

    async def end_authorisation(
        self,
        authorisation_id: str,
        outcome: AuthorisationOutcome,
        reason: str | None = None,
        *,
        granted: Granted | None = None,
        same_login: str | None = None,
    ) -> bool:
        """See `AuthorisationStore`."""
        its = authorisations.c
        goes_on = and_(its.id == authorisation_id, its.step != _OVER)
        ended = {"step": _OVER, "outcome": outcome.value, "reason": reason, "same_login": same_login, "secrets": None}
        credentials = None if granted is None else self._vault.close(granted.credentials)

        async def work(db: AsyncConnection) -> tuple[bool, bool]:
            row = (await db.execute(select(authorisations).where(goes_on))).one_or_none()
            if row is None or (await db.execute(update(authorisations).where(goes_on).values(ended))).rowcount != 1:
                return False, False
            its_connection = connections.c.id == row.connection_id
            if granted is not None:
                await db.execute(update(connections).where(its_connection).values(_renewed(row, granted, credentials)))
                data = {"status": ConnectionStatus.ACTIVE.value, "reason": None}
                return True, await tell(db, row.connection_id, WebhookType.CONNECTION, data, datetime.now(UTC))
            if not row.is_renewal:
                pending = connections.c.status == ConnectionStatus.PENDING.value
                await db.execute(delete(connections).where(its_connection, pending))
            return True, False

        done, told = await transact(self._engine, work)
        self._woken(told)
        return done

    async def _authorisations(self, condition: Any) -> list[Authorisation]:
        query = select(authorisations).where(condition).order_by(authorisations.c.created_at, authorisations.c.id)

        async def work(db: AsyncConnection) -> list[Authorisation]:
            return [_authorisation_of(row, self._vault) for row in await db.execute(query)]

        return await transact(self._reader, work)


async def _sweep(db: AsyncConnection, org_id: str, before: datetime) -> None:
    """Remove what was over before then, and the connections that were never authorised."""
    its = authorisations.c
    old = and_(its.org_id == org_id, its.expires_at < before)
    never = select(its.connection_id).where(old, its.is_renewal.is_(False))
    pending = connections.c.status == ConnectionStatus.PENDING.value
    await db.execute(delete(connections).where(connections.c.id.in_(never), pending))
    await db.execute(delete(authorisations).where(old))


def _renewed(row: Row[Any], granted: Granted, credentials: str | None) -> dict[str, Any]:
    return {
        "consent_id": granted.consent_id,
        "consent_valid_until": granted.valid_until,
        "status": ConnectionStatus.ACTIVE.value,
        "status_reason": None,
        "next_sync_at": None,
        **({} if row.institution is None else {"institution": row.institution}),
        **({} if credentials is None else {"credentials": credentials}),
    }


def _new_connection(authorisation: Authorisation) -> dict[str, Any]:
    return {
        "id": authorisation.connection_id,
        "org_id": authorisation.org_id,
        "bank": authorisation.bank,
        "status": ConnectionStatus.PENDING.value,
        "created_at": authorisation.created_at,
        "institution": authorisation.institution,
    }


def _row_of(authorisation: Authorisation, vault: Vault) -> dict[str, Any]:
    begun = authorisation.begun
    return {
        "id": authorisation.id,
        "state_hash": authorisation.state_hash,
        "org_id": authorisation.org_id,
        "connection_id": authorisation.connection_id,
        "bank": authorisation.bank,
        "user_id": authorisation.user,
        "is_renewal": authorisation.is_renewal,
        "return_to": authorisation.return_to,
        "consent_id": begun.consent_id,
        "details": dict(begun.details),
        "secrets": vault.close(begun.secrets),
        "created_at": authorisation.created_at,
        "expires_at": authorisation.expires_at,
        "step": authorisation.step.value,
        "institution": authorisation.institution,
    }


def _authorisation_of(row: Row[Any], vault: Vault) -> Authorisation:
    return Authorisation(
        id=row.id,
        state_hash=row.state_hash,
        org_id=row.org_id,
        connection_id=row.connection_id,
        bank=row.bank,
        user=row.user_id,
        is_renewal=row.is_renewal,
        return_to=row.return_to,
        begun=Begun("", row.consent_id, row.details, vault.open(row.secrets)),
        created_at=row.created_at,
        expires_at=row.expires_at,
        step=AuthorisationStep(row.step),
        claimed_at=row.claimed_at,
        outcome=None if row.outcome is None else AuthorisationOutcome(row.outcome),
        reason=row.reason,
        same_login=row.same_login,
        institution=row.institution,
    )
