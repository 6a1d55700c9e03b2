"""Between our values and the tables' rows."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row

from bankimport.models import (
    AccountReference,
    AccountState,
    BankAccount,
    BankConnection,
    BankId,
    RowStatus,
    StoredTransaction,
    Transaction,
    TransactionStatus,
    Undecided,
)
from bankimport.models.maker import maker
from bankimport.status import ConnectionStatus
from bankimport.stores.sql.credentials import Vault
from bankimport.stores.sql.remembering import memory_of
from bankimport.stores.sql.schema import transactions

_T = transactions.c
_STATUSES = {status.value: status for status in RowStatus}
_BOOKED, _PENDING = TransactionStatus.BOOKED, TransactionStatus.PENDING
_transaction, _stored = maker(Transaction), maker(StoredTransaction)
#: what reconciliation needs of a row: all but what the bank sent word for word
ROW_COLUMNS = (
    *(_T.id, _T.status, _T.day, _T.amount, _T.currency, _T.booking_date, _T.value_date),
    *(_T.counterparty_name, _T.counterparty_iban, _T.remittance, _T.missing_at_bank, _T.deleted_by_user),
)


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
        asked_at=row.asked_at,
        created_at=row.created_at,
        institution=row.institution,
    )


def account_of(row: Row[Any], references: tuple[AccountReference, ...]) -> BankAccount:
    """Return the account of a row."""
    return BankAccount(
        provider_id=row.provider_id,
        stable_key=row.stable_key,
        currency=row.currency,
        iban=row.iban,
        name=row.name,
        kind=row.kind,
        id=row.id,
        references=references,
        consent_id=row.consent_id,
        is_listed=row.is_listed,
        undecided=None if row.undecided is None else Undecided(row.undecided),
    )


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


def usable_ids(ids: Iterable[BankId]) -> Iterable[BankId]:
    """Return the aliases to store, each once; a value beyond the column's length is none."""
    return {(one.namespace, one.value): one for one in ids if len(one.value) <= 512}.values()


def alias_rows(account_id: str, row_id: str, ids: Iterable[BankId]) -> list[dict[str, Any]]:
    """Return the aliases of a row."""
    return [
        {
            "account_id": account_id,
            "namespace": one.namespace,
            "value": one.value,
            "transaction_id": row_id,
            "quality": one.quality.value,
        }
        for one in usable_ids(ids)
    ]


def stored_of(row: Sequence[Any], ids: tuple[BankId, ...]) -> StoredTransaction:
    """Return the stored transaction of a row of `ROW_COLUMNS` and its aliases."""
    # by position: a long history is a million of these
    row_id, status, day, amount, currency, booking, value, name, iban, remittance, missing, deleted = row
    status = _STATUSES[status]
    kind = _BOOKED if status is RowStatus.BOOKED else _PENDING
    entry = _transaction(kind, day, amount, currency, booking, value, ids, None, name, iban, remittance)
    return _stored(row_id, status, entry, missing, deleted)


def state_of(row: Row[Any]) -> AccountState:
    """Return what is known of an account's reads."""
    return AccountState(row.version, memory_of(row.coverage, row.memory), row.cursor, row.attended_only)
