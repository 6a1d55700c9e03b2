"""Somebody says which account an undecided one is."""

from typing import Final

from bankimport.access.budget import ROLLING
from bankimport.errors import NotFound, NotOffered
from bankimport.models import BankAccount, Scope
from bankimport.ports import AccessKey, AccountDecisions
from bankimport.service.banking import Banking

_READ: Final = (Scope.BALANCES, Scope.TRANSACTIONS)


async def decide(
    banking: Banking, connection_id: str, account_id: str, same_as: str | None, org_id: str | None
) -> BankAccount:
    """End the doubt about an account; return the one that goes on.

    What was read of a joined account within a day was counted by the key that goes with it: without the person nothing
    is read before that has passed.

    Raises:
        NotFound, Conflict: as `AccountDecisions` has it, or the connection isn't `org_id`'s.
        NotOffered: the store can't.
    """
    connection = await banking.within(banking.store.connection(connection_id))
    if connection is None or org_id not in (None, connection.org_id):
        raise NotFound("connection")
    if not isinstance(banking.store, AccountDecisions):
        raise NotOffered(type(banking.store).__name__, "decide about accounts")
    decided = await banking.within(banking.store.decide_account(connection_id, account_id, same_as))
    capabilities = await banking.provider(connection.bank).capabilities(connection)
    if same_as is not None and capabilities.unattended_limit is not None:
        keys = [AccessKey(connection.bank, decided.stable_key, scope) for scope in _READ]
        await banking.within(banking.jobs.close(keys, banking.clock() + ROLLING))
    await banking.audit.note(
        "account.decide", org_id=connection.org_id, subject=f"connection:{connection_id}", bank=connection.bank
    )
    return decided
