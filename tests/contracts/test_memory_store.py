"""The store in memory that hosts use in their tests keeps the contract of all stores."""

from itertools import count
from typing import Any

import pytest

from bankimport.models import BankConnection
from bankimport.testing.contracts import (
    AccountDecisionContract,
    AuditContract,
    AuthorisationContract,
    ConnectionSearchContract,
    ErasureContract,
    StoreContract,
)
from bankimport.testing.memory_store import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


class TestMemorySearch(ConnectionSearchContract):
    """The contract of operators' lists, in memory."""


class TestMemoryErasure(ErasureContract):
    """The contract of erasing, in memory."""


class TestMemoryDecisions(AccountDecisionContract):
    """The contract of deciding about accounts, in memory."""


class TestMemoryAudit(AuditContract):
    """The contract of what people did, in memory."""


class TestMemoryAuthorisations(AuthorisationContract):
    """The contract of authorisations, in memory."""


class TestMemoryStore(StoreContract):
    """The contract, in memory."""

    numbers = count(1)

    async def add(self, store: Any, org_id: str = "acme", **fields: Any) -> BankConnection:
        """Add a connection."""
        until = fields.pop("valid_until", None)
        connection = BankConnection(f"c{next(self.numbers)}", org_id, "sandbox", consent_valid_until=until, **fields)
        store.add(connection)
        return connection
