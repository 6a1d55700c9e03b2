"""The authorisations of `MemoryStore`: the contract of `AuthorisationStore`, and nothing of a database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bankimport.models import Authorisation, AuthorisationOutcome, AuthorisationStep, BankConnection, Granted
from bankimport.status import ConnectionStatus

_OVER = AuthorisationStep.ENDED


class MemoryAuthorisations:
    """A part of the store in memory."""

    _connections: dict[str, BankConnection]
    _authorisations: dict[str, Authorisation]

    async def add_authorisation(self, authorisation: Authorisation) -> None:
        """See `AuthorisationStore`."""
        self._sweep(authorisation.org_id, authorisation.created_at - timedelta(days=1))
        for known in list(self._authorisations.values()):
            if known.connection_id == authorisation.connection_id and known.step is not _OVER:
                self._end(known, AuthorisationOutcome.CANCELLED, "superseded", None)
        self._authorisations[authorisation.id] = authorisation
        if not authorisation.is_renewal:
            self._connections[authorisation.connection_id] = BankConnection(
                authorisation.connection_id,
                authorisation.org_id,
                authorisation.bank,
                ConnectionStatus.PENDING,
                created_at=authorisation.created_at,
                institution=authorisation.institution,
            )

    async def authorisation_of(self, state_hash: str) -> Authorisation | None:
        """See `AuthorisationStore`."""
        return next((each for each in self._authorisations.values() if each.state_hash == state_hash), None)

    async def latest_authorisation(self, connection_id: str) -> Authorisation | None:
        """See `AuthorisationStore`."""
        found = [each for each in self._authorisations.values() if each.connection_id == connection_id]
        return max(found, key=lambda each: (each.created_at, each.id), default=None)

    async def waiting_authorisations(self, user: str, bank: str, now: datetime) -> Sequence[Authorisation]:
        """See `AuthorisationStore`."""
        return [
            each
            for each in self._authorisations.values()
            if (each.user, each.bank, each.step) == (user, bank, AuthorisationStep.WAITING) and each.expires_at > now
        ]

    async def claim_authorisation(self, authorisation_id: str, now: datetime, stale: datetime) -> bool:
        """See `AuthorisationStore`."""
        known = self._authorisations.get(authorisation_id)
        if known is None or known.step is _OVER or (known.claimed_at is not None and known.claimed_at > stale):
            return False
        self._authorisations[known.id] = replace(known, step=AuthorisationStep.FINISHING, claimed_at=now)
        return True

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
        known = self._authorisations.get(authorisation_id)
        if known is None or known.step is _OVER:
            return False
        self._end(known, outcome, reason, same_login)
        connection = self._connections.get(known.connection_id)
        if connection is None:
            return True
        if granted is not None:
            self._connections[connection.id] = replace(
                connection,
                consent_id=granted.consent_id,
                consent_valid_until=granted.valid_until,
                status=ConnectionStatus.ACTIVE,
                status_reason=None,
                next_sync_at=None,
                credentials=connection.credentials if granted.credentials is None else granted.credentials,
                institution=known.institution or connection.institution,
            )
        elif not known.is_renewal and connection.status is ConnectionStatus.PENDING:
            del self._connections[connection.id]
        return True

    def _end(
        self, known: Authorisation, outcome: AuthorisationOutcome, reason: str | None, same_login: str | None
    ) -> None:
        begun = replace(known.begun, secrets=None)
        self._authorisations[known.id] = replace(
            known, step=_OVER, outcome=outcome, reason=reason, same_login=same_login, begun=begun
        )

    def _sweep(self, org_id: str, before: datetime) -> None:
        for known in [e for e in self._authorisations.values() if e.org_id == org_id and e.expires_at < before]:
            del self._authorisations[known.id]
            connection = self._connections.get(known.connection_id)
            if connection is not None and connection.status is ConnectionStatus.PENDING and not known.is_renewal:
                del self._connections[connection.id]
