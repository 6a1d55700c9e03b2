"""`get_balances`: over time, of an organisation's own account alone."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from bankimport import BankImport, Settings
from bankimport.errors import InvalidRequest, NotFound
from bankimport.models import Balance, BankAccount, BankConnection
from bankimport.testing import MemoryStore


async def test_of_ones_own_account_alone(settings: Settings) -> None:
    """Days in the wrong order, another's connection and an account that isn't there are refused."""
    store = MemoryStore(BankConnection("giro", "acme", "bank"))
    connection = await store.connection("giro")
    assert connection is not None
    [account] = await store.upsert_accounts(connection, [BankAccount("r", "k", "EUR")], fence=1)
    now = datetime.now(UTC)
    await store.put_balances(account, [Balance("closingBooked", Decimal("1.10"), "EUR", None, now)])
    async with BankImport(settings, banks={}, store=store) as bank_import:
        since = now.date() - timedelta(days=7)
        [balance] = await bank_import.get_balances("giro", account.id, since=since, org_id="acme")
        assert balance.amount == Decimal("1.10")
        until = now.date() - timedelta(days=1)
        assert list(await bank_import.get_balances("giro", account.id, since=since, until=until)) == []
        for name, id_, org_id in (
            ("giro", account.id, "globex"),
            ("giro", "none", "acme"),
            ("none", account.id, "acme"),
        ):
            with pytest.raises(NotFound):
                await bank_import.get_balances(name, id_, since=since, org_id=org_id)
        with pytest.raises(InvalidRequest, match="/since"):
            await bank_import.get_balances("giro", account.id, since=now.date() + timedelta(days=2))
