"""How a bank is read: the port of a provider."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Protocol, runtime_checkable

from bankimport.models import (
    Balance,
    BankAccount,
    BankConnection,
    Capabilities,
    Consent,
    Delta,
    Page,
    PsuContext,
    RequestOutcome,
    UnreadableBalance,
    Window,
)

#: Hears of a request to a bank: what became of it, and how long that took.
HearRequest = Callable[[RequestOutcome, timedelta], None]


@runtime_checkable
class BankProvider(Protocol):
    """How to read one kind of bank API. One object serves all connections of a bank and is shared by all jobs."""

    name: str

    async def capabilities(self, connection: BankConnection) -> Capabilities:
        """Return what the bank can do and allows; costs no access."""

    async def consent(self, connection: BankConnection, psu: PsuContext | None) -> Consent:
        """Return the consent as the bank sees it now.

        Raises:
            CredentialError: our own key, certificate or address is refused.
        """

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        """Return every account the consent covers, each with all that names it (`references`), as the bank has it.

        Raises:
            ReauthRequired: the person has to authorise again.
            RateLimited: the bank refuses for now.
            MalformedData: the answer can't be read.
        """

    async def balances(
        self, connection: BankConnection, account: BankAccount, psu: PsuContext | None
    ) -> Sequence[Balance | UnreadableBalance]:
        """Return the balances of an account; one that can't be read costs no other, and is said to be so. Raises as
        `accounts`, and AccountUnavailable."""

    def transactions(
        self,
        connection: BankConnection,
        account: BankAccount,
        window: Window,
        *,
        cursor: str | None,
        psu: PsuContext | None,
    ) -> AsyncIterator[Page | Delta]:
        """Yield the pages of `window`, pending entries included where the bank has them.

        The iteration ends without an exception exactly when the window was read completely; where there is nothing it
        may yield an empty page, or none. Rows are handed on as
        reported: one that can't be read is the caller's to quarantine.

        Raises:
            PeriodRejected: the window begins too early for the bank.
            StartOver: a delta that was begun is void; the caller forgets it and begins at the error's cursor.
            UnattendedRefused: the bank answers only while the person is present.
            ReauthRequired, RateLimited, AccountUnavailable, MalformedData: as above.
        """

    async def aclose(self) -> None:
        """Close what the provider holds open."""


@runtime_checkable
class TellsRequests(Protocol):
    """A provider that tells of each request it sends, so that operators see how the bank answers. Ours all do."""

    def tell_requests(self, hear: HearRequest) -> None:
        """Call `hear` after each request from now on; it returns at once and raises nothing."""
