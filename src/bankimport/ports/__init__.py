"""What we need of others: a bank provider, a store, a ledger of accesses. Docstrings are the contract.

Any method may raise `bankimport.errors.Transient` (a provider) or `StoreUnavailable` (a store); both are retried.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from bankimport.ports.access import AccessHistory, AccessKey, AccessLedger, Asks, CountedRead, JobNotes, Met
from bankimport.ports.changes import ChangeSet, NewRow, RowMark, RowUpdate
from bankimport.ports.connections import (
    AccountDecisions,
    AccountOverview,
    AuditLog,
    AuthorisationStore,
    BalanceHistory,
    ConnectionSearch,
    ConnectionStore,
    ErasingStore,
)
from bankimport.ports.consent import (
    ConsentFlow,
    KeepCredentials,
    OffersConsent,
    RotatesCredentials,
    SharesTokens,
    TokenShelf,
)
from bankimport.ports.providers import BankProvider, HearRequest, TellsRequests
from bankimport.ports.store import BankStore

#: Returns the present instant, aware and in UTC.
Clock = Callable[[], datetime]
Banks = Mapping[str, BankProvider]

__all__ = [
    "AccessHistory",
    "AccessKey",
    "AccessLedger",
    "AccountDecisions",
    "AccountOverview",
    "Asks",
    "AuditLog",
    "AuthorisationStore",
    "BalanceHistory",
    "BankProvider",
    "BankStore",
    "Banks",
    "ChangeSet",
    "Clock",
    "ConnectionSearch",
    "ConnectionStore",
    "ConsentFlow",
    "CountedRead",
    "ErasingStore",
    "HearRequest",
    "JobNotes",
    "KeepCredentials",
    "Met",
    "NewRow",
    "OffersConsent",
    "RotatesCredentials",
    "RowMark",
    "RowUpdate",
    "SharesTokens",
    "TellsRequests",
    "TokenShelf",
]
