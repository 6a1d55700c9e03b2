"""Our worker as a host has it, with a bank and a store that do nothing: `arq benchmarks.our_worker.WorkerSettings`.

What a job does is in its connection's id: `mark-…` tells when its first line ran (a job's first line asks the store
for the connection), `sleep-…` waits for 50 ms as for a bank, `three-…` has three accounts without transactions, any
other has no account. Everything between arq and these two ports is the real thing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from datetime import date, datetime

from redis.asyncio import Redis

from bankimport import BankImport, Settings
from bankimport.logs import configure
from bankimport.models import (
    AccountState,
    Balance,
    BankAccount,
    BankConnection,
    BankId,
    Capabilities,
    Consent,
    ConsentStatus,
    Memory,
    Page,
    PsuContext,
    StoredTransaction,
    Window,
)
from bankimport.ports import ChangeSet
from bankimport.status import ConnectionStatus
from bankimport.worker.settings_class import WorkerSettingsBase

SLEEP = 0.05
MARKS = "bench:marks"


class IdleBank:
    """A bank that has nothing."""

    name = "idle"

    async def capabilities(self, connection: BankConnection) -> Capabilities:
        """See `BankProvider`."""
        return Capabilities()

    async def consent(self, connection: BankConnection, psu: PsuContext | None) -> Consent:
        """See `BankProvider`."""
        return Consent(ConsentStatus.VALID)

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        """See `BankProvider`."""
        number = 3 if connection.id.startswith("three-") else 0
        return [BankAccount(f"{connection.id}-{n}", f"{connection.id}-{n}", "EUR") for n in range(number)]

    async def balances(
        self, connection: BankConnection, account: BankAccount, psu: PsuContext | None
    ) -> Sequence[Balance]:
        """See `BankProvider`."""
        return []

    async def transactions(
        self,
        connection: BankConnection,
        account: BankAccount,
        window: Window,
        *,
        cursor: str | None,
        psu: PsuContext | None,
    ) -> AsyncIterator[Page]:
        """See `BankProvider`."""
        yield Page(())

    async def aclose(self) -> None:
        """See `BankProvider`."""


class IdleStore:
    """A store that keeps nothing."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def connection(self, connection_id: str) -> BankConnection | None:
        """See `BankStore`; what a job does is done here."""
        at = time.monotonic_ns()
        if connection_id.startswith("mark-"):
            await self._redis.rpush(MARKS, at)
        elif connection_id.startswith("sleep-"):
            await asyncio.sleep(SLEEP)
        return BankConnection(connection_id, "org", "idle")

    async def syncable_organisations(self, now: datetime) -> AsyncIterator[str]:
        """See `BankStore`."""
        for org_id in ():
            yield org_id

    async def connections(self, org_id: str) -> Sequence[BankConnection]:
        """See `BankStore`."""
        return ()

    async def consents_ending(self, before: date) -> AsyncIterator[BankConnection]:
        """See `BankStore`."""
        for connection in ():
            yield connection

    async def set_connection_status(
        self, connection_id: str, from_: Iterable[ConnectionStatus], to: ConnectionStatus, reason: str | None = None
    ) -> bool:
        """See `BankStore`."""
        return False

    async def set_consent(self, connection_id: str, consent: Consent) -> None:
        """See `BankStore`."""

    async def note_sync(self, connection_id: str, at: datetime | None, next_at: datetime | None = None) -> None:
        """See `BankStore`."""

    async def note_asked(self, connection_id: str, at: datetime) -> None:
        """See `BankStore`."""

    async def upsert_accounts(
        self, connection: BankConnection, accounts: Sequence[BankAccount], *, fence: int
    ) -> Sequence[BankAccount]:
        """See `BankStore`; ids are as long as the SQL store's."""
        return [
            BankAccount(account.provider_id, account.stable_key, account.currency, id=f"acc_{fence % 10**11:011}{n}")
            for n, account in enumerate(accounts)
        ]

    async def accounts(self, connection_id: str) -> Sequence[BankAccount]:
        """See `BankStore`."""
        return []

    async def account_state(self, account: BankAccount) -> AccountState:
        """See `BankStore`."""
        return AccountState()

    async def set_attended_only(self, account: BankAccount, *, only: bool = True) -> bool:
        """See `BankStore`."""
        return False

    async def load_rows(
        self, account: BankAccount, window: Window, ids: Collection[BankId]
    ) -> tuple[Sequence[StoredTransaction], int]:
        """See `BankStore`."""
        return (), 0

    async def apply(
        self,
        account: BankAccount,
        version: int,
        change_set: ChangeSet,
        memory: Memory | None,
        cursor: str | None,
        fence: int,
    ) -> bool:
        """See `BankStore`."""
        return True

    async def put_balances(self, account: BankAccount, balances: Sequence[Balance]) -> None:
        """See `BankStore`."""

    async def aclose(self) -> None:
        """See `BankStore`."""
        await self._redis.aclose()


def __getattr__(name: str) -> type[WorkerSettingsBase]:
    if name != "WorkerSettings":
        raise AttributeError(name)
    settings = Settings.load()
    configure(settings)
    redis = Redis(host=settings.redis_host, port=settings.redis_port, db=settings.redis_db)
    return BankImport(settings, banks={"idle": IdleBank()}, store=IdleStore(redis)).worker_settings()
