"""`python -m tests.stores.applying URL ACCOUNT_ID`: begins a write, says when it is in the middle, and stays there."""

import asyncio
import sys
import time
from collections.abc import Iterator

from bankimport.models import BankAccount
from bankimport.ports import ChangeSet, NewRow
from bankimport.stores import SqlStore
from bankimport.testing.contracts.store import DAY, Lazy


class _Stuck(Lazy):
    def __iter__(self) -> Iterator[NewRow]:
        for number, row in enumerate(super().__iter__()):
            if number == 4500:
                print("in the middle", flush=True)
                time.sleep(60)
            yield row


async def main(url: str, account_id: str) -> None:
    """Write until the middle."""
    account = BankAccount("r1", "k1", "EUR", id=account_id)
    await SqlStore(url).apply(account, 0, ChangeSet(inserts=_Stuck(5000)), None, f"cursor of {DAY}", 1)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
