"""A provider of the sandbox's list of changes, and the sandbox on a clock of its own."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bankimport.errors import BankRejected, StartOver, Transient
from bankimport.models import (
    Balance,
    BankAccount,
    BankConnection,
    BankId,
    Capabilities,
    Consent,
    ConsentStatus,
    Delta,
    IdQuality,
    PsuContext,
    ReportedTransaction,
    Scope,
    TransactionStatus,
    Window,
)
from bankimport.providers import BoundedClient, Limits
from bankimport.providers.berlin_group_rows import RowReader
from bankimport.providers.options import ReadingOptions
from bankimport.sandbox import person_of


class ChangesBank:
    """Reads `/changes/{account}` of the sandbox."""

    name = "changes"

    def __init__(self, url: str) -> None:
        self._client = BoundedClient(url, Limits())
        self._rows = RowReader(ReadingOptions(), IdQuality.STRONG, ("id",), None)
        self.requests = 0

    async def capabilities(self, connection: BankConnection) -> Capabilities:
        """See `BankProvider`."""
        return Capabilities(delta=True, unattended_limit=None, max_history=timedelta(days=89))

    async def consent(self, connection: BankConnection, psu: PsuContext | None) -> Consent:
        """See `BankProvider`."""
        return Consent(ConsentStatus.VALID)

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        """See `BankProvider`."""
        consent = connection.consent_id or ""
        account = person_of(consent).accounts[0]
        return [BankAccount(f"{consent}/0".encode().hex(), "k", account.currency, account.iban)]

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
    ) -> AsyncIterator[Delta]:
        """See `BankProvider`."""
        begun, more = cursor, True
        while more:
            url = self._client.path("changes", account.provider_id)
            self.requests += 1
            reply = await self._client.get(
                url if cursor is None else url.with_query(cursor=cursor), {}, Scope.TRANSACTIONS
            )
            if reply.status == 409:
                raise StartOver(cursor=begun)
            if reply.status == 410:
                raise StartOver(cursor=None)
            if reply.status >= 500:
                raise Transient("away", scope=Scope.TRANSACTIONS)
            if reply.status != 200:
                raise BankRejected(reply.status, scope=Scope.TRANSACTIONS)
            body = reply.body
            cursor, more = body["next_cursor"], body["has_more"]
            yield Delta(
                tuple(self._row(row, account) for row in body["added"]),
                tuple(self._row(row, account) for row in body["modified"]),
                tuple(BankId("id", row["id"]) for row in body["removed"]),
                cursor,
                more,
            )

    def _row(self, row: dict[str, Any], account: BankAccount) -> ReportedTransaction:
        status = TransactionStatus.BOOKED if "bookingDate" in row else TransactionStatus.PENDING
        reported = self._rows.entry(row, status, account)
        assert reported is not None
        return replace(reported, link=BankId("id", row["replaces"])) if "replaces" in row else reported

    async def aclose(self) -> None:
        """See `BankProvider`."""
        await self._client.aclose()
