"""What every adapter promises, as test classes: subclass one, give it its fixture, and pytest does the rest.

    class TestMyBank(ProviderContract):
        @pytest.fixture
        async def bank(self): ...

They need pytest and pytest-asyncio. Failures tell more after
`pytest.register_assert_rewrite("bankimport.testing.contracts")` in your conftest.
"""

from bankimport.testing.contracts.audit import AuditContract
from bankimport.testing.contracts.authorisations import AuthorisationContract
from bankimport.testing.contracts.consents import Answer, ConsentFlowContract, FlowUnderTest
from bankimport.testing.contracts.deciding import AccountDecisionContract
from bankimport.testing.contracts.erasing import ErasureContract
from bankimport.testing.contracts.provider import BankUnderTest, ProviderContract, Trouble
from bankimport.testing.contracts.searching import ConnectionSearchContract
from bankimport.testing.contracts.store import StoreContract

__all__ = [
    "AccountDecisionContract",
    "Answer",
    "AuditContract",
    "AuthorisationContract",
    "BankUnderTest",
    "ConnectionSearchContract",
    "ConsentFlowContract",
    "ErasureContract",
    "FlowUnderTest",
    "ProviderContract",
    "StoreContract",
    "Trouble",
]
