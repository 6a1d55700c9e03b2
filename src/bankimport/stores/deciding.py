"""Whether an account is one that somebody may decide about: the same in every store."""

from collections.abc import Sequence

from bankimport.errors import Conflict, NotFound
from bankimport.models import BankAccount


def decidable(
    known: Sequence[BankAccount], account_id: str, same_as: str | None
) -> tuple[BankAccount, BankAccount | None]:
    """Return an undecided account of a connection, and the one that it is said to be.

    Raises:
        NotFound, Conflict: as `AccountDecisions` has it.
    """
    account = _found(known, account_id)
    if account.undecided is None:
        raise Conflict(f"there is no doubt about account {account_id!r}")
    if same_as is None:
        return account, None
    old = _found(known, same_as)
    if (objection := _objection(account, old)) is not None:
        raise Conflict(f"account {same_as!r} {objection}")
    return account, old


def could_be(known: Sequence[BankAccount], account: BankAccount) -> tuple[str, ...]:
    """Return the ids of the stored accounts that an undecided one may be said to be."""
    if account.undecided is None:
        return ()
    return tuple(each.id for each in known if _objection(account, each) is None)


def _objection(account: BankAccount, old: BankAccount) -> str | None:
    if old.is_listed or old.id == account.id:
        return "is listed by the bank: it is another one"
    if account.currency and old.currency and account.currency.upper() != old.currency.upper():
        return "is in another currency"
    return None


def _found(known: Sequence[BankAccount], account_id: str) -> BankAccount:
    found = next((account for account in known if account.id == account_id), None)
    if found is None:
        raise NotFound("account")
    return found
