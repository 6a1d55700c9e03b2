"""What is made quickly is what its class makes."""

import dataclasses
import pickle
from datetime import date
from decimal import Decimal

import pytest

from bankimport.models import BankId, IdQuality, RowStatus, StoredTransaction, Transaction, TransactionStatus
from bankimport.models.maker import maker

ID = ("transactionId", "t1", IdQuality.WEAK)
ENTRY = (TransactionStatus.BOOKED, date(2026, 3, 1), Decimal("-3.50"), "EUR", date(2026, 3, 1), None, (BankId(*ID),))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (BankId, ID),
        (BankId, ID[:2]),
        (Transaction, ENTRY),
        (Transaction, (*ENTRY, None, "Café Sol", "DE02120300000000202051", "thanks", {"a": 1})),
        (StoredTransaction, ("row", RowStatus.BOOKED, Transaction(*ENTRY))),
        (StoredTransaction, ("row", RowStatus.BOOKED, Transaction(*ENTRY), 1, True)),
    ],
)
def test_it_is_a_value_of_the_class(kind: type, values: tuple[object, ...]) -> None:
    """Of the very class, equal, with the same defaults and the same text, which hides what is private."""
    made = maker(kind)(*values)
    assert type(made) is kind
    assert made == kind(*values)
    assert repr(made) == repr(kind(*values))
    assert pickle.loads(pickle.dumps(made)) == made
    assert dataclasses.replace(made) == made


def test_it_is_frozen_and_hashable() -> None:
    """Nobody can change it, and nothing can be added to it."""
    made = maker(BankId)(*ID)
    assert hash(made) == hash(BankId(*ID))
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.value = "t2"  # type: ignore[misc]  # that is what must fail
    with pytest.raises((AttributeError, TypeError)):
        made.other = 1  # type: ignore[attr-defined]  # as above


def test_it_takes_what_the_class_takes() -> None:
    """Too few values and too many are refused."""
    for values in ((), ("a",), ("a", "b", IdQuality.STRONG, "d")):
        with pytest.raises(TypeError):
            maker(BankId)(*values)
