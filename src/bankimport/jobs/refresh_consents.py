"""The `refresh-consents` job: re-read the consents that end soon, mark their connections, tell their organisations.

Each threshold (the warning of 7 days, then 3 and 1) of each consent is told once: the connection's reason remembers
the last one told. The event goes out before the connections are marked, so a crash between the two repeats an event
rather than losing it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date, timedelta
from typing import Final

from bankimport.access.consents import EXPIRED, REVOKED, Standing, standing, was_refused
from bankimport.commands import RefreshConsents
from bankimport.errors import JobError, ReauthRequired, Retryable, RunInterrupted
from bankimport.events import ConnectionRevoked, ConsentsExpiring, ReauthRequiredEvent
from bankimport.jobs.access import Access, Deferred
from bankimport.jobs.refusals import is_renewed
from bankimport.jobs.results import ConsentsResult
from bankimport.models import BankConnection, Capabilities, Consent, ConsentStatus, Stage
from bankimport.ports import AccessLedger, Asks, BankProvider, Banks, BankStore, Clock
from bankimport.progress import JobRun
from bankimport.status import ConnectionStatus

#: An ended consent is asked about so long; after that, only an attended sync or the host can tell of a renewal.
_ASK_AFTER_END = timedelta(days=14)
#: So many consents are asked about at once, each so long; a bank that doesn't answer so often in a row isn't asked any
#: more in this run. Else one slow bank would use up the time of the job, and nobody after it would ever be told.
AT_ONCE: Final = 20
PATIENCE: Final = timedelta(seconds=10)
SILENT: Final = 3
_LIVING = (ConnectionStatus.ACTIVE, ConnectionStatus.ERROR, ConnectionStatus.REQUIRES_REAUTH)


#: stops the jobs of a connection
Stop = Callable[[BankConnection], Awaitable[None]]


async def _stop_nothing(connection: BankConnection) -> None:
    """There is no queue here."""


async def refresh_consents(
    command: RefreshConsents,
    run: JobRun,
    *,
    banks: Banks,
    store: BankStore,
    ledger: AccessLedger,
    clock: Clock,
    warning: timedelta,
    stop: Stop = _stop_nothing,
) -> ConsentsResult:
    """Look at every consent whose last day is at most `warning` away, however many they are, as a stream. `stop` is
    awaited with each connection that the bank calls revoked.

    A bank that can't be asked now is no reason to keep quiet: what the store knows then decides. An error that nobody
    has classified is raised when all have been looked at and told, so that it is logged and retried.
    """
    await run.advance(Stage.STARTING, "Looking for consents that end soon", 0)
    today = clock().date()
    refresh = _Refresh(run, banks, store, ledger, clock, today, warning, stop)
    part: list[BankConnection] = []
    async for connection in _ending(store, today, warning):
        part.append(connection)
        if len(part) == AT_ONCE:
            await refresh.look_at(part)
            part = []
    await refresh.look_at(part)
    await refresh.tell()
    if refresh.unexpected is not None:
        raise refresh.unexpected
    result = ConsentsResult(**refresh.counts)
    await run.advance(Stage.COMPLETED, f"{result.checked} consents looked at", 100)
    return result


async def _ending(store: BankStore, today: date, warning: timedelta) -> AsyncIterator[BankConnection]:
    async for connection in store.consents_ending(today + warning + timedelta(days=1)):
        last_day = connection.consent_valid_until
        if last_day is not None and last_day + _ASK_AFTER_END >= today:
            yield connection


class _Refresh:
    """One pass over the consents; it remembers one organisation at a time."""

    def __init__(
        self,
        run: JobRun,
        banks: Banks,
        store: BankStore,
        ledger: AccessLedger,
        clock: Clock,
        today: date,
        warning: timedelta,
        stop: Stop,
    ) -> None:
        self._run, self._banks, self._store, self._ledger = run, banks, store, ledger
        self._clock, self._today, self._warning, self._stop = clock, today, warning, stop
        self._org_id = ""
        self._to_tell: list[tuple[BankConnection, Standing]] = []
        self._silent: Counter[str] = Counter()
        self.unexpected: Exception | None = None
        self.counts = dict.fromkeys(ConsentsResult.model_fields, 0)

    async def look_at(self, connections: Sequence[BankConnection]) -> None:
        """Re-read some consents at once, and act on one after the other."""
        consents = await asyncio.gather(*(self._ask(connection) for connection in connections))
        for connection, consent in zip(connections, consents, strict=True):
            await self._act(connection, consent)

    async def _act(self, connection: BankConnection, consent: Consent | None) -> None:
        """Act on one consent, None if the bank didn't tell; the organisation before is told first."""
        if connection.org_id != self._org_id:
            await self.tell()
            self._org_id = connection.org_id
        self.counts["checked"] += 1
        await self._run.advance(Stage.SYNCING_ACCOUNTS, f"{self.counts['checked']} consents looked at", 10)
        if await is_renewed(connection, self._store):
            return
        if consent is None:
            if was_refused(connection):
                return  # by the bank itself, and it has not taken that back
            consent = Consent(ConsentStatus.VALID, connection.consent_valid_until)
        if consent.valid_until != connection.consent_valid_until and consent.status is ConsentStatus.VALID:
            self._run.ensure_owned()
            await self._store.set_consent(connection.id, consent)
        new = standing(connection, consent, today=self._today, warning=self._warning)
        if new.tell:
            self.counts["ending"] += 1
            self._to_tell.append((connection, new))
        elif (new.status, new.reason) != (connection.status, connection.status_reason):
            await self._mark(connection, new)

    async def _ask(self, connection: BankConnection) -> Consent | None:
        """Return the consent as the bank tells it; None where the bank can't be asked."""
        provider = self._banks.get(connection.bank)
        if provider is None or self._silent[connection.bank] >= SILENT:
            return None
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                capabilities = await provider.capabilities(connection)
                consent = await self._access(provider, connection, capabilities).consent()
            self._silent[connection.bank] = 0
            return consent
        except RunInterrupted:
            raise
        except Deferred:
            return None
        except ReauthRequired as error:
            if error.suspicious:
                self.counts["unreadable"] += 1
                return None
            return Consent(ConsentStatus.REVOKED if error.reason == REVOKED else ConsentStatus.EXPIRED)
        except Exception as error:  # one bank's trouble keeps nobody else from being told
            if isinstance(error, Retryable | TimeoutError):
                self._silent[connection.bank] += 1
            elif not isinstance(error, JobError):
                self.unexpected = error
            self.counts["unreadable"] += 1
            return None

    def _access(self, provider: BankProvider, connection: BankConnection, capabilities: Capabilities) -> Access:
        return Access(
            provider=provider,
            connection=connection,
            capabilities=capabilities,
            ledger=self._ledger,
            psu=None,
            asks=Asks.PLANNED,
            job_id=self._run.job_id,
            clock=self._clock,
            note_asked=self._store.note_asked,
        )

    async def _mark(self, connection: BankConnection, new: Standing) -> None:
        self._run.ensure_owned()
        if new.reason in (EXPIRED, REVOKED):
            self.counts["ended"] += 1
            event = ReauthRequiredEvent(connection_id=connection.id, reason=new.reason, timestamp=self._clock())
            await self._run.emit(event, org_id=connection.org_id)
            if new.reason == REVOKED:
                revoked = ConnectionRevoked(connection_id=connection.id, by="bank", timestamp=self._clock())
                await self._run.emit(revoked, org_id=connection.org_id)
        elif new.status is ConnectionStatus.ACTIVE:
            self.counts["renewed"] += 1
        await self._store.set_connection_status(connection.id, _LIVING, new.status, new.reason)
        if new.reason == REVOKED:
            await self._stop(connection)

    async def tell(self) -> None:
        """Tell the organisation of its consents that have come under a threshold, in one event, and mark them."""
        if not self._to_tell:
            return
        self._run.ensure_owned()
        ids = tuple(connection.id for connection, _ in self._to_tell)
        event = ConsentsExpiring(count=len(ids), connections=ids, timestamp=self._clock())
        await self._run.emit(event, org_id=self._org_id)
        for connection, new in self._to_tell:
            await self._mark(connection, new)
        self.counts["organisations_told"] += 1
        self._to_tell.clear()
