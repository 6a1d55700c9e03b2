"""What one read changes in a store."""

from collections.abc import Collection
from dataclasses import dataclass

from bankimport.models import RowStatus, Transaction


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row to insert. `id` is ours and is chosen before the write, so that a repeated write is the same row."""

    id: str
    transaction: Transaction


@dataclass(frozen=True, slots=True)
class RowUpdate:
    """The new content of a stored row: its fields become the transaction's, its aliases are added to."""

    id: str
    status: RowStatus
    transaction: Transaction
    missing_at_bank: int = 0


@dataclass(frozen=True, slots=True)
class RowMark:
    """A change of bookkeeping alone: `removed` for a pending row that never came, a count for a missing one."""

    id: str
    status: RowStatus
    missing_at_bank: int


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Everything one read changes. `inserts` may be lazy, but can be iterated more than once and has a length."""

    inserts: Collection[NewRow] = ()
    updates: Collection[RowUpdate] = ()
    marks: Collection[RowMark] = ()

    def __bool__(self) -> bool:
        return bool(self.inserts or self.updates or self.marks)
