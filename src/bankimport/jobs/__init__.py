"""What each job does: plain async functions over ports, one file a job type."""

from bankimport.jobs.refresh_consents import refresh_consents
from bankimport.jobs.results import (
    AccountOutcome,
    AccountResult,
    ConsentsResult,
    DeferredRead,
    ReadWindow,
    SyncResult,
)
from bankimport.jobs.sync_all_org import sync_all_org
from bankimport.jobs.sync_connection import DEFERRED, sync_connection

__all__ = [
    "DEFERRED",
    "AccountOutcome",
    "AccountResult",
    "ConsentsResult",
    "DeferredRead",
    "ReadWindow",
    "SyncResult",
    "refresh_consents",
    "sync_all_org",
    "sync_connection",
]
