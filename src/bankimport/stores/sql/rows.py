"""Between our values and the tables' rows."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row

from bankimport.models import (
    BankAccount,
    BankConnection,
    BankId,
    IdQuality,
    Interval,
    RowStatus,
    StoredTransaction,
    Transaction,
    TransactionStatus,
)
from bankimport.status import ConnectionStatus
from bankimport.stores.sql.credentials import Vault


def connection_of(row: Row[Any], vault: Vault) -> BankConnection:
    """Return the connection of a row."""
    return BankConnection(
        id=row.id,
        org_id=row.org_id,
        bank=row.bank,
        status=ConnectionStatus(row.status),
        status_reason=row.status_reason,
        consent_id=row.consent_id,
        consent_valid_until=row.consent_valid_until,
        credentials=vault.open(row.credentials),
        last_sync_at=row.last_sync_at,
        next_sync_at=row.next_sync_at,
        created_at=row.created_at,
    )


def account_of(row: Row[Any]) -> BankAccount:
    """Return the account of a row."""
    return BankAccount(
        provider_id=row.provider_id,
        stable_key=row.stable_key,
        currency=row.currency,
        iban=row.iban,
        name=row.name,
        kind=row.kind,
        id=row.id,
    )


def coverage_of(text: str) -> tuple[Interval, ...]:
    """Return the intervals of their text."""
    return tuple(Interval(date.fromisoformat(since), date.fromisoformat(until)) for since, until in json.loads(text))


def coverage_text(coverage: Sequence[Interval]) -> str:
    """Return intervals as text."""
    return json.dumps([[interval.since.isoformat(), interval.until.isoformat()] for interval in coverage])


def content(transaction: Transaction) -> dict[str, Any]:
    """Return the columns that a transaction fills."""
    return {
        "booking_date": transaction.booking_date,
        "value_date": transaction.value_date,
        "amount": transaction.amount,
        "currency": transaction.currency,
        "counterparty_name": transaction.counterparty_name,
        "counterparty_iban": transaction.counterparty_iban,
        "remittance": transaction.remittance,
        "raw": transaction.raw,
        "day": transaction.day,
    }


def new_row(account_id: str, row_id: str, transaction: Transaction, now: datetime) -> dict[str, Any]:
    """Return the row of a new transaction."""
    status = RowStatus.BOOKED if transaction.status is TransactionStatus.BOOKED else RowStatus.PENDING
    return {
        "id": row_id,
        "account_id": account_id,
        "status": status.value,
        "missing_at_bank": 0,
        "first_seen_at": now,
        "updated_at": now,
        "deleted_by_user": False,
        **content(transaction),
    }


def alias_rows(account_id: str, row_id: str, ids: Iterable[BankId]) -> list[dict[str, Any]]:
    """Return the aliases of a row, each once; a value beyond the column's length is none."""
    unique = {(one.namespace, one.value): one for one in ids if len(one.value) <= 512}
    return [
        {
            "account_id": account_id,
            "namespace": one.namespace,
            "value": one.value,
            "transaction_id": row_id,
            "quality": one.quality.value,
        }
        for one in unique.values()
    ]


def stored_of(row: Row[Any], aliases: Mapping[str, Sequence[BankId]]) -> StoredTransaction:
    """Return the stored transaction of a row and its aliases."""
    status = RowStatus(row.status)
    booked = status is RowStatus.BOOKED
    return StoredTransaction(
        id=row.id,
        status=status,
        missing_at_bank=row.missing_at_bank,
        deleted_by_user=row.deleted_by_user,
        transaction=Transaction(
            status=TransactionStatus.BOOKED if booked else TransactionStatus.PENDING,
            day=row.day,
            amount=row.amount,
            currency=row.currency,
            booking_date=row.booking_date,
            value_date=row.value_date,
            ids=tuple(aliases.get(row.id, ())),
            counterparty_name=row.counterparty_name,
            counterparty_iban=row.counterparty_iban,
            remittance=row.remittance,
        ),
    )


def alias_of(row: Row[Any]) -> BankId:
    """Return the alias of a row."""
    return BankId(row.namespace, row.value, IdQuality(row.quality))
