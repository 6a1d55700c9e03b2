"""A provider for a bank API of one's own, whole: with it the bank is imported like any other.

The imagined bank answers `GET /accounts`, `/accounts/{id}/balance` and `/accounts/{id}/entries?since&page` with JSON.
Every method returns what the bank says or raises what went wrong; all bounds are the client's.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from bankimport import (
    Balance,
    BankAccount,
    BankConnection,
    BankId,
    Capabilities,
    Consent,
    ConsentStatus,
    Page,
    PsuContext,
    ReportedTransaction,
    Scope,
    TransactionStatus,
    Window,
    errors,
)
from bankimport.providers import BoundedClient, Limits, Reply, retry_after

PENDING, BOOKED = TransactionStatus.PENDING, TransactionStatus.BOOKED


class MinimalBank:
    """Reads the imagined bank; a connection's consent id is the person's access code."""

    def __init__(self, base_url: str, *, name: str = "minimal") -> None:
        self.name = name
        self._client = BoundedClient(base_url, Limits())

    async def capabilities(self, connection: BankConnection) -> Capabilities:
        return Capabilities()

    async def consent(self, connection: BankConnection, psu: PsuContext | None) -> Consent:
        await self._get(connection, Scope.CONSENT, "accounts")
        return Consent(ConsentStatus.VALID)

    async def accounts(self, connection: BankConnection, psu: PsuContext | None) -> Sequence[BankAccount]:
        rows = await self._get(connection, Scope.ACCOUNTS, "accounts")
        return [BankAccount(str(row["id"]), _key(row["iban"]), row["currency"], row["iban"]) for row in rows]

    async def balances(
        self, connection: BankConnection, account: BankAccount, psu: PsuContext | None
    ) -> Sequence[Balance]:
        body = await self._get(connection, Scope.BALANCES, "accounts", account.provider_id, "balance")
        return [Balance("interimBooked", Decimal(body["amount"]), account.currency or "", fetched_at=datetime.now(UTC))]

    async def transactions(
        self,
        connection: BankConnection,
        account: BankAccount,
        window: Window,
        *,
        cursor: str | None,
        psu: PsuContext | None,
    ) -> AsyncIterator[Page]:
        page: int | None = int(cursor or 1)
        while page is not None:
            query = {"since": window.since.isoformat(), "page": str(page)}
            query |= {} if window.until is None else {"until": window.until.isoformat()}
            path = ("accounts", account.provider_id, "entries")
            body = await self._get(connection, Scope.TRANSACTIONS, *path, **query)
            rows = tuple(
                ReportedTransaction(
                    PENDING if row.get("pending") else BOOKED,
                    row.get("amount"),  # as reported: the import reads it, and puts what it can't read in quarantine
                    row.get("currency"),
                    booking_date=row.get("day"),
                    ids=(BankId("id", str(row["id"])),) if row.get("id") else (),
                    remittance=row.get("text"),
                )
                for row in body["entries"]
            )
            page = body["next"]
            yield Page(rows, cursor=None if page is None else str(page))

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _get(self, connection: BankConnection, scope: Scope, *path: str, **query: str) -> Any:
        headers = {"Authorization": f"Bearer {connection.consent_id}"}
        reply = await self._client.get(self._client.path(*path).with_query(query), headers, scope)
        if reply.status != 200:
            raise _meaning(reply, scope)
        if not isinstance(reply.body, dict | list):
            raise errors.MalformedData("the bank's answer is not of the shape that was agreed", scope=scope)
        return reply.body


def _key(iban: str) -> str:
    return hashlib.blake2b(iban.encode(), digest_size=20).hexdigest()


def _meaning(reply: Reply, scope: Scope) -> errors.JobError:
    word = reply.body.get("error") if isinstance(reply.body, dict) else None
    if reply.status == 429:
        return errors.RateLimited(scope=scope, retry_after=retry_after(reply.headers, datetime.now(UTC)))
    if reply.status >= 500:
        return errors.Transient(f"the bank answered {reply.status}", scope=scope)
    if word in ("expired", "revoked"):
        return errors.ReauthRequired(word, scope=scope)
    known = {"not-you": errors.CredentialError(scope=scope), "no-account": errors.AccountUnavailable(scope=scope)}
    return known.get(word or "") or (
        errors.PeriodRejected() if word == "too-early" else errors.BankRejected(reply.status, scope=scope)
    )
