"""What the sandbox bank has, and how it says it: Berlin Group's JSON, made of people."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from bankimport.sandbox.people import BOOKED_WITHIN, HISTORY, Account, Entry, person_of


@dataclass(frozen=True, slots=True)
class Served:
    """One transaction as the bank serves it on a day."""

    account: Account
    entry: Entry
    status: Literal["booked", "pending"]

    @property
    def booking_date(self) -> date | None:
        """The booking date; a pending one has none."""
        return self.entry.booked if self.status == "booked" else None


def transactions_on(consent_id: str, today: date, since: date | None = None) -> Sequence[Served]:
    """Return what the bank has for a consent on a day: the truth that an import is compared with.

    `since` is the first booking date (of a pending one, the first day); None is all that the bank keeps.
    """
    return [
        served
        for account in person_of(consent_id).accounts
        for served in served_of(account, since or today - HISTORY, None, today)
    ]


def served_of(account: Account, since: date, until: date | None, today: date) -> list[Served]:
    """Return an account's transactions on a day, newest first, as one long list."""
    served = []
    for entry in account.entries(max(today - HISTORY, since - BOOKED_WITHIN), today):
        status: Literal["booked", "pending"] = "booked" if entry.is_booked(today) else "pending"
        day = entry.booked if status == "booked" else entry.day
        if since <= day and (until is None or day <= until):
            served.append(Served(account, entry, status))
    return sorted(served, key=lambda each: (each.booking_date or date.max, each.entry.key), reverse=True)


def account_json(account: Account, name: str) -> dict[str, Any]:
    """Return an account as `accountDetails`."""
    return {
        "resourceId": account.resource_id,
        "iban": account.iban,
        "currency": account.currency,
        "name": name,
        "product": account.product,
        "cashAccountType": account.kind,
        "status": "enabled",
        "ownerName": name,
    }


def balances_json(account: Account, today: date) -> list[dict[str, Any]]:
    """Return the balances: before anything was booked this month, at the end of yesterday, and now."""

    def balance(kind: str, day: date, booked_until: date) -> dict[str, Any]:
        money = {"currency": account.currency, "amount": f"{account.balance(booked_until):.2f}"}
        return {"balanceAmount": money, "balanceType": kind, "referenceDate": day.isoformat()}

    first, yesterday = today.replace(day=1), today - timedelta(days=1)
    return [
        balance("openingBooked", first, first - timedelta(days=1)),
        balance("closingBooked", yesterday, yesterday),
        balance("interimBooked", today, today),
    ]


def transaction_json(served: Served, ids: Callable[[str], str | None]) -> dict[str, Any]:
    """Return a transaction as `transactions`; `ids` makes an id of a key, or none."""
    entry, account = served.entry, served.account
    leaves = entry.amount < 0
    row: dict[str, Any] = {
        "transactionAmount": {"currency": entry.currency, "amount": f"{entry.amount:.2f}"},
        "creditorName" if leaves else "debtorName": entry.counterparty,
        "creditorAccount" if leaves else "debtorAccount": {"iban": entry.counterparty_iban},
        "remittanceInformationUnstructured": entry.text,
        "valueDate": entry.day.isoformat(),
    }
    transaction_id = ids(f"{served.status}/{entry.key}/{account.iban}")
    if transaction_id is not None:
        row["transactionId"] = transaction_id
    if served.booking_date is not None:
        row["bookingDate"] = served.booking_date.isoformat()
    return row


def stable_id(key: str) -> str:
    """Return the id that the bank gives an entry, always the same."""
    return hashlib.blake2b(key.encode(), digest_size=10).hexdigest()


class BankClock:
    """The bank's own clock: the real one, or fixed and moved by hand, so that midnight surprises no test."""

    def __init__(self, now: datetime | None = None) -> None:
        self._fixed = now

    def now(self) -> datetime:
        """Return the bank's present instant, in UTC."""
        return self._fixed or datetime.now(UTC)

    def today(self) -> date:
        """Return the bank's present day."""
        return self.now().date()

    def set(self, now: datetime) -> None:
        """Fix the clock at an instant."""
        self._fixed = now.astimezone(UTC)
