"""What became of the data of an organisation that was erased."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from bankimport.models.model import Model


class NotRevoked(Model):
    """An access that the bank was not told of: nobody reads through it, and its consent ends by itself."""

    bank: str
    error_code: str


class ErasureReport(Model):
    """What was removed, in numbers; and what only the host can remove."""

    at: datetime
    #: what the law orders to be kept was kept: accounts, rows, balances, what people did
    legal_hold: bool
    revoked: int
    not_revoked: tuple[NotRevoked, ...] = ()
    jobs: int
    events: int
    keys: int
    entries: Mapping[str, int] = Field(default_factory=dict)
    #: a server that we may not ask keeps what was removed in its append-only file until it is written anew
    disk_rewritten: bool
    #: what we can't reach: say it in your own record
    left: tuple[str, ...] = ()
