"""What those need who connect banks: the providers that can, the store that remembers, bounds of time for both."""

import asyncio
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar
from urllib.parse import quote

import structlog

from bankimport.errors import (
    ConnectingFailed,
    InvalidRequest,
    InvalidSettings,
    JobError,
    NotOffered,
    Retryable,
    Transient,
    Unavailable,
)
from bankimport.models import BankAccount, BankConnection, Scope
from bankimport.ports import (
    AuthorisationStore,
    BankProvider,
    BankStore,
    Clock,
    ConnectionStore,
    ConsentFlow,
    OffersConsent,
)
from bankimport.return_paths import may_return_to
from bankimport.service.audit import Audit
from bankimport.service.bounds import Bounds
from bankimport.service.connection_jobs import ConnectionJobs
from bankimport.settings import Settings
from bankimport.status import ConnectionStatus

_log = structlog.get_logger(__name__)
T = TypeVar("T")

#: a person waits for it, and a browser gives up at some time
PATIENCE: Final = timedelta(seconds=25)


class Banking:
    """The parts, found or refused by name."""

    def __init__(
        self,
        store: BankStore,
        banks: Mapping[str, BankProvider],
        jobs: ConnectionJobs,
        settings: Settings,
        clock: Clock,
        bounds: Bounds,
        audit: Audit,
    ) -> None:
        self.store, self.jobs, self.clock, self.audit = store, jobs, clock, audit
        self._banks, self._settings, self._bounds = banks, settings, bounds

    async def within(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the store or the queue answers; see `Bounds`."""
        return await self._bounds.within(work)

    async def raw(self, work: Awaitable[T]) -> T:
        """Return what a bank answers in time.

        Raises:
            JobError: as the provider has it; `Transient` where it takes too long.
        """
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                return await work
        except TimeoutError:
            raise Transient("the bank did not answer in time", scope=Scope.CONSENT) from None

    async def asked(self, work: Awaitable[T]) -> T:
        """Return what a bank answers.

        Raises:
            Unavailable: it doesn't now.
            ConnectingFailed: it refuses, or can't be understood.
        """
        try:
            return await self.raw(work)
        except Retryable as error:
            raise Unavailable("the bank") from error
        except JobError as error:
            is_ours = error.code in ("credential-error", "bank-rejected", "unsupported")
            _log.error("authorisation.bank_refused", error_code=error.code, error=str(error))
            raise ConnectingFailed(is_ours=is_ours) from error

    def provider(self, bank: str) -> BankProvider:
        """Return a provider.

        Raises:
            InvalidRequest: there is none of that name.
        """
        found = self._banks.get(bank)
        if found is None:
            known = ", ".join(sorted(self._banks)) or "there is none"
            raise InvalidRequest("/bank", f"must be one of the banks: {known}")
        return found

    def flow(self, bank: str) -> ConsentFlow:
        """Return how a person connects a bank.

        Raises:
            NotOffered: the provider can't.
        """
        provider = self.provider(bank)
        if not isinstance(provider, OffersConsent):
            raise NotOffered(type(provider).__name__, "connect banks")
        return provider.consent_flow

    def authorisations(self) -> AuthorisationStore:
        """Return where authorisations are kept.

        Raises:
            NotOffered: the host's store can't.
        """
        if not isinstance(self.store, AuthorisationStore):
            raise NotOffered(type(self.store).__name__, "remember authorisations")
        return self.store

    def callback_url(self, bank: str, other: str | None) -> str:
        """Return where a bank sends people back to.

        Raises:
            InvalidSettings: nobody has said where our routes are.
        """
        base = other or self._settings.callback_url
        if base is None:
            raise InvalidSettings("BANK_SYNC_CALLBACK_URL: must be set before people can connect their banks")
        return f"{base}/{quote(bank, safe='')}"

    def check_return(self, target: str | None) -> None:
        """Refuse to send people anywhere but where the host has said.

        Raises:
            InvalidRequest: it isn't listed.
        """
        if target is not None and not may_return_to(target, self._settings.return_to):
            raise InvalidRequest("/returnTo", "is not listed in BANK_SYNC_RETURN_TO")

    async def living(self, org_id: str, bank: str, *, but: str) -> Sequence[BankConnection]:
        """Return the organisation's other connections to a bank that are read, or could be."""
        dead = (ConnectionStatus.DISCONNECTED, ConnectionStatus.PENDING)
        found = await self.within(self.store.connections(org_id))
        return [each for each in found if each.bank == bank and each.id != but and each.status not in dead]

    async def accounts(self, connection_id: str) -> Sequence[BankAccount]:
        """Return the stored accounts of a connection; none where the store doesn't tell."""
        if not isinstance(self.store, ConnectionStore):
            return ()
        return await self.within(self.store.accounts(connection_id))
