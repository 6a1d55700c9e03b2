"""Entries as a bank reports them; without a store, so that tests of the pure core may use them."""

from datetime import date
from typing import Any

from bankimport.models import BankId, ReportedTransaction, TransactionStatus

TODAY = date(2026, 3, 10)


def reported(
    amount: str,
    day: date | str = TODAY,
    *,
    ref: str | None = None,
    text: str | None = "Café Sol",
    status: TransactionStatus = TransactionStatus.BOOKED,
    **more: Any,
) -> ReportedTransaction:
    """One entry as a bank reports it."""
    ids = () if ref is None else (BankId("transactionId", ref),)
    fields = {"booking_date": str(day)} if status is TransactionStatus.BOOKED else {"value_date": str(day)}
    return ReportedTransaction(status, amount, "EUR", ids=ids, remittance=text, **{**fields, **more})


def pending(amount: str, day: date | str = TODAY, **more: Any) -> ReportedTransaction:
    """A pending entry as a bank reports it."""
    return reported(amount, day, status=TransactionStatus.PENDING, **more)


def cancelled(amount: str, day: date | str = TODAY, **more: Any) -> ReportedTransaction:
    """The end of a pending entry as a bank reports it."""
    return reported(amount, day, status=TransactionStatus.CANCELLED, **more)
