"""Which accounts a connection has: as the bank listed them within a day, or read anew where that is due."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bankimport.access import budget
from bankimport.errors import MalformedData, Retryable, Transient
from bankimport.jobs.access import Deferred
from bankimport.jobs.sync_account import Ground
from bankimport.models import BankAccount, Scope

#: A bank that lists more for one connection is not believed: each is an outcome in the job's record.
MAX_ACCOUNTS: Final = 1000


class Listing:
    """The accounts of one connection in one run."""

    def __init__(self, ground: Ground, stored: Sequence[BankAccount], listed_at: datetime | None) -> None:
        self._ground = ground
        #: the accounts that the bank listed last, as far as anybody knows
        self.accounts: Sequence[BankAccount] = [account for account in stored if account.is_listed]
        #: a resource id lives no longer than its consent
        self._is_known = all(account.consent_id == ground.connection.consent_id for account in self.accounts)
        self._is_read = False
        fresh = listed_at is not None and listed_at > ground.clock() - budget.CIRCUIT_GAP
        self._is_due = not (fresh and self._is_known and self.accounts) or ground.access.psu is not None

    @classmethod
    async def of(cls, ground: Ground) -> "Listing":
        """Return the accounts as they are stored."""
        stored = await ground.store.accounts(ground.connection.id)
        return cls(ground, stored, await ground.access.listed_at(stored))

    async def read_if_due(self) -> None:
        """Read the list once a day, or when the person is there. Where it can't be read now the accounts that are known
        serve, if they are of this consent.

        Raises:
            Deferred, Retryable: it can't be read now, and nothing is known.
            UnattendedRefused, ReauthRequired, …: as the provider's `accounts`.
        """
        if not self._is_due:
            return
        access, key = self._ground.access, self._ground.connection.id
        try:
            may = await access.may(key, Scope.ACCOUNTS)
            if may.at is not None and may.is_cut_off:
                raise Transient("the read of the list of accounts was cut off, and may not be made again yet")
            if may.at is not None:
                raise Deferred(Scope.ACCOUNTS, may.at)
            await self._read()
        except (Deferred, Retryable):
            if not (self.accounts and self._is_known):
                raise

    async def look_again(self, account: BankAccount) -> BankAccount | None:
        """Return an account that the bank refused as it lists it now, if that is another one than was asked for."""
        try:
            if not self._is_read:
                await self._read()
        except (Deferred, Retryable):
            return None
        found = [each for each in self.accounts if each.id == account.id and each.provider_id != account.provider_id]
        return found[0] if found else None

    async def _read(self) -> None:
        """Store the accounts that the bank lists, each once, in its order."""
        ground = self._ground
        reported = await ground.access.accounts()
        if len(reported) > MAX_ACCOUNTS:
            raise MalformedData("the bank lists more accounts than we accept", scope=Scope.ACCOUNTS)
        ground.run.ensure_owned()
        self.accounts = await ground.store.upsert_accounts(ground.connection, reported, fence=ground.run.fence)
        await ground.access.note_listed()
        self._is_read = True
